//! Floods against the admin port and against an app that `Telemetry::serve` serves: `/health` is
//! always answered and within its time limit, scrapes get a page or a 503 with `Retry-After`, no
//! smuggled request is served, and afterwards no resources are left in use.
//!
//! The time limit is meant for an optimized build, which `cargo xtask attacks` makes.
#![expect(clippy::print_stdout, reason = "what was measured is a result, too")]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use conformance::{
    frames::{
        CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, block, frame, reset,
        settings,
    },
    service::Service,
    usage::{Answers, Connections, Usage, megabytes},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The duration of a flood that does not end by itself.
const FLOOD: Duration = Duration::from_secs(2);
/// The interval of requests to `/health`.
const PROBE: Duration = Duration::from_millis(5);
/// The time limit for 99 of 100 responses of `/health`.
const SOON: Duration = Duration::from_millis(50);
/// The number of responses from which on the percentile is checked.
const ENOUGH: usize = 200;
/// The time limit for the service to close connections that the clients have closed.
const PATIENCE: Duration = Duration::from_secs(15);
/// The number of incomplete request heads at once, as far as descriptors allow.
const HALF_HEADS: u64 = 10_000;
const CONNECTS: u64 = 35_000;
/// The number of series of a histogram, so that a page is longer than the socket buffers.
const SERIES: u64 = 1_900;
const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// The service under the flood.
struct Target {
    service: Service,
    admin: SocketAddr,
    app: SocketAddr,
    quiet: Duration,
}

impl Target {
    fn start() -> Self {
        let service = Service::target(&[]);
        service.ask(&format!("/series/{SERIES}"));
        let address = |text: &str| text.parse().expect("an address");
        let mut target = Self {
            admin: address(service.page_address()),
            app: address(service.url().trim_start_matches("http://")),
            service,
            quiet: Duration::ZERO,
        };
        let (health, ()) = target.probed(|| thread::sleep(FLOOD));
        assert!(health.failures.is_empty(), "{:?}", health.failures);
        target.quiet = health.percentile(0.99);
        println!("quiet: /health p99 {:.1?}", target.quiet);
        target
    }

    /// Requests `/health` while `act` runs, each time on a new connection.
    fn probed<T>(&self, act: impl FnOnce() -> T) -> (Answers, T) {
        let goes_on = AtomicBool::new(true);
        let url = format!("http://{}/health", self.admin);
        thread::scope(|scope| {
            let probe = scope.spawn(|| Answers::collect(&url, Connections::New, PROBE, &goes_on));
            let done = act();
            goes_on.store(false, Ordering::Relaxed);
            (probe.join().expect("a probe does not panic"), done)
        })
    }

    /// Floods the service twice, and returns the failures.
    fn flood(&self, name: &str, act: impl Fn(&Self) -> Vec<String>) -> Vec<String> {
        let mut failures = Vec::new();
        let mut usages = vec![Usage::of(self.service.child())];
        let (mut health, mut wrong) = (Answers::default(), Vec::new());
        for _ in 0..2 {
            let (answers, more) = self.probed(|| act(self));
            health.times.extend(answers.times);
            health.failures.extend(answers.failures);
            wrong.extend(more);
            usages.push(self.settled(usages[0].descriptors));
        }
        let slow = health.percentile(0.99);
        println!(
            "{name:36} /health p50 {:7.1?} p99 {slow:7.1?} of {:5}, {} failed; \
             {:5.1} MB, {:5.1} after it, {:5.1} after it again; {} descriptors, {} after it",
            health.percentile(0.5),
            health.times.len(),
            health.failures.len(),
            megabytes(usages[0].resident),
            megabytes(usages[1].resident),
            megabytes(usages[2].resident),
            usages[0].descriptors,
            usages[2].descriptors,
        );
        if let Some(first) = health.failures.first() {
            let count = health.failures.len();
            failures.push(format!("/health failed {count} times: {first}"));
        }
        // Other load on the machine affects both. With few responses the percentile is the maximum.
        if health.times.len() >= ENOUGH && slow > SOON.max(5 * self.quiet) {
            failures.push(format!(
                "/health takes {slow:?}, {:?} when quiet",
                self.quiet
            ));
        }
        if usages[2].descriptors > usages[0].descriptors + 4 {
            failures.push(format!("descriptors are left: {usages:?}"));
        }
        // The allocator keeps freed memory; the second flood needs little more.
        let first = usages[1].resident.saturating_sub(usages[0].resident);
        if usages[2].resident > usages[1].resident + first / 2 + (8 << 20) {
            failures.push(format!("memory is left: {usages:?}"));
        }
        if self.service.ask("/orders/7") != "order 7" {
            failures.push("the service does not go on".to_owned());
        }
        failures.extend(wrong);
        let failures = failures.into_iter();
        failures
            .map(|failure| format!("{name}: {failure}"))
            .collect()
    }

