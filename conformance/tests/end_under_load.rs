//! SIGTERM in many situations: the service ends within its time limits, and everything that can be
//! delivered is delivered.

use std::{
    any::Any,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use conformance::{
    fake_receiver::{Behavior, FakeReceiver},
    frames::{PREFACE, headers, settings},
    load,
    service::{Variables, command, free_address, target_program},
    target::{SIGNALS, Target, arguments_for},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The time limit of requests in progress at shutdown; short, so that the whole table takes
/// seconds.
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// The time limit of telemetry after that.
const TELEMETRY_TIME: Duration = Duration::from_secs(5);
/// The time that shutdown may take beyond its limits.
const TOLERANCE: Duration = Duration::from_millis(500);
/// The number of orders before shutdown, each with a span and a log record.
const ORDERS: u64 = 20;

/// Connections that are held until the service has ended.
type Held = Box<dyn Any + Send>;

/// A situation in which a service is asked to end.
struct Case {
    name: &'static str,
    arguments: Vec<String>,
    /// Starts the load that is in progress at shutdown.
    load: fn(&Target) -> Held,
    limit: Duration,
    /// The expected exit status of the process.
    status: i32,
    /// The text that must have arrived, and the number of times.
    arrives: Option<(String, usize)>,
}

impl Case {
    /// A case in which everything recorded arrives, and no long request is in progress.
    fn quick(name: &'static str, load: fn(&Target) -> Held) -> Self {
        Self {
            name,
            arguments: Vec::new(),
            load,
            limit: TELEMETRY_TIME,
            status: 0,
            arrives: Some((" read".to_owned(), ORDERS as usize)),
        }
    }

    /// A case with requests that do not end by themselves.
    fn with_requests(self) -> Self {
        Self {
            limit: REQUEST_TIME + TELEMETRY_TIME,
            ..self
        }
    }

    /// A case in which the process is forced to exit, since requests block its threads.
    fn cut(self) -> Self {
        Self {
            status: 124,
            ..self.with_requests()
        }
    }

    fn with_argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn arriving(self, arrives: impl Into<Option<(&'static str, usize)>>) -> Self {
        let arrives = arrives.into().map(|(text, times)| (text.to_owned(), times));
        Self { arrives, ..self }
    }

    /// Runs the case; returns a line of the table, and the failures.
    fn run(mut self) -> (String, Vec<String>) {
        self.arguments
            .push(format!("request_time={}", REQUEST_TIME.as_millis()));
        let target = Target::start(&self.arguments);
        load::send_bare(&target.service.url(), ORDERS);
        let held = (self.load)(&target);
        // So that the service is in the middle of the load.
        thread::sleep(Duration::from_millis(200));
        let Target { receivers, service } = target;
        let ended = service.into_child().terminate();
        drop(held);
        let mut wrong = Vec::new();
        if ended.took > self.limit + TOLERANCE {
            wrong.push(format!("ends after {:?}", ended.took));
        }
        if ended.status.code() != Some(self.status) || ended.log.contains("panicked") {
            wrong.push(format!("ends with {}", ended.status));
        }
        if let Some((text, times)) = &self.arrives {
            let came = receivers[2].count(text);
            if came < *times {
                wrong.push(format!("{came} of {times} log records with `{text}` came"));
            }
        }
        let line = format!(
            "{:42} {:6.2} s of {:4.1}",
            self.name,
            ended.took.as_secs_f64(),
            self.limit.as_secs_f64()
        );
        let wrong = wrong
            .into_iter()
            .map(|wrong| format!("{}: {wrong}", self.name));
        (line, wrong.collect())
    }
}

/// Opens this number of connections and sends the bytes on each.
fn connect(url: &str, times: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let address = url.trim_start_matches("http://");
    let connect = |_| {
        let mut stream = TcpStream::connect(address).expect("the service listens");
        stream
            .write_all(bytes)
            .expect("a new connection takes a little");
        stream
    };
    (0..times).map(connect).collect()
}

fn get(target: &Target, times: usize, path: &str) -> Held {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    Box::new(connect(&target.service.url(), times, request.as_bytes()))
}

fn send(target: &Target, times: usize, bytes: &[u8]) -> Held {
    Box::new(connect(&target.service.url(), times, bytes))
}

/// Sends an HTTP/2 request whose response is an endless stream.
fn stream(target: &Target, fields: &[(&str, &str)]) -> Held {
    let bytes = [PREFACE, &settings(&[]), &headers(1, 1, fields)].concat();
    send(target, 1, &bytes)
}

/// Sends orders whose spans and records are queued while the receivers accept nothing.
fn while_receivers(target: &Target, behavior: &Behavior) -> Held {
    target.behave(behavior);
    load::send_bare(&target.service.url(), ORDERS);
    Box::new(())
}

fn hanging() -> Behavior {
    Behavior::on_request("no answer", conformance::fake_receiver::Peer::hold)
}

fn cases() -> Vec<Case> {
    vec![
        Case::quick("nothing", |_| Box::new(())),
        Case::quick("workers blocked, 20 requests of 20 s", |target| {
            get(target, 20, "/block/20000")
        })
        .cut(),
        Case::quick("50 requests that end within the limit", |target| {
            get(target, 50, "/wait/1000")
        })
        .with_requests()
        .arriving(("waited for 1000 ms", 50)),
        Case::quick("1,000 requests that do not end", |target| {
            get(target, 1_000, "/wait/60000")
        })
        .with_requests(),
        Case::quick("200 half heads", |target| {
            send(target, 200, b"GET /orders/1 HTTP/1.1\r\nhost: loc")
        })
        .with_requests(),
        Case::quick("half a preface of HTTP/2", |target| {
            send(target, 10, &PREFACE[..11])
        })
        .with_requests(),
        Case::quick("a preface and no settings", |target| {
            send(target, 10, PREFACE)
        })
        .with_requests(),
        Case::quick("idle connections", |target| {
            Box::new(connect(&target.service.url(), 100, b""))
        })
        .with_requests(),
        Case::quick("a body that does not end", |target| {
            let head =
                b"POST /shop.Orders/Watch HTTP/1.1\r\nhost: h\r\ncontent-length: 99\r\n\r\nx";
            send(target, 1, head)
        })
        .with_requests(),
        Case::quick("a connection that was upgraded", |target| {
            let head =
                b"GET /socket HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
            send(target, 5, head)
        })
        .with_requests(),
        Case::quick("server-sent events", |target| get(target, 5, "/events")).with_requests(),
        Case::quick("a stream over HTTP/2", |target| {
            let fields = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", "/events"),
            ];
            stream(target, &fields)
        })
        .with_requests(),
        Case::quick("a stream of gRPC", |target| {
            let fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", "/shop.Orders/Watch"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ];
            stream(target, &fields)
        })
        .with_requests(),
        Case::quick("receivers that hang", |target| {
            while_receivers(target, &hanging())
        })
        .arriving(None),
        Case::quick("receivers that hang, default timeouts", |target| {
            while_receivers(target, &hanging())
        })
        .with_argument("request_timeout=10000")
        .arriving(None),
        Case::quick("receivers that close", |target| {
            let closing =
                Behavior::on_accept("close", |_| Err(conformance::fake_receiver::Peer::done()));
            while_receivers(target, &closing)
        })
        .arriving(None),
        Case::quick("a queue that is full", |target| {
            target.behave(&hanging());
            load::send_bare(&target.service.url(), 100);
            Box::new(())
        })
        .with_argument("queue=8")
        .arriving(None),
        Case::quick("10,000 open spans", |target| {
            target.service.ask("/open/10000");
            Box::new(())
        }),
        Case::quick("a flood of log lines", |target| {
            target.service.ask("/lines/1000000000");
            Box::new(())
        })
        .arriving(None),
        Case::quick("scrapes that are not read, half heads", |target| {
            let admin = format!("http://{}", target.service.page_address());
            let mut held = connect(
                &admin,
                20,
                b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n",
            );
            held.extend(connect(&admin, 20, b"GET /metrics HTTP/1.1\r\nho"));
            Box::new(held)
        }),
    ]
}

#[test]
fn whatever_a_service_does_it_ends_in_time_and_delivers() {
    let runs = thread::scope(|scope| {
        let runs = cases().into_iter().map(|case| {
            let name = case.name;
            (name, scope.spawn(|| case.run()))
        });
        let mut runs: Vec<_> = runs.collect();
        runs.push(("stderr that is not read", scope.spawn(unread_stderr)));
        let away = scope.spawn(receivers_away_with_persistent_queue);
        runs.push(("receivers away, persistent queue", away));
        let runs = runs.into_iter().map(|(name, run)| {
            let failed = |_| {
                (
                    format!("{name:42} failed"),
                    vec![format!("{name}: see above")],
                )
            };
            run.join().unwrap_or_else(failed)
        });
        runs.collect::<Vec<_>>()
    });
    let mut failures = Vec::new();
    for (line, wrong) in runs {
        println!("{line}");
        failures.extend(wrong);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Runs a service whose stderr is no longer read while it writes many lines.
fn unread_stderr() -> (String, Vec<String>) {
    let name = "stderr that is not read";
    let receivers: Vec<FakeReceiver> = SIGNALS.map(|_| FakeReceiver::that_keeps_bodies()).into();
    let address = free_address();
    let variables = Variables::from([("RUST_LOG", "info".to_owned())]);
    let mut child = command(&target_program(), address, &variables)
        .args(arguments_for(&receivers))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the service starts");
    // Read the start of the output, and then nothing more.
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let mut start = [0; 16];
    stderr.read_exact(&mut start).expect("a start line");
    while TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    let url = format!("http://{address}");
    load::send_bare(&url, ORDERS);
    let mut flood = ureq::get(format!("{url}/lines/20000"))
        .call()
        .expect("an answer");
    flood.body_mut().read_to_string().expect("a text");
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let (mut took, mut wrong) = (None, Vec::new());
    while begun.elapsed() < 3 * TELEMETRY_TIME && took.is_none() {
        took = child
            .try_wait()
            .expect("a child can be asked")
            .map(|_| begun.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    let took = took.unwrap_or(begun.elapsed());
    if took > TELEMETRY_TIME + TOLERANCE {
        wrong.push(format!("{name}: ends after {took:?}"));
    }
    let came = receivers[2].count(" read");
    if came < ORDERS as usize {
        wrong.push(format!("{name}: {came} of {ORDERS} log records came"));
    }
    let limit = TELEMETRY_TIME.as_secs_f64();
    (
        format!("{name:42} {:6.2} s of {limit:4.1}", took.as_secs_f64()),
        wrong,
    )
}

/// Checks that undelivered telemetry is persisted, and delivered by the next process.
fn receivers_away_with_persistent_queue() -> (String, Vec<String>) {
    let name = "receivers away, persistent queue";
    let directory = TempDir::with_prefix("barograph-queue-").expect("a directory");
    let arguments = [format!("queue_dir={}", directory.path().display())];
    let mut target = Target::start(&arguments);
    for receiver in &mut target.receivers {
        receiver.stop();
    }
    load::send_bare(&target.service.url(), ORDERS);
    let Target {
        mut receivers,
        service,
    } = target;
    let ended = service.into_child().terminate();
    let mut wrong = Vec::new();
    if ended.took > TELEMETRY_TIME + TOLERANCE {
        wrong.push(format!("{name}: ends after {:?}", ended.took));
    }
    for receiver in &mut receivers {
        receiver.resume();
    }
    let target = Target::start_with(receivers, &arguments);
    let all_came = |number: usize, receiver: &FakeReceiver| match SIGNALS[number] {
        "logs" => receiver.count(" read") >= ORDERS as usize,
        "traces" => receiver.count("look up") >= ORDERS as usize,
        _ => receiver.taken() > 0,
    };
    let missing = target.wait_for(Duration::from_secs(20), all_came);
    if !missing.is_empty() {
        let left = fs::read_dir(directory.path()).map(Iterator::count);
        wrong.push(format!(
            "{name}: {missing:?} did not come after it: {left:?}"
        ));
    }
    let limit = TELEMETRY_TIME.as_secs_f64();
    (
        format!(
            "{name:42} {:6.2} s of {limit:4.1}",
            ended.took.as_secs_f64()
        ),
        wrong,
    )
}
