//! Tests of requests over gRPC, and of the meaning of each response.

use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use barograph_export::client::Compression;
use barograph_export::{Outcome, PartialSuccess};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::StatusCode;

use crate::grpc_server::{End, GrpcServer, Reply, framed, unframed};
use crate::http::gzipped;
use crate::runner::{Runner, grpc, json_request, request};

/// A server that sends these replies in turn, and then repeats the last one.
fn replies(replies: Vec<Reply>) -> GrpcServer {
    let replies = Mutex::new(replies);
    GrpcServer::start(move |_| {
        let mut replies = replies.lock().unwrap();
        match replies.len() {
            1 => replies[0].clone(),
            _ => replies.remove(0),
        }
    })
}

#[test]
fn a_call_arrives_as_it_was_written() {
    let server = replies(vec![Reply::new(0, b"")]);
    // More than the windows of HTTP/2 accept at once.
    let request = request(8 << 20);
    assert_eq!(Runner::grpc(server.port).delivered(&request), None);
    let call = &server.calls()[0];
    assert_eq!(
        call.path,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    );
    let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("application/grpc"));
    assert_eq!(header("te"), Some("trailers"));
    assert_eq!(header("grpc-encoding"), None);
    assert!(
        header("user-agent")
            .unwrap()
            .starts_with("barograph-otlp-exporter-rust/")
    );
    assert_eq!(unframed(&call.body), (0, &*request.body));
}

#[test]
fn calls_are_compressed() {
    let server = replies(vec![Reply::new(0, b"")]);
    let request = request(100_000);
    Runner::new(grpc(server.port).with_compression(Compression::Gzip)).delivered(&request);
    let gzip = &server.calls()[0];
    assert_eq!(gzip.headers["grpc-encoding"], "gzip");
    let (flag, message) = unframed(&gzip.body);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(message)
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!((flag, &*plain), (1, &*request.body));
    #[cfg(feature = "zstd")]
    {
        Runner::new(grpc(server.port).with_compression(Compression::Zstd)).delivered(&request);
        let zstd = &server.calls()[1];
        assert_eq!(zstd.headers["grpc-encoding"], "zstd");
        let (flag, message) = unframed(&zstd.body);
        let plain = zstd::decode_all(message).unwrap();
        assert_eq!((flag, &*plain), (1, &*request.body));
    }
}

#[test]
fn six_statuses_are_retried_and_no_other() {
    let repeated = [
        (1, "CANCELLED"),
        (4, "DEADLINE_EXCEEDED"),
        (10, "ABORTED"),
        (11, "OUT_OF_RANGE"),
        (14, "UNAVAILABLE"),
        (15, "DATA_LOSS"),
    ];
    let server = replies(
        (1..=18)
            .map(|code| Reply::new(code, b"").with("grpc-message", "50%25 %C3%A4"))
            .collect(),
    );
    let mut runner = Runner::grpc(server.port);
    for code in 1..=18 {
        let found = repeated.iter().find(|(repeated, _)| *repeated == code);
        match (runner.send(&request(10)), found) {
            (Outcome::Retryable(retryable), Some((_, name))) => {
                assert_eq!(retryable.error_type, *name);
                assert_eq!(retryable.message, format!("{name}: 50% ä"));
                assert_eq!(retryable.may_have_arrived, matches!(code, 1 | 4), "{name}");
                assert_eq!(retryable.retry_after, None);
            }
            (Outcome::Permanent(permanent), None) => {
                assert!(
                    permanent.message.ends_with(": 50% ä"),
                    "{}",
                    permanent.message
                );
                // An invalid code becomes UNKNOWN.
                assert!(
                    code < 17 || permanent.error_type == "UNKNOWN",
                    "{}",
                    permanent.error_type
                );
            }
            (other, _) => panic!("{code}: {other:?}"),
        }
    }
    assert_eq!(server.accepted(), 1);
}

/// `google.rpc.Status { code: 8, details: [Any { RetryInfo { retry_delay: seconds } }] }`.
pub(crate) fn retry_info(seconds: u64) -> Vec<u8> {
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let mut delay = vec![8];
    let mut left = seconds;
    while left >= 0x80 {
        delay.push(left as u8 | 0x80);
        left >>= 7;
    }
    delay.push(left as u8);
    let info = [&[10, delay.len() as u8][..], &delay].concat();
    let any = [
        &[10, url.len() as u8][..],
        url,
        &[18, info.len() as u8],
        &info,
    ]
    .concat();
    [&[8, 8, 26, any.len() as u8][..], &any].concat()
}

#[test]
fn resource_exhausted_is_retryable_if_it_has_retry_info() {
    let exhausted = || Reply::new(8, b"");
    let padded = STANDARD.encode(retry_info(7));
    let unpadded = STANDARD_NO_PAD.encode(retry_info(9));
    assert_ne!(padded.len() % 4, unpadded.len() % 4);
    let server = replies(vec![
        exhausted().with("grpc-status-details-bin", padded),
        exhausted().with("grpc-status-details-bin", unpadded.clone()),
        Reply::new(14, b"").with("grpc-status-details-bin", unpadded),
        exhausted().with("grpc-status-details-bin", STANDARD.encode([8, 8])),
        exhausted().with("grpc-status-details-bin", "~garbage~"),
        exhausted(),
    ]);
    let mut runner = Runner::grpc(server.port);
    for (error_type, seconds) in [
        ("RESOURCE_EXHAUSTED", 7),
        ("RESOURCE_EXHAUSTED", 9),
        ("UNAVAILABLE", 9),
    ] {
        let retryable = runner.retryable(&request(10));
        assert_eq!(retryable.error_type, error_type);
        assert_eq!(retryable.retry_after, Some(Duration::from_secs(seconds)));
        assert!(!retryable.may_have_arrived);
    }
    for _ in 0..3 {
        assert_eq!(
            runner.refused(&request(10)).error_type,
            "RESOURCE_EXHAUSTED"
        );
    }
}

