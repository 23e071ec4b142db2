//! Tests of requests over HTTP, and of the meaning of each response.

use std::io::Read;
use std::time::{Duration, SystemTime};

use barograph_export::client::{ClientConfig, Compression, Endpoint, Protocol};
use barograph_export::{Outcome, PartialSuccess};

use crate::runner::{Runner, http, json, json_request, request};
use crate::server::{Server, answer, ok, responds, responds_in_turn};

#[test]
fn a_request_arrives_as_it_was_written() {
    let server = Server::start(responds(ok()));
    let request = request(100_000);
    assert_eq!(Runner::http(server.port).delivered(&request), None);
    let received = &server.received()[0];
    assert_eq!(received.line, "POST /v1/metrics HTTP/1.1");
    assert_eq!(
        received.header("host").unwrap(),
        format!("127.0.0.1:{}", server.port)
    );
    assert_eq!(
        received.header("content-type"),
        Some("application/x-protobuf")
    );
    assert_eq!(received.header("content-encoding"), None);
    assert_eq!(received.header("accept-encoding"), Some("gzip"));
    let user_agent = concat!("barograph-otlp-exporter-rust/", env!("CARGO_PKG_VERSION"));
    assert_eq!(received.header("user-agent"), Some(user_agent));
    assert_eq!(received.body, request.body);
}

#[test]
fn json_is_named_so() {
    let server = Server::start(responds(answer("200 OK", &[], b"{}")));
    let mut runner = Runner::new(json(server.port));
    assert_eq!(runner.delivered(&json_request()), None);
    assert_eq!(
        server.received()[0].header("content-type"),
        Some("application/json")
    );
    assert_eq!(server.received()[0].body, json_request().body);
    // A request in another encoding is not sent.
    assert_eq!(runner.refused(&request(1)).error_type, "encoding");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_signals_own_endpoint_is_taken_as_it_is() {
    let server = Server::start(responds(ok()));
    let url = format!("http://127.0.0.1:{}/in/here?a=b", server.port);
    let endpoint = Endpoint::parse(Protocol::HttpProtobuf, &url).unwrap();
    Runner::new(ClientConfig::new(endpoint.clone())).delivered(&request(1));
    let exact = endpoint.with_exact_path();
    Runner::new(ClientConfig::new(exact)).delivered(&request(1));
    let lines: Vec<_> = server
        .received()
        .into_iter()
        .map(|received| received.line)
        .collect();
    let expected = [
        "POST /in/here/v1/metrics?a=b HTTP/1.1",
        "POST /in/here?a=b HTTP/1.1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn requests_are_compressed() {
    let server = Server::start(responds(ok()));
    let request = request(100_000);
    Runner::new(http(server.port).with_compression(Compression::Gzip)).delivered(&request);
    let gzip = &server.received()[0];
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*gzip.body)
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, request.body);
    #[cfg(feature = "zstd")]
    {
        Runner::new(http(server.port).with_compression(Compression::Zstd)).delivered(&request);
        let zstd = &server.received()[1];
        assert_eq!(zstd.header("content-encoding"), Some("zstd"));
        assert_eq!(zstd::decode_all(&*zstd.body).unwrap(), request.body);
    }
}

