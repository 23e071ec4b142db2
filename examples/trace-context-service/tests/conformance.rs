//! The program as its clients see it: raw requests in, raw requests out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The running program, killed at the end of the test.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trace-context-service"))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap();
        let address = address.parse().unwrap();
        Service { child, address }
    }

    /// Sends a request with these header lines unchanged, and returns the response.
    fn post(&self, lines: &[&[u8]], body: &str) -> String {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!(
            "POST /test HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        )
        .into_bytes();
        for line in lines {
            request.extend_from_slice(line);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_bytes());
        connection.write_all(&request).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A request as received over the wire.
#[derive(Debug)]
struct Seen {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn all(&self, name: &str) -> Vec<&str> {
        let all = self.headers.iter();
        all.filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns the parts of the only `traceparent`, and asserts that it is valid.
    fn traceparent(&self) -> [String; 3] {
        let all = self.all("traceparent");
        assert_eq!(all.len(), 1, "{self:?}");
        let parts: Vec<&str> = all[0].split('-').collect();
        let [version, trace, span, flags] = parts[..] else {
            panic!("{}", all[0]);
        };
        assert_eq!(
            (version, trace.len(), span.len(), flags.len()),
            ("00", 32, 16, 2)
        );
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        for part in [trace, span, flags] {
            assert!(part.chars().all(is_digit), "{part}");
        }
        for id in [trace, span] {
            assert!(id.chars().any(|c| c != '0'), "{id}");
        }
        [trace, span, flags].map(str::to_owned)
    }
}

/// A server that is called: it answers every request and reports it.
struct Sink {
    address: SocketAddr,
    seen: Receiver<Seen>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let tell = tell.clone();
                thread::spawn(move || {
                    let mut connection = BufReader::new(connection.unwrap());
                    while let Some(request) = read(&mut connection) {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull";
                        // Reported before the response, so that it is available when the client
                        // continues.
                        if tell.send(request).is_err() {
                            return;
                        }
                        connection.get_mut().write_all(answer).unwrap();
                    }
                });
            }
        });
        Sink { address, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Returns the requests since the last call.
    fn seen(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> Option<Seen> {
    let line = |connection: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        let length = connection.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = line(connection)?;
    let path = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut headers = Vec::new();
    loop {
        let header = line(connection)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen {
        path,
        headers,
        body: String::new(),
    };
    let length: usize = seen.all("content-length")[0].parse().unwrap();
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}

/// The context expected in outgoing requests, for a request with certain headers.
struct Case<'a> {
    lines: &'a [&'a [u8]],
    /// The expected flags if the trace of the request is continued; None for a new trace.
    flags: Option<&'a str>,
    tracestate: &'a [&'a str],
}

const NEW: Option<&str> = None;

#[track_caller]
fn check(service: &Service, sink: &Sink, case: &Case<'_>) {
    let said: Vec<_> = case
        .lines
        .iter()
        .map(|line| line.escape_ascii().to_string())
        .collect();
    let body = format!(r#"[{{"url":"{}","arguments":[]}}]"#, sink.url("a"));
    let answer = service.post(case.lines, &body);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{said:?}: {answer}");
    assert!(answer.ends_with("\r\n\r\n{}"), "{said:?}: {answer}");
    let [seen] = &sink.seen()[..] else {
        panic!("{said:?}");
    };
    let [trace, span, flags] = seen.traceparent();
    assert_ne!(span, PARENT, "{said:?}");
    match case.flags {
        Some(expected) => assert_eq!(
            (trace.as_str(), flags.as_str()),
            (TRACE, expected),
            "{said:?}"
        ),
        None => assert_ne!(trace, TRACE, "{said:?}"),
    }
    assert_eq!(seen.all("tracestate"), case.tracestate, "{said:?}");
}

macro_rules! cases {
    ($([$($line:expr),*] => $flags:expr, [$($state:expr),*];)*) => {
        &[$(Case { lines: &[$($line),*], flags: $flags, tracestate: &[$($state),*] }),*]
    };
}

#[test]
fn what_comes_in_goes_on_as_the_specification_has_it() {
    let (service, sink) = (Service::start(), Sink::start());
    let ids = format!("{TRACE}-{PARENT}");
    let line = |text: String| text.into_bytes();
    let parent = line(format!("traceparent: 00-{ids}-01"));
    let parent = parent.as_slice();
    let own = |text: &str| line(text.replace("IDS", &ids));
    let [
        shouted,
        mixed,
        spaced,
        bare,
        later,
        future,
        random,
        all_flags,
    ] = [
        "TRACEPARENT: 00-IDS-01",
        "TrAcEpArEnT: 00-IDS-00",
        "traceparent: \t 00-IDS-01 \t ",
        "traceparent:00-IDS-01",
        "traceparent: cc-IDS-01",
        "traceparent: cc-IDS-03-what-will-be",
        "traceparent: 00-IDS-02",
        "traceparent: 00-IDS-ff",
    ]
    .map(own);
    let [ff, dot, longer, short, upper, list, name] = [
        "traceparent: ff-IDS-01",
        "traceparent: cc-IDS-01.x",
        "traceparent: 00-IDS-01-x",
        "traceparent: 00-IDS-1",
        "traceparent: 00-IDS-0A",
        "traceparent: 00-IDS-01,00-IDS-01",
        "trace-parent: 00-IDS-01",
    ]
    .map(own);
    let zero_trace = line(format!("traceparent: 00-{}-{PARENT}-01", "0".repeat(32)));
    let zero_span = line(format!("traceparent: 00-{TRACE}-{}-01", "0".repeat(16)));
    let members = |count| {
        (0..count)
            .map(|at| format!("m{at}=v"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let (most, more) = (members(32), members(33));
    let (most_line, more_line) = (
        line(format!("tracestate: {most}")),
        line(format!("tracestate: {more}")),
    );
    let cases: &[Case<'_>] = cases![
        [] => NEW, [];
        [parent] => Some("01"), [];
        [&shouted] => Some("01"), [];
        [&mixed] => Some("00"), [];
        [&spaced] => Some("01"), [];
        [&bare] => Some("01"), [];
        [&later] => Some("01"), [];
        [&future] => Some("03"), [];
        [&random] => Some("02"), [];
        [&all_flags] => Some("03"), [];
        [&ff] => NEW, [];
        [&dot] => NEW, [];
        [&longer] => NEW, [];
        [&short] => NEW, [];
        [&upper] => NEW, [];
        [&list] => NEW, [];
        [&name] => NEW, [];
        [&zero_trace] => NEW, [];
        [&zero_span] => NEW, [];
        [b"traceparent:"] => NEW, [];
        [b"traceparent: \xff\xfe"] => NEW, [];
        [parent, parent] => NEW, [];
        [parent, &ff] => NEW, [];
        [parent, b"tracestate: a=1,a=2", &shouted] => NEW, [];
        [b"tracestate: a=1"] => NEW, [];
        [&ff, b"tracestate: a=1"] => NEW, [];
        [parent, b"tracestate: a=1,b=2"] => Some("01"), ["a=1,b=2"];
        [b"TRACESTATE: a=1", parent, b"TraceState: b=2"] => Some("01"), ["a=1,b=2"];
        [parent, b"tracestate:", b"tracestate: a=1", b"tracestate: \t"] => Some("01"), ["a=1"];
        [parent, b"tracestate: \ta=1 \t,\t b= 2,,"] => Some("01"), ["a=1,b= 2"];
        [parent, b"tracestate: a=1", b"tracestate: b=2", b"tracestate: a=3"]
            => Some("01"), ["a=1,b=2"];
        [parent, b"tracestate: a@=1,b@@c=2"] => Some("01"), ["a@=1,b@@c=2"];
        [parent, &most_line] => Some("01"), [most.as_str()];
        [parent, &more_line] => Some("01"), [];
        [parent, b"tracestate: a=1,B=2"] => Some("01"), [];
        [parent, b"tracestate: a =1"] => Some("01"), [];
        [parent, b"tracestate: @a=1,b=2"] => Some("01"), [];
        [parent, b"tracestate: a=1=2"] => Some("01"), [];
        [parent, b"tracestate: a=\xc3\xa9"] => Some("01"), [];
        [parent, b"tracestate: a=1", b"tracestate: nonsense"] => Some("01"), [];
        [parent, b"trace-state: a=1"] => Some("01"), [];
    ];
    for case in cases {
        check(&service, &sink, case);
    }
}

#[test]
fn calls_are_made_in_order_each_with_its_own_span() {
    let (service, sink) = (Service::start(), Sink::start());
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    let entry = |path: &str, arguments: &str| {
        format!(r#"{{"url":"{}","arguments":{arguments}}}"#, sink.url(path))
    };
    let nested = entry("inner", "[ ]");
    let body = format!(
        "[{},{},{}]",
        entry("1", "[]"),
        entry("2", &format!("[{nested}]")),
        entry("3", "[]")
    );
    let answer = service.post(&[parent.as_bytes()], &body);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = sink.seen();
    assert_eq!(
        seen.iter()
            .map(|seen| seen.path.as_str())
            .collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    let sent: Vec<serde_json::Value> = seen
        .iter()
        .map(|seen| serde_json::from_str(&seen.body).unwrap())
        .collect();
    let expected: serde_json::Value = serde_json::from_str(&format!("[{nested}]")).unwrap();
    assert_eq!(
        sent,
        [serde_json::json!([]), expected, serde_json::json!([])]
    );
    for seen in &seen {
        assert_eq!(seen.all("content-type"), ["application/json"]);
    }
    let contexts: Vec<_> = seen.iter().map(Seen::traceparent).collect();
    assert!(
        contexts
            .iter()
            .all(|[trace, _, flags]| trace == TRACE && flags == "01")
    );
    assert!(contexts[0][1] != contexts[1][1] && contexts[1][1] != contexts[2][1]);

    // Nested lists are flattened; a call without arguments posts none.
    let listed = format!(
        r#"[[{}],[[{{"url":"{}"}}]]]"#,
        entry("4", "[]"),
        sink.url("5")
    );
    assert!(service.post(&[], &listed).ends_with("{}"));
    let seen = sink.seen();
    let seen: Vec<_> = seen.iter().map(|s| (&*s.path, &*s.body)).collect();
    assert_eq!(seen, [("4", "[]"), ("5", "[]")]);

    // Without a parent the calls share one trace, and each request gets a new one.
    let traces = [(), ()].map(|()| {
        service.post(&[], &body);
        let seen: Vec<_> = sink.seen().iter().map(Seen::traceparent).collect();
        assert_eq!(seen.len(), 3);
        assert!(
            seen.iter()
                .all(|[trace, _, flags]| *trace == seen[0][0] && flags == "03")
        );
        seen[0][0].clone()
    });
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn a_chain_through_the_service_itself_is_one_trace() {
    let (service, sink) = (Service::start(), Sink::start());
    let own = format!("http://{}/test", service.address);
    let end = format!(r#"[{{"url":"{}","arguments":[]}}]"#, sink.url("end"));
    let body = format!(r#"[{{"url":"{own}","arguments":[{{"url":"{own}","arguments":{end}}}]}}]"#);
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-00");
    let lines: [&[u8]; 3] = [
        parent.as_bytes(),
        b"tracestate: a=1",
        b"baggage: user=al%C3%AFce, b = 2",
    ];
    assert!(service.post(&lines, &body).ends_with("{}"));
    let [seen] = &sink.seen()[..] else {
        panic!("one call at the end");
    };
    assert_eq!(seen.traceparent()[0], TRACE);
    assert_eq!(seen.all("tracestate"), ["a=1"]);
    assert_eq!(seen.all("baggage"), ["user=al%C3%AFce,b=2"]);
}

#[test]
fn what_cannot_be_done_is_told() {
    let service = Service::start();
    for nothing in ["[]", "[[]]", "[[[ ],[]]]"] {
        let answer = service.post(&[], nothing);
        assert!(answer.ends_with("\r\n\r\n{}"), "{nothing}: {answer}");
    }
    for body in ["", "{}", "[1]", "[[1]]", r#"[{"url":1,"arguments":[]}]"#] {
        let answer = service.post(&[], body);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body}: {answer}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [
        format!("http://{nobody}/"),
        "no url".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
    ] {
        let body = format!(r#"[{{"url":"{url}","arguments":[]}}]"#);
        let answer = service.post(&[], &body);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{url}: {answer}");
    }
}
