//! Tests of spans as Zipkin reads them.

use barograph_encode::otlp::{Encoding, Request, Signal, Written};
use barograph_encode::zipkin::ZipkinWriter;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::resource::Resource;
use barograph_model::span::{Parent, SpanEvent, SpanKind, SpanLink, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::records;

fn shop() -> Resource {
    Resource::new()
        .with("service.name", "shop")
        .with("service.namespace", "retail")
        .with("region", "eu")
}

fn requests(writer: &mut ZipkinWriter, spans: Vec<SpanRecord>) -> Vec<Request> {
    let encoded = records::written(writer, spans).into_iter().map(|written| {
        let Written::Request(request) = written else {
            panic!("{written:?}");
        };
        assert_eq!(request.signal, Signal::Traces);
        assert_eq!(request.encoding, Encoding::Json);
        request
    });
    encoded.collect()
}

fn read(request: &Request) -> Vec<Value> {
    let spans: Vec<Value> = serde_json::from_slice(&request.body)
        .unwrap_or_else(|error| panic!("{error}: {:?}", request.body));
    assert_eq!(spans.len() as u64, request.items);
    spans
}

fn encoded(span: SpanRecord) -> Value {
    let mut requests = requests(&mut ZipkinWriter::new(&shop()), vec![span]);
    let span = read(&requests[0]).remove(0);
    let annotations = span["annotations"].as_array().into_iter().flatten();
    let times = annotations
        .chain([&span])
        .map(|it| it["timestamp"].as_u64());
    let newest = times.max().flatten().map(|micros| micros * 1000);
    assert_eq!(requests.remove(0).newest_unix_nano(), newest);
    span
}

fn bare(kind: SpanKind) -> SpanRecord {
    let context = TraceContext::new(0xabc, 0xdef, TraceFlags::SAMPLED).unwrap();
    SpanRecord {
        kind,
        start_unix_nano: 1_700_000_000_000_001_999,
        end_unix_nano: 1_700_000_000_000_001_999,
        ..SpanRecord::new(context, "")
    }
}

#[test]
fn every_field_is_encoded() {
    let span = SpanRecord {
        parent: Some(Parent {
            span_id: TraceContext::new(1, 0x12, TraceFlags::default())
                .unwrap()
                .span_id(),
            is_remote: true,
        }),
        name: "POST /pay".into(),
        end_unix_nano: 1_700_000_000_001_236_000,
        scope: "shop::pay".into(),
        attributes: vec![
            Attribute::new("peer.service", "bank"),
            Attribute::new("http.response.status_code", 503),
            Attribute::new("http.request.header.accept", vec!["a", "b"]),
            Attribute::new("region", "us"),
        ],
        dropped_attributes: 1,
        events: vec![
            SpanEvent {
                name: "retry".into(),
                time_unix_nano: 1_700_000_000_000_500_000,
                attributes: vec![Attribute::new("n", 2), Attribute::new("why", "\"no\"")],
                dropped_attributes: 0,
            },
            SpanEvent {
                name: "sent".into(),
                time_unix_nano: 1_700_000_000_000_600_000,
                attributes: Vec::new(),
                dropped_attributes: 0,
            },
        ],
        dropped_events: 2,
        links: vec![SpanLink::new(
            TraceContext::new(5, 6, TraceFlags::SAMPLED).unwrap(),
        )],
        dropped_links: 3,
        status: Status::Error {
            description: "out of funds".into(),
        },
        ..bare(SpanKind::Client)
    };
    let expected = json!({
        "traceId": "00000000000000000000000000000abc",
        "parentId": "0000000000000012",
        "id": "0000000000000def",
        "kind": "CLIENT",
        "name": "POST /pay",
        "timestamp": 1_700_000_000_000_001_u64,
        "duration": 1234,
        "localEndpoint": {"serviceName": "shop"},
        "remoteEndpoint": {"serviceName": "bank"},
        "annotations": [
            {"timestamp": 1_700_000_000_000_500_u64, "value": r#""retry":{"n":2,"why":"\"no\""}"#},
            {"timestamp": 1_700_000_000_000_600_u64, "value": "sent"},
        ],
        "tags": {
            "service.namespace": "retail",
            "peer.service": "bank",
            "http.response.status_code": "503",
            "http.request.header.accept": r#"["a","b"]"#,
            "region": "us",
            "otel.status_code": "ERROR",
            "error": "out of funds",
            "otel.scope.name": "shop::pay",
            "otel.dropped_attributes_count": "1",
            "otel.dropped_events_count": "2",
            "otel.dropped_links_count": "3",
        },
    });
    assert_eq!(encoded(span), expected);
}

#[test]
fn empty_fields_are_left_out_and_a_duration_is_at_least_a_microsecond() {
    let mut writer = ZipkinWriter::new(&Resource::new());
    let spans = requests(&mut writer, vec![bare(SpanKind::Internal)]);
    let expected = json!([{
        "traceId": "00000000000000000000000000000abc",
        "id": "0000000000000def",
        "timestamp": 1_700_000_000_000_001_u64,
        "duration": 1,
        "localEndpoint": {"serviceName": "unknown_service"},
    }]);
    assert_eq!(Value::from(read(&spans[0])), expected);
}

#[test]
fn a_span_is_an_error_only_if_its_status_is() {
    let tags = |status, attributes| {
        let span = SpanRecord {
            status,
            attributes,
            ..bare(SpanKind::Server)
        };
        let mut encoded = encoded(span);
        let tags = encoded["tags"].as_object_mut().unwrap();
        (tags.remove("otel.status_code"), tags.remove("error"))
    };
    let failed = Status::Error {
        description: "".into(),
    };
    let error = |value: AnyValue| vec![Attribute::new("error", value)];
    assert_eq!(
        tags(failed.clone(), error("mine".into())),
        (Some("ERROR".into()), Some("".into()))
    );
    assert_eq!(
        tags(Status::Ok, error(false.into())),
        (Some("OK".into()), None)
    );
    assert_eq!(tags(Status::Unset, error("false".into())), (None, None));
    assert_eq!(
        tags(Status::Unset, error(true.into())),
        (None, Some("true".into()))
    );
    // An attribute cannot set a tag that the span itself defines.
    let claimed = vec![Attribute::new("otel.status_code", "OK")];
    assert_eq!(tags(failed, claimed).0, Some("ERROR".into()));
}

#[test]
fn the_remote_endpoint_has_the_preferred_name() {
    let remote = |kind, attributes: &[(&'static str, AnyValue)]| {
        let attributes = attributes
            .iter()
            .map(|(key, value)| Attribute::new(*key, value.clone()))
            .collect();
        let span = SpanRecord {
            attributes,
            ..bare(kind)
        };
        encoded(span).get("remoteEndpoint").cloned()
    };
    let client = |attributes: &[(&'static str, AnyValue)]| remote(SpanKind::Client, attributes);
    let text = |text: &'static str| AnyValue::from(text);
    let address = [
        ("db.name", text("orders")),
        ("server.port", 5432.into()),
        ("server.address", text("db.example")),
    ];
    let expected = json!({"serviceName": "db.example", "port": 5432});
    assert_eq!(client(&address), Some(expected.clone()));
    assert_eq!(remote(SpanKind::Producer, &address), Some(expected));
    for kind in [SpanKind::Server, SpanKind::Consumer, SpanKind::Internal] {
        assert_eq!(remote(kind, &address), None);
    }
    assert_eq!(
        client(&[
            ("network.peer.address", text("2001:db8::1")),
            ("network.peer.port", 443.into()),
        ]),
        Some(json!({"serviceName": "2001:db8::1", "ipv6": "2001:db8::1", "port": 443}))
    );
    assert_eq!(
        client(&[
            ("peer.service", text("")),
            ("net.sock.peer.addr", text("10.0.0.1")),
            ("net.sock.peer.port", 70_000.into()),
        ]),
        Some(json!({"serviceName": "10.0.0.1", "ipv4": "10.0.0.1"}))
    );
    assert_eq!(
        client(&[("db.name", text("orders"))]),
        Some(json!({"serviceName": "orders"}))
    );
    assert_eq!(client(&[("http.route", text("/"))]), None);
}

#[test]
fn only_the_span_that_is_too_large_is_left_out() {
    let named = |name: String| SpanRecord {
        name: name.into(),
        ..bare(SpanKind::Internal)
    };
    let mut writer = ZipkinWriter::new(&shop()).with_bytes_per_request(1000);
    let spans = vec![
        named("first".to_owned()),
        named("x".repeat(1000)),
        named("last".to_owned()),
    ];
    let encoded = records::written(&mut writer, spans).into_iter();
    let encoded: Vec<_> = encoded
        .map(|written| match written {
            Written::Request(request) => read(&request).len(),
            Written::TooLarge { bytes } => bytes,
        })
        .collect();
    assert!(matches!(encoded[..], [1, 1000..2000, 1]), "{encoded:?}");
}

proptest! {
    #[test]
    fn requests_contain_all_spans_for_any_content(
        spans in vec(records::span(), 0..9), most in 1..7_usize, is_tight in any::<bool>(),
    ) {
        let bytes = if is_tight { 32 << 10 } else { 4 << 20 };
        let mut writer = ZipkinWriter::new(&shop())
            .with_records_per_request(most)
            .with_bytes_per_request(bytes);
        let requests = requests(&mut writer, spans.clone());
        let mut all = Vec::new();
        for request in &requests {
            prop_assert!(request.items > 0 && request.items <= most as u64);
            prop_assert!(request.body.len() <= bytes);
            all.extend(read(request));
        }
        prop_assert_eq!(all.len(), spans.len());
        for (encoded, span) in all.iter().zip(&spans) {
            prop_assert_eq!(&encoded["traceId"], &span.context.trace_id().to_string());
            prop_assert_eq!(&encoded["id"], &span.context.span_id().to_string());
            prop_assert_eq!(encoded["name"].as_str().unwrap_or(""), &*span.name);
            prop_assert!(encoded["duration"].as_u64().unwrap() >= 1);
            let annotations = encoded["annotations"].as_array().map_or(0, Vec::len);
            prop_assert_eq!(annotations, span.events.len());
            let tags = encoded["tags"].as_object().unwrap();
            prop_assert!(tags.values().all(Value::is_string));
            for attribute in &span.attributes {
                prop_assert!(tags.contains_key(&*attribute.key));
            }
        }
    }
}