#[test]
fn four_statuses_are_retried_and_no_other() {
    let statuses = [
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (408, false),
        (413, false),
        (415, false),
        (425, false),
        (429, true),
        (500, false),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (505, false),
        (511, false),
        (599, false),
    ];
    let answers = statuses.map(|(status, _)| answer(&format!("{status} X"), &[], b"out of tea"));
    let server = Server::start(responds_in_turn(answers.to_vec()));
    let mut runner = Runner::http(server.port);
    for (status, is_repeated) in statuses {
        match runner.send(&request(10)) {
            Outcome::Retryable(retryable) => {
                assert!(is_repeated, "{status}");
                assert_eq!(retryable.error_type, status.to_string());
                assert!(
                    retryable.message.ends_with("out of tea"),
                    "{}",
                    retryable.message
                );
                assert_eq!(retryable.retry_after, None);
                // A gateway cannot know.
                assert_eq!(
                    retryable.may_have_arrived,
                    matches!(status, 502 | 504),
                    "{status}"
                );
            }
            Outcome::Permanent(permanent) => {
                assert!(!is_repeated, "{status}");
                assert_eq!(permanent.error_type, status.to_string());
                assert!(
                    permanent.message.ends_with("out of tea"),
                    "{}",
                    permanent.message
                );
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    // Failures keep the connection open.
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_receiver_that_is_unavailable_first_is_delivered_to_later() {
    let server = Server::start(responds_in_turn(vec![
        answer("503 Service Unavailable", &[], b""),
        ok(),
    ]));
    let mut runner = Runner::http(server.port);
    let retryable = runner.retryable(&request(10));
    assert_eq!(retryable.message, "503 Service Unavailable");
    assert_eq!(runner.delivered(&request(10)), None);
}

#[test]
fn retry_after_is_in_seconds_or_a_date() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3_600));
    let throttled = |value| answer("429 Too Many Requests", &[("Retry-After", value)], b"");
    let answers = [throttled("17"), throttled(&date), throttled("later")];
    let server = Server::start(responds_in_turn(answers.to_vec()));
    let mut runner = Runner::http(server.port);
    assert_eq!(
        runner.retryable(&request(1)).retry_after,
        Some(Duration::from_secs(17))
    );
    let until = runner.retryable(&request(1)).retry_after.unwrap().as_secs();
    assert!((3_000..=3_600).contains(&until), "{until}");
    assert_eq!(runner.retryable(&request(1)).retry_after, None);
}

#[test]
fn partial_success_is_read_in_both_encodings() {
    let no = |rejected, message: &str| {
        Some(PartialSuccess {
            rejected,
            message: message.to_owned(),
        })
    };
    let protobuf = |body: &[u8]| {
        answer(
            "200 OK",
            &[("content-type", "application/x-protobuf")],
            body,
        )
    };
    let json = |body: &[u8]| {
        answer(
            "200 OK",
            &[("content-type", "application/json; charset=utf-8")],
            body,
        )
    };
    for (answer, expected) in [
        (protobuf(b"\x0a\x07\x08\x03\x12\x03old"), no(3, "old")),
        (protobuf(b"\x0a\x05\x12\x03hot"), no(0, "hot")),
        (protobuf(b"\x0a\x00"), None),
        (
            json(br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}"#),
            no(3, "old"),
        ),
        (json(br#"{"partialSuccess":{}}"#), None),
        (json(br"{}"), None),
        // More items rejected than were sent, and a negative number.
        (protobuf(b"\x0a\x03\x08\xff\x7f"), no(10, "")),
        (
            protobuf(b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            None,
        ),
    ] {
        let server = Server::start(responds(answer.clone()));
        let got = Runner::http(server.port).delivered(&request(1));
        assert_eq!(got, expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn a_success_that_cannot_be_read_is_one_with_a_warning() {
    let protobuf = [("content-type", "application/x-protobuf")];
    let gzip = [("content-encoding", "gzip")];
    for answer in [
        answer("200 OK", &protobuf, b"\xff\xff\xff"),
        answer("200 OK", &[("content-type", "application/json")], b"{"),
        answer(
            "200 OK",
            &[("content-type", "text/html")],
            b"<h1>Welcome</h1>",
        ),
        answer("200 OK", &[], b"Welcome"),
        answer("200 OK", &gzip, b"not gzip"),
    ] {
        let server = Server::start(responds(answer));
        let partial = Runner::http(server.port).delivered(&request(1)).unwrap();
        assert_eq!(partial.rejected, 0);
        assert_eq!(
            partial.message,
            "accepted, but the response is not valid OTLP"
        );
    }
}

#[test]
fn responses_may_be_compressed() {
    let body = gzipped(b"\x0a\x07\x08\x03\x12\x03old");
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
    ];
    let server = Server::start(responds(answer("200 OK", &headers, &body)));
    let partial = Runner::http(server.port).delivered(&request(1)).unwrap();
    assert_eq!((partial.rejected, &*partial.message), (3, "old"));
}

#[test]
fn the_message_of_a_failure_is_found_cut_and_escaped() {
    let status = |kind, body: &[u8]| answer("400 Bad Request", &[("content-type", kind)], body);
    let long = "x".repeat(100_000);
    for (answer, expected) in [
        (
            status("application/x-protobuf", b"\x08\x03\x12\x05no\x1b[m"),
            "400 Bad Request: no\\u{1b}[m",
        ),
        (
            status("application/json", br#"{"code":3,"message":"no\nway"}"#),
            "400 Bad Request: no\\nway",
        ),
        (
            status("text/plain", b"bad \xff\r\n"),
            "400 Bad Request: bad \u{fffd}",
        ),
        (status("application/json", b"oops"), "400 Bad Request: oops"),
        (
            status("text/plain", long.as_bytes()),
            "400 Bad Request: xxx",
        ),
    ] {
        let server = Server::start(responds(answer));
        let message = Runner::http(server.port).refused(&request(1)).message;
        assert!(
            message.starts_with(expected) && message.len() < 520,
            "{message}"
        );
        assert!(
            message.len() == expected.len() || message.ends_with('…'),
            "{message}"
        );
    }
}

#[test]
fn redirections_are_refused() {
    let elsewhere = Server::start(responds(ok()));
    let url = format!(
        "http://me:hunter2@127.0.0.1:{}/v1/metrics?key=hunter2",
        elsewhere.port
    );
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let server = Server::start(responds(answer(status, &[("location", &url)], b"")));
        let permanent = Runner::http(server.port).refused(&request(1));
        assert_eq!(permanent.error_type, status[..3]);
        assert!(
            permanent
                .message
                .contains("redirection to http://***@127.0.0.1"),
            "{}",
            permanent.message
        );
        assert!(
            !permanent.message.contains("hunter2"),
            "{}",
            permanent.message
        );
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[test]
fn a_request_that_is_too_large_is_not_sent() {
    let server = Server::start(responds(ok()));
    let config = http(server.port).with_compression(Compression::Gzip);
    let mut large = request(0);
    large.body = vec![0; (64 << 20) + 1].into();
    for config in [http(server.port), config] {
        let permanent = Runner::new(config).refused(&large);
        assert_eq!(permanent.error_type, "too_large");
    }
    assert_eq!(server.accepted(), 0);
    large.body = vec![0; 64 << 20].into();
    assert_eq!(Runner::http(server.port).delivered(&large), None);
    assert_eq!(server.received()[0].body.len(), 64 << 20);
}

// With zstd, which is written in C: in a debug build gzip would take half a minute.
#[cfg(feature = "zstd")]
#[test]
fn a_request_that_compression_makes_too_large_is_not_sent() {
    let server = Server::start(responds(ok()));
    let mut noisy = request(0);
    // Noise, which compression only makes longer.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    // Longer than the window of zstd.
    let noise: Vec<u8> = noise.take((4 << 20) / 8).flatten().collect();
    noisy.body = noise.repeat(16).into();
    let config = http(server.port).with_compression(Compression::Zstd);
    let permanent = Runner::new(config).refused(&noisy);
    assert_eq!(permanent.error_type, "too_large");
    assert!(
        permanent.message.contains("compressed"),
        "{}",
        permanent.message
    );
    assert_eq!(server.accepted(), 0);
}

pub(crate) fn gzipped(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