    /// Returns the usage once the service has this number of descriptors or fewer, or after a time
    /// limit.
    fn settled(&self, descriptors: u64) -> Usage {
        let begun = Instant::now();
        loop {
            let usage = Usage::of(self.service.child());
            if usage.descriptors <= descriptors + 2 || begun.elapsed() > PATIENCE {
                return usage;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The result of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Page,
    ComeBack,
    Other(String),
}

/// Scrapes once on a new connection.
fn scrape(admin: SocketAddr) -> Got {
    let answer = (|| {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(SCRAPE)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    })();
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Got::Other(error.to_string()),
    };
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let head = head.to_ascii_lowercase();
    match &head.as_bytes()[..head.len().min(12)] {
        // The last chunk, which is empty, shows that the page is complete.
        b"http/1.1 200" if answer.ends_with("\r\n0\r\n\r\n") => Got::Page,
        b"http/1.1 503" if head.contains("\r\nretry-after:") => Got::ComeBack,
        _ => Got::Other(format!("{head}, and {} bytes in all", answer.len())),
    }
}

/// Returns the failures among scrapes that each must be answered.
fn wrong_among(got: &[Got]) -> Vec<String> {
    let other = got.iter().filter(|got| matches!(got, Got::Other(_)));
    let mut wrong: Vec<String> = other.map(|got| format!("a scrape got {got:?}")).collect();
    wrong.sort_unstable();
    wrong.dedup();
    if !got.contains(&Got::Page) {
        wrong.push(format!("none of {} scrapes got a page", got.len()));
    }
    wrong
}

/// Raises the limit of descriptors as far as permitted; the service inherits it.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it is not permitted, the limit stays unchanged.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile)
        .current
        .unwrap_or(HALF_HEADS * 2)
}

/// Opens many connections and sends the same bytes on each, for at most the time of three floods.
/// Refused connections are left out.
fn connections(address: SocketAddr, count: u64, bytes: &[u8]) -> Vec<TcpStream> {
    let (mut streams, begun) = (Vec::new(), Instant::now());
    for _ in 0..count {
        if begun.elapsed() > 3 * FLOOD {
            break;
        }
        if let Ok(mut stream) = TcpStream::connect(address) {
            // The service may close some to make room for others.
            let _ = stream.write_all(bytes);
            streams.push(stream);
        }
    }
    streams
}

fn half_heads(address: SocketAddr, count: u64) -> Vec<String> {
    let held = connections(address, count, b"GET /orders/1 HTTP/1.1\r\nhost: loc");
    thread::sleep(FLOOD / 2);
    match held.len() as u64 {
        opened if opened < count / 10 => vec![format!("only {opened} of {count} connected")],
        _ => Vec::new(),
    }
}

/// Runs `act` on several threads until the flood is over.
fn on_threads(threads: usize, act: impl Fn(&AtomicBool) + Sync) {
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| act(&goes_on));
        }
        thread::sleep(FLOOD);
        goes_on.store(false, Ordering::Relaxed);
    });
}

/// Requests pages on one connection, repeatedly.
fn always_asking(admin: SocketAddr, goes_on: &AtomicBool) {
    let client = conformance::ask::agent(Duration::from_secs(10));
    while goes_on.load(Ordering::Relaxed) {
        if let Ok(mut answer) = client.get(format!("http://{admin}/metrics")).call() {
            let _ = answer.body_mut().read_to_vec();
        }
    }
}

fn connects(address: SocketAddr) -> Vec<String> {
    let (left, begun) = (AtomicU64::new(CONNECTS), Instant::now());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                    && begun.elapsed() < 4 * FLOOD
                {
                    // At times all local ports are in use.
                    if TcpStream::connect(address).is_err() {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
    });
    Vec::new()
}