/// A compressed response.
fn compressed(encoding: &str, message: &[u8]) -> Reply {
    let mut reply = Reply::new(0, b"");
    reply.headers.push(("grpc-encoding", encoding.to_owned()));
    reply.body = framed(1, message);
    reply
}

#[test]
fn partial_success_is_read() {
    let partial = b"\x0a\x07\x08\x03\x12\x03old";
    let answers = vec![
        Reply::new(0, partial),
        compressed("gzip", &gzipped(partial)),
        // As sent by servers that were asked in zstd.
        #[cfg(feature = "zstd")]
        compressed("zstd", &zstd::encode_all(&partial[..], 1).unwrap()),
    ];
    let (rejected, message) = (3, "old".to_owned());
    let expected = Some(PartialSuccess { rejected, message });
    for answer in answers {
        let server = replies(vec![answer]);
        let got = Runner::grpc(server.port).delivered(&request(10));
        assert_eq!(got, expected);
    }
}

#[test]
fn a_success_that_cannot_be_read_is_one_with_a_warning() {
    let with_body = |body: &[u8]| Reply {
        body: body.to_vec(),
        ..Reply::new(0, b"")
    };
    let server = replies(vec![
        with_body(b""),
        with_body(b"\0\0"),
        with_body(b"\0\0\0\0\x09abc"),
        with_body(b"\x07\0\0\0\0"),
        with_body(&framed(1, b"compressed by nobody knows what")),
        with_body(&framed(0, b"\xff\xff")),
    ]);
    let mut runner = Runner::grpc(server.port);
    for _ in 0..6 {
        let partial = runner.delivered(&request(10)).unwrap();
        assert_eq!((partial.rejected, partial.message.is_empty()), (0, false));
    }
}

#[test]
fn a_response_is_read_up_to_a_limit() {
    let zeros = vec![0; 16 << 20];
    let answers = vec![
        Reply::new(0, &zeros),
        compressed("gzip", &gzipped(&zeros)),
        #[cfg(feature = "zstd")]
        compressed("zstd", &zstd::encode_all(&zeros[..], 1).unwrap()),
    ];
    for answer in answers {
        let server = replies(vec![answer]);
        let permanent = Runner::grpc(server.port).refused(&request(10));
        assert_eq!(permanent.error_type, "response_too_large");
    }
}

#[test]
fn a_failure_may_be_in_the_headers_alone() {
    let mut reply = Reply::new(0, b"");
    reply.body.clear();
    reply.trailers.clear();
    reply.headers.push(("grpc-status", "14".to_owned()));
    reply.headers.push(("grpc-message", "draining".to_owned()));
    let server = replies(vec![reply]);
    let retryable = Runner::grpc(server.port).retryable(&request(10));
    assert_eq!(retryable.message, "UNAVAILABLE: draining");
}

#[test]
fn a_server_without_grpc_is_judged_by_its_http_status() {
    let plain = |status: StatusCode| Reply {
        status,
        headers: vec![("content-type", "text/html".to_owned())],
        body: b"<h1>".to_vec(),
        trailers: Vec::new(),
        end: End::Trailers,
    };
    for (status, is_repeated) in [
        (StatusCode::OK, false),
        (StatusCode::FOUND, false),
        (StatusCode::UNAUTHORIZED, false),
        (StatusCode::NOT_FOUND, false),
        (StatusCode::TOO_MANY_REQUESTS, true),
        (StatusCode::INTERNAL_SERVER_ERROR, false),
        (StatusCode::BAD_GATEWAY, true),
        (StatusCode::SERVICE_UNAVAILABLE, true),
        (StatusCode::GATEWAY_TIMEOUT, true),
    ] {
        let server = replies(vec![plain(status)]);
        match Runner::grpc(server.port).send(&request(10)) {
            Outcome::Retryable(retryable) if is_repeated => {
                assert_eq!(retryable.error_type, status.as_str())
            }
            Outcome::Permanent(permanent) if !is_repeated => {
                assert_eq!(permanent.error_type, status.as_str())
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn a_response_that_breaks_off_or_never_ends_leaves_the_client_usable() {
    let ending = |end| Reply {
        end,
        ..Reply::new(0, b"")
    };
    let server = replies(vec![
        ending(End::Reset),
        ending(End::Hang),
        Reply::new(0, b""),
    ]);
    let mut runner = Runner::grpc(server.port);
    let retryable = runner.retryable(&request(10));
    assert_eq!(
        (&*retryable.error_type, retryable.may_have_arrived),
        ("connection", true)
    );
    assert_eq!(
        runner.try_for(Duration::from_millis(300), &request(10)),
        None
    );
    assert_eq!(runner.delivered(&request(10)), None);
}

#[test]
fn json_does_not_go_over_grpc() {
    let server = replies(vec![Reply::new(0, b"")]);
    assert_eq!(
        Runner::grpc(server.port)
            .refused(&json_request())
            .error_type,
        "encoding"
    );
    assert_eq!(server.accepted(), 0);
}