/// Runs readers that read one byte at a time, with pauses, while others scrape.
fn slow_readers(admin: SocketAddr) -> Vec<String> {
    let mut readers = connections(admin, 16, SCRAPE);
    let begun = Instant::now();
    let mut got = Vec::new();
    while begun.elapsed() < FLOOD {
        for reader in &mut readers {
            let _ = reader.set_read_timeout(Some(Duration::from_millis(1)));
            let _ = reader.read(&mut [0]);
        }
        got.push(scrape(admin));
    }
    wrong_among(&got)
}

/// Sends many pipelined requests on one connection, and expects as many responses.
fn pipelined(address: SocketAddr, path: &str) -> Vec<String> {
    const REQUESTS: usize = 20_000;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut stream = TcpStream::connect(address).expect("a port that is open");
    let mut writer = stream.try_clone().expect("a second handle");
    let timeout = Some(Duration::from_secs(10));
    stream.set_read_timeout(timeout).expect("a limit");
    let writing = thread::spawn(move || writer.write_all(request.repeat(REQUESTS).as_bytes()));
    let (mut answers, mut chunk, mut tail) = (0, vec![0; 64 << 10], Vec::<u8>::new());
    while answers < REQUESTS {
        let Ok(length @ 1..) = stream.read(&mut chunk) else {
            break;
        };
        tail.extend(&chunk[..length]);
        let begin = &b"HTTP/1.1 "[..];
        answers += tail.windows(begin.len()).filter(|at| *at == begin).count();
        // This may be the beginning of the next one.
        tail.drain(..tail.len().saturating_sub(begin.len() - 1));
    }
    drop(stream);
    let _ = writing.join();
    match answers {
        REQUESTS => Vec::new(),
        _ => vec![format!(
            "{answers} answers to {REQUESTS} requests for {path}"
        )],
    }
}

/// Sends bytes, and returns what arrives within a moment, and whether the peer closed.
fn exchange(address: SocketAddr, bytes: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(address).expect("a port that is open");
    let limit = Some(Duration::from_millis(400));
    stream.set_read_timeout(limit).expect("a limit");
    // The request may have been refused before its end.
    let _ = stream.write_all(bytes);
    let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    let is_closed = loop {
        match stream.read(&mut chunk) {
            Ok(0) => break true,
            Ok(length) => answer.extend(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
            Err(_) => break false,
        }
    };
    (String::from_utf8_lossy(&answer).into_owned(), is_closed)
}

/// Sends request heads that are larger than any limit.
fn oversize_heads(address: SocketAddr) -> Vec<String> {
    let long = "x".repeat(4 << 20);
    let many = "x-more: and more\r\n".repeat(100_000);
    let heads = [
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
        format!("{long} / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ];
    let answers = heads.iter().map(|head| exchange(address, head.as_bytes()));
    let taken =
        answers.filter(|(answer, is_closed)| answer.starts_with("HTTP/1.1 2") || !is_closed);
    taken
        .map(|(answer, _)| format!("a head of megabytes got {answer:.60}"))
        .collect()
}

/// Sends requests whose bodies contain a second request, which some servers would take for a
/// request.
fn smuggled(address: SocketAddr) -> Vec<String> {
    // A response with this number shows that the hidden request was served.
    const HIDDEN: &str = "GET /orders/31337 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let begin = "POST /orders/1 HTTP/1.1\r\nhost: localhost\r\n";
    let length = HIDDEN.len();
    let chunk = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let (all, both) = (chunk.len(), "transfer-encoding: chunked\r\n");
    let shapes = [
        // With a plain `Content-Length` the hidden request is just the body.
        format!("{begin}content-length: {length}\r\n\r\n{HIDDEN}"),
        format!("{begin}{both}\r\n{chunk}"),
        format!("{begin}content-length: {all}\r\n{both}\r\n{chunk}"),
        format!("{begin}content-length: 0\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"),
        format!("{begin}content-length: 0, {length}\r\n\r\n{HIDDEN}"),
        format!("{begin}content-length: +{length}\r\n\r\n{HIDDEN}"),
        format!("{begin}content-length : {length}\r\n\r\n{HIDDEN}"),
        format!("{begin}transfer-encoding: xchunked\r\n\r\n{chunk}"),
        format!("{begin}transfer-encoding: chunked, identity\r\n\r\n{chunk}"),
        format!("{begin}transfer-encoding:\r\n chunked\r\n\r\n{chunk}"),
        format!("{begin}transfer-encoding: chunked\r\n\r\n{length:x};\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{begin}{both}\r\n0{length:x}0000000000000000\r\n{HIDDEN}"),
        format!("{begin}x: \0\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"),
    ];
    let answers = shapes
        .iter()
        .map(|shape| (shape, exchange(address, shape.as_bytes()).0));
    let fooled = answers.filter(|(_, answer)| answer.contains("order 31337"));
    fooled
        .map(|(shape, _)| format!("a hidden request was answered: {shape:?}"))
        .collect()
}

/// Checks that requests with a foreign `Host` are refused: this protects from DNS rebinding.
fn foreign_hosts(admin: SocketAddr) -> Vec<String> {
    let ask = |host: &str| {
        exchange(
            admin,
            format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )
        .0
    };
    let mut wrong = Vec::new();
    for host in [
        "evil.example",
        "evil.example:9464",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        let answer = ask(host);
        if !answer.starts_with("HTTP/1.1 4") {
            wrong.push(format!("host {host} got {answer:.40}"));
        }
    }
    for host in ["localhost", "127.0.0.1", &admin.to_string(), "[::1]"] {
        let answer = ask(host);
        if !answer.starts_with("HTTP/1.1 200") {
            wrong.push(format!("host {host} got {answer:.40}"));
        }
    }
    wrong
}

/// Floods HTTP/2 connections with frames; after a GOAWAY or a close it connects again.
fn frames(address: SocketAddr, begin: &[u8], more: impl Fn(u32) -> Vec<u8> + Sync) {
    on_threads(2, |goes_on| {
        while goes_on.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(address) else {
                continue;
            };
            let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = stream.write_all(&[PREFACE, &settings(&[]), begin].concat());
            for number in 0.. {
                let piece: Vec<u8> = (0..64)
                    .flat_map(|at| more(2 * (64 * number + at) + 1))
                    .collect();
                if !goes_on.load(Ordering::Relaxed) || stream.write_all(&piece).is_err() {
                    break;
                }
            }
        }
    });
}

fn request_fields() -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/orders/7"),
    ])
}

#[test]
fn whatever_floods_it_the_service_answers_for_its_health() {
    let half = HALF_HEADS.min(descriptors().saturating_sub(200) / 2);
    let target = Target::start();
    let (admin, app) = (target.admin, target.app);
    let mut failures = Vec::new();
    let mut flood = |name: &str, act: &dyn Fn() -> Vec<String>| {
        failures.extend(target.flood(name, |_| act()));
    };
    let none = Vec::<String>::new;
    flood("foreign hosts", &|| foreign_hosts(admin));
    flood(&format!("{half} half heads, admin"), &|| {
        half_heads(admin, half)
    });
    flood(&format!("{half} half heads, app"), &|| {
        half_heads(app, half)
    });
    flood("64 connections that always ask", &|| {
        on_threads(64, |goes_on| always_asking(admin, goes_on));
        none()
    });
    flood(&format!("{CONNECTS} connects, admin"), &|| connects(admin));
    flood("200 scrapers at once", &|| {
        let got = thread::scope(|scope| {
            let scrapes: Vec<_> = (0..200).map(|_| scope.spawn(|| scrape(admin))).collect();
            let scrapes = scrapes
                .into_iter()
                .map(|got| got.join().expect("an outcome"));
            scrapes.collect::<Vec<_>>()
        });
        wrong_among(&got)
    });
    flood("16 slow readers", &|| slow_readers(admin));
    flood("20,000 pipelined requests, admin", &|| {
        pipelined(admin, "/health")
    });
    flood("20,000 pipelined requests, app", &|| {
        pipelined(app, "/orders/7")
    });
    flood("heads of megabytes, admin", &|| oversize_heads(admin));
    flood("heads of megabytes, app", &|| oversize_heads(app));
    flood("hidden requests, admin", &|| smuggled(admin));
    flood("hidden requests, app", &|| smuggled(app));
    flood("rapid reset, app", &|| {
        frames(app, b"", |stream| {
            let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request_fields());
            [request, reset(stream, 8)].concat()
        });
        none()
    });
    flood("continuations for ever, app", &|| {
        let begin = frame(HEADERS, 0, 1, &request_fields());
        let more = frame(CONTINUATION, 0, 1, &block(&[("x-more", "and more")]));
        frames(app, &begin, |_| more.clone());
        none()
    });
    flood("pings and settings for ever, app", &|| {
        let more = [frame(PING, 0, 0, &[0; 8]), settings(&[(4, 65_535)])].concat();
        frames(app, b"", |_| more.clone());
        none()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    target.service.end();
}
