//! Tests of spans and log records in OTLP, decoded with types generated from the schema by others.

use std::collections::BTreeMap;

use barograph_encode::otlp::{
    Encoding, LogWriter, Record, RecordWriter, Request, Signal, SpanWriter, WriteRecords, Written,
};
use barograph_model::context::{TraceContext, TraceFlags, TraceState};
use barograph_model::log::{LogRecord, Severity};
use barograph_model::resource::Resource;
use barograph_model::span::{Parent, SpanEvent, SpanKind, SpanLink, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

const BOTH: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];

fn shop() -> Resource {
    Resource::new().with("service.name", "shop \"é\"")
}

/// Returns all requests that these records make.
fn requests<T: Record>(writer: &mut RecordWriter<T>, records: Vec<T>) -> Vec<Request> {
    let results = written(writer, records).into_iter();
    let requests = results.map(|written| match written {
        Written::Request(request) => request,
        Written::TooLarge { bytes } => panic!("{bytes} bytes"),
    });
    requests.collect()
}

/// Writes these records until none is left, and returns the results.
pub(crate) fn written<T>(writer: &mut impl WriteRecords<T>, records: Vec<T>) -> Vec<Written> {
    let mut records: Vec<_> = records.into_iter().map(Box::new).collect();
    let mut results = Vec::new();
    while let Some(written) = writer.write(&records) {
        records.drain(..written.records());
        results.push(written);
    }
    assert!(records.is_empty());
    results
}

/// The records of each scope.
type Scopes<M> = Vec<(Option<String>, Vec<M>)>;

/// A kind of records, as defined by the schema.
trait EncodedRecord: Record + Clone + std::fmt::Debug {
    type Message: Clone + std::fmt::Debug + PartialEq;

    /// Returns the message that should arrive for this record.
    fn expected(&self) -> Self::Message;

    /// Returns the resource of a request, and its records by scope.
    fn read(request: &Request) -> (resource::Resource, Scopes<Self::Message>);

    /// Returns the time of a message.
    fn time(message: &Self::Message) -> u64;
}

/// Returns the name of a scope, which must have no other data.
fn name_of(scope: Option<common::InstrumentationScope>) -> Option<String> {
    let scope = scope?;
    let named = common::InstrumentationScope {
        name: scope.name.clone(),
        ..Default::default()
    };
    assert_eq!(scope, named);
    Some(scope.name)
}

macro_rules! encoded_record {
    ($record:ty, $request:ty, $message:ty, $resources:ident, $scopes:ident, $list:ident, $expected:path, $time:expr) => {
        impl EncodedRecord for $record {
            type Message = $message;

            fn expected(&self) -> Self::Message {
                $expected(self)
            }

            fn read(request: &Request) -> (resource::Resource, Scopes<Self::Message>) {
                assert_eq!(request.signal, <$record>::SIGNAL);
                let mut decoded: $request = match request.encoding {
                    Encoding::Protobuf => <$request>::decode(&*request.body).unwrap(),
                    Encoding::Json => serde_json::from_slice(&request.body)
                        .unwrap_or_else(|error| panic!("{error}: {:?}", request.body)),
                };
                assert_eq!(decoded.$resources.len(), 1);
                let one = decoded.$resources.remove(0);
                assert_eq!(one.schema_url, "");
                let scopes = one.$scopes.into_iter().map(|scope| {
                    assert_eq!(scope.schema_url, "");
                    (name_of(scope.scope), scope.$list)
                });
                (one.resource.unwrap(), scopes.collect())
            }

            fn time(message: &Self::Message) -> u64 {
                $time(message)
            }
        }
    };
}

encoded_record!(
    SpanRecord,
    ExportTraceServiceRequest,
    trace::Span,
    resource_spans,
    scope_spans,
    spans,
    expected_span,
    |span: &trace::Span| span.end_time_unix_nano
);
encoded_record!(
    LogRecord,
    ExportLogsServiceRequest,
    logs::LogRecord,
    resource_logs,
    scope_logs,
    log_records,
    expected_log,
    |log: &logs::LogRecord| log.time_unix_nano.max(log.observed_time_unix_nano)
);

fn expected_span(span: &SpanRecord) -> trace::Span {
    let parent = span.parent;
    let remote = if parent.is_some_and(|parent| parent.is_remote) {
        0x300
    } else {
        0x100
    };
    let (code, message) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error { description } => (2, &**description),
    };
    let status = trace::Status {
        message: message.into(),
        code,
    };
    trace::Span {
        trace_id: span.context.trace_id().get().to_be_bytes().into(),
        span_id: span.context.span_id().get().to_be_bytes().into(),
        trace_state: span.trace_state.as_str().into(),
        parent_span_id: parent.map_or(vec![], |parent| parent.span_id.get().to_be_bytes().into()),
        flags: u32::from(span.context.flags().bits()) | remote,
        name: span.name.clone().into(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
        start_time_unix_nano: span.start_unix_nano,
        end_time_unix_nano: span.end_unix_nano,
        attributes: pairs(&span.attributes),
        dropped_attributes_count: span.dropped_attributes,
        events: span.events.iter().map(expected_event).collect(),
        dropped_events_count: span.dropped_events,
        links: span.links.iter().map(expected_link).collect(),
        dropped_links_count: span.dropped_links,
        status: (code > 0).then_some(status),
    }
}

fn expected_event(event: &SpanEvent) -> trace::span::Event {
    trace::span::Event {
        time_unix_nano: event.time_unix_nano,
        name: event.name.clone().into(),
        attributes: pairs(&event.attributes),
        dropped_attributes_count: event.dropped_attributes,
    }
}

fn expected_link(link: &SpanLink) -> trace::span::Link {
    let remote = if link.context.is_remote() {
        0x300
    } else {
        0x100
    };
    trace::span::Link {
        trace_id: link.context.trace_id().get().to_be_bytes().into(),
        span_id: link.context.span_id().get().to_be_bytes().into(),
        trace_state: link.trace_state.as_str().into(),
        attributes: pairs(&link.attributes),
        dropped_attributes_count: link.dropped_attributes,
        flags: u32::from(link.context.flags().bits()) | remote,
    }
}

fn expected_log(log: &LogRecord) -> logs::LogRecord {
    let context = log.context;
    logs::LogRecord {
        time_unix_nano: log.time_unix_nano,
        observed_time_unix_nano: log.observed_unix_nano,
        severity_number: match log.severity {
            Severity::Trace => 1,
            Severity::Debug => 5,
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
        },
        severity_text: log.severity.as_str().into(),
        body: log.body.as_ref().map(message),
        attributes: pairs(&log.attributes),
        dropped_attributes_count: log.dropped_attributes,
        flags: context.map_or(0, |context| context.flags().bits().into()),
        trace_id: context.map_or(vec![], |context| {
            context.trace_id().get().to_be_bytes().into()
        }),
        span_id: context.map_or(vec![], |context| {
            context.span_id().get().to_be_bytes().into()
        }),
        event_name: log.event_name.clone().unwrap_or_default().into(),
    }
}

fn pairs(attributes: &[Attribute]) -> Vec<common::KeyValue> {
    let pair = |attribute: &Attribute| common::KeyValue {
        key: attribute.key.clone().into(),
        value: Some(message(&attribute.value)),
        ..Default::default()
    };
    attributes.iter().map(pair).collect()
}

fn message(value: &AnyValue) -> common::AnyValue {
    let value = match value {
        AnyValue::Str(text) => Any::StringValue(text.clone().into()),
        AnyValue::Bool(value) => Any::BoolValue(*value),
        AnyValue::I64(number) => Any::IntValue(*number),
        AnyValue::F64(number) => Any::DoubleValue(*number),
        AnyValue::Bytes(bytes) => Any::BytesValue(bytes.to_vec()),
        AnyValue::Array(values) => Any::ArrayValue(common::ArrayValue {
            values: values.iter().map(message).collect(),
        }),
        AnyValue::Map(attributes) => Any::KvlistValue(common::KeyValueList {
            values: pairs(attributes),
        }),
        other => panic!("{other:?}"),
    };
    common::AnyValue { value: Some(value) }
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        ".{0,12}".prop_map(AnyValue::from),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::I64),
        // The reference decoder's JSON cannot represent other floats.
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(AnyValue::F64),
        vec(0..=255_u8, 0..9).prop_map(|bytes| AnyValue::Bytes(bytes.into())),
        // Long enough to need a length of two bytes.
        (120..140_usize).prop_map(|n| AnyValue::from("x".repeat(n))),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|values| AnyValue::Array(values.into())),
            vec(("[a-z\"]{0,5}", inner), 0..5).prop_map(|pairs| {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| Attribute::new(key, value));
                AnyValue::Map(pairs.collect())
            }),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute = (".{0,8}", value()).prop_map(|(key, value)| Attribute::new(key, value));
    vec(attribute, 0..4)
}

fn context() -> impl Strategy<Value = TraceContext> {
    let numbers = (1..=u128::MAX, 1..=u64::MAX, 0..=255_u8, any::<bool>());
    numbers.prop_map(|(trace, span, flags, is_remote)| {
        let context = TraceContext::new(trace, span, TraceFlags::from_bits(flags)).unwrap();
        if is_remote {
            context.as_remote()
        } else {
            context
        }
    })
}

fn trace_state() -> impl Strategy<Value = TraceState> {
    prop_oneof![Just(""), Just("a=1"), Just("vendor@x=\"q\",b=2")]
        .prop_map(|text| TraceState::parse([text]).unwrap())
}

fn scope() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just("shop"), Just("shop::orders"), Just("\"q\"")]
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (".{0,9}", 0..=u64::MAX, attributes(), 0..3_u32).prop_map(
        |(name, time_unix_nano, attributes, dropped_attributes)| SpanEvent {
            name: name.into(),
            time_unix_nano,
            attributes,
            dropped_attributes,
        },
    )
}

fn link() -> impl Strategy<Value = SpanLink> {
    (context(), trace_state(), attributes(), 0..3_u32).prop_map(
        |(context, trace_state, attributes, dropped_attributes)| SpanLink {
            context,
            trace_state,
            attributes,
            dropped_attributes,
        },
    )
}

pub(crate) fn span() -> impl Strategy<Value = SpanRecord> {
    let ids = (
        context(),
        proptest::option::of((1..=u64::MAX, any::<bool>())),
        trace_state(),
    );
    let kinds = [
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ];
    let status = prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        ".{0,9}".prop_map(|text| Status::Error {
            description: text.into()
        }),
    ];
    let what = (
        ".{0,20}",
        scope(),
        0..5_usize,
        0..=u64::MAX,
        0..=u64::MAX,
        status,
    );
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
    (ids, what, lists, [0..3_u32, 0..3, 0..3]).prop_map(move |(ids, what, lists, dropped)| {
        let (context, parent, trace_state) = ids;
        let (name, scope, kind, start_unix_nano, end_unix_nano, status) = what;
        let parent = parent.map(|(id, is_remote)| Parent {
            span_id: TraceContext::new(1, id, TraceFlags::default())
                .unwrap()
                .span_id(),
            is_remote,
        });
        let (attributes, events, links) = lists;
        SpanRecord {
            context,
            parent,
            trace_state,
            name: name.into(),
            kind: kinds[kind],
            start_unix_nano,
            end_unix_nano,
            scope: scope.into(),
            attributes,
            dropped_attributes: dropped[0],
            events,
            dropped_events: dropped[1],
            links,
            dropped_links: dropped[2],
            status,
        }
    })
}

fn log() -> impl Strategy<Value = LogRecord> {
    let severities = [
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
    ];
    let times = (prop_oneof![Just(0), 1..=u64::MAX], 0..=u64::MAX);
    let what = (
        0..5_usize,
        proptest::option::of(".{0,9}"),
        proptest::option::of(value()),
    );
    let rest = (
        scope(),
        attributes(),
        0..3_u32,
        proptest::option::of(context()),
    );
    (times, what, rest).prop_map(move |(times, what, rest)| {
        let (severity, event_name, body) = what;
        let (scope, attributes, dropped_attributes, context) = rest;
        LogRecord {
            time_unix_nano: times.0,
            observed_unix_nano: times.1,
            severity: severities[severity],
            event_name: event_name.map(Into::into),
            body,
            scope: scope.into(),
            attributes,
            dropped_attributes,
            context,
        }
    })
}

/// The records of all requests by scope, in their order.
type ByScope<M> = BTreeMap<String, Vec<M>>;

fn by_scope<T: EncodedRecord>(requests: &[Request]) -> ByScope<T::Message> {
    let mut all = ByScope::<T::Message>::new();
    for request in requests {
        let (resource, scopes) = T::read(request);
        let attributes = pairs(&[Attribute::new("service.name", "shop \"é\"")]);
        assert_eq!(resource.attributes, attributes);
        let mut names = Vec::new();
        let mut items = 0;
        for (name, messages) in scopes {
            assert_ne!(name.as_deref(), Some(""), "one without a name is not named");
            assert!(!messages.is_empty());
            items += messages.len() as u64;
            let name = name.unwrap_or_default();
            assert!(!names.contains(&name), "{name} comes twice");
            names.push(name.clone());
            all.entry(name).or_default().extend(messages);
        }
        assert_eq!(items, request.items);
    }
    all
}

fn check<T: EncodedRecord>(records: &[T], most: usize, bytes: usize) {
    let mut expected = ByScope::<T::Message>::new();
    for record in records {
        let scope = record.scope().clone().into_owned();
        expected.entry(scope).or_default().push(record.expected());
    }
    for encoding in BOTH {
        let mut writer = RecordWriter::<T>::new(&shop())
            .with_encoding(encoding)
            .with_records_per_request(most)
            .with_bytes_per_request(bytes);
        let requests = requests(&mut writer, records.to_vec());
        for request in &requests {
            assert!(request.items > 0 && request.items <= most as u64);
            assert!(request.body.len() <= bytes);
            let (_, scopes) = T::read(request);
            let messages = scopes.iter().flat_map(|(_, messages)| messages);
            let newest = messages.map(T::time).max().filter(|time| *time > 0);
            assert_eq!(request.newest_unix_nano(), newest, "{encoding:?}");
        }
        assert_eq!(by_scope::<T>(&requests), expected, "{encoding:?}");
    }
}

proptest! {
    #[test]
    fn every_span_is_decoded_once_and_unchanged(
        spans in vec(span(), 0..9), most in 1..7_usize, is_tight in any::<bool>(),
    ) {
        // More than any single record needs, and less than all of them.
        check(&spans, most, if is_tight { 16 << 10 } else { 4 << 20 });
    }

    #[test]
    fn every_log_record_is_decoded_once_and_unchanged(
        logs in vec(log(), 0..9), most in 1..7_usize, is_tight in any::<bool>(),
    ) {
        check(&logs, most, if is_tight { 8 << 10 } else { 4 << 20 });
    }
}

fn said(scope: &'static str, body: impl Into<AnyValue>) -> LogRecord {
    LogRecord {
        time_unix_nano: 1,
        observed_unix_nano: 2,
        severity: Severity::Info,
        event_name: None,
        body: Some(body.into()),
        scope: scope.into(),
        attributes: Vec::new(),
        dropped_attributes: 0,
        context: None,
    }
}

#[test]
fn requests_stay_below_their_limit_of_bytes_and_are_full() {
    let records: Vec<_> = (0..3000)
        .map(|n| said(["a", "b", "c"][n % 3], "x".repeat(n % 300)))
        .collect();
    for encoding in BOTH {
        let mut writer = LogWriter::new(&shop())
            .with_encoding(encoding)
            .with_records_per_request(10_000)
            .with_bytes_per_request(16 << 10);
        let requests = requests(&mut writer, records.clone());
        assert!(requests.len() > 20);
        assert_eq!(
            requests.iter().map(|request| request.items).sum::<u64>(),
            3000
        );
        let sizes: Vec<_> = requests.iter().map(|request| request.body.len()).collect();
        assert!(sizes.iter().all(|size| *size <= 16 << 10), "{sizes:?}");
        let full = &sizes[..sizes.len() - 1];
        assert!(full.iter().all(|size| *size > 15 << 10), "{sizes:?}");
    }
}

#[test]
fn by_default_a_request_has_the_size_of_a_batch_and_at_most_4_mib() {
    let small = vec![said("", 1); 1025];
    let items = |requests: Vec<Request>| -> Vec<u64> {
        requests.iter().map(|request| request.items).collect()
    };
    assert_eq!(
        items(requests(&mut LogWriter::new(&shop()), small)),
        [512, 512, 1]
    );
    let large = vec![said("", "x".repeat(1 << 20)); 5];
    assert_eq!(items(requests(&mut LogWriter::new(&shop()), large)), [3, 2]);
}

#[test]
fn only_the_record_that_is_too_large_is_left_out() {
    for encoding in BOTH {
        let mut writer = LogWriter::new(&shop())
            .with_encoding(encoding)
            .with_bytes_per_request(2000);
        let records = vec![
            said("a", "first"),
            said("b", "x".repeat(2000)),
            said("a", "last"),
        ];
        let results = written(&mut writer, records).into_iter();
        let written_sizes: Vec<_> = results
            .map(|written| match written {
                Written::Request(request) => by_scope::<LogRecord>(&[request])["a"].len(),
                Written::TooLarge { bytes } => bytes,
            })
            .collect();
        assert!(
            matches!(written_sizes[..], [1, 2000..3000, 1]),
            "{written_sizes:?}"
        );
    }
}

#[test]
fn numbers_that_json_cannot_represent_become_strings() {
    for (number, text) in [
        (f64::NAN, "\"NaN\""),
        (f64::INFINITY, "\"Infinity\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
        (-0.0, "-0.0"),
    ] {
        let write = |encoding| {
            let mut writer = LogWriter::new(&shop()).with_encoding(encoding);
            requests(&mut writer, vec![said("", number)]).remove(0)
        };
        let json = String::from_utf8(write(Encoding::Json).body.to_vec()).unwrap();
        assert!(json.contains(&format!("\"doubleValue\":{text}")), "{json}");
        let (_, scopes) = LogRecord::read(&write(Encoding::Protobuf));
        let body = scopes[0].1[0].body.clone().unwrap().value;
        let Some(Any::DoubleValue(read)) = body else {
            panic!("{body:?}");
        };
        assert_eq!(read.to_bits(), number.to_bits());
    }
}

#[test]
fn values_nested_too_deeply_are_unset() {
    let nest = |wrap: &dyn Fn(AnyValue) -> AnyValue| {
        let mut value = AnyValue::from("bottom");
        for _ in 0..200 {
            value = wrap(value);
        }
        value
    };
    let maps = nest(&|value| AnyValue::Map([Attribute::new("k", value)].into()));
    let arrays = nest(&|value| AnyValue::Array([value].into()));
    for value in [maps, arrays] {
        let event = SpanEvent {
            name: "".into(),
            time_unix_nano: 1,
            attributes: vec![Attribute::new("deep", value)],
            dropped_attributes: 0,
        };
        let span = SpanRecord {
            events: vec![event],
            ..SpanRecord::new(TraceContext::new(1, 2, TraceFlags::SAMPLED).unwrap(), "")
        };
        for encoding in BOTH {
            let mut writer = SpanWriter::new(&shop()).with_encoding(encoding);
            let request = requests(&mut writer, vec![span.clone()]).remove(0);
            let (_, scopes) = SpanRecord::read(&request);
            let mut at = scopes[0].1[0].events[0].attributes[0]
                .value
                .clone()
                .unwrap();
            let mut depth = 0;
            while let Some(value) = at.value {
                depth += 1;
                at = match value {
                    Any::KvlistValue(mut list) => list.values.remove(0).value.unwrap(),
                    Any::ArrayValue(mut list) => list.values.remove(0),
                    other => panic!("{other:?}"),
                };
            }
            assert_eq!(depth, 24);
        }
    }
}

#[test]
fn json_is_written_byte_for_byte_as_specified() {
    let span = SpanRecord {
        context: TraceContext::new(0xabc, 0xdef, TraceFlags::SAMPLED).unwrap(),
        parent: Some(Parent {
            span_id: TraceContext::new(1, 0x12, TraceFlags::default())
                .unwrap()
                .span_id(),
            is_remote: true,
        }),
        trace_state: TraceState::parse(["a=1"]).unwrap(),
        name: "GET /orders".into(),
        kind: SpanKind::Server,
        start_unix_nano: 1_700_000_000_000_000_001,
        end_unix_nano: 1_700_000_000_000_000_002,
        scope: "shop".into(),
        attributes: vec![
            Attribute::new("http.response.status_code", 200),
            Attribute::new("raw", AnyValue::Bytes([0xff, 0].into())),
        ],
        dropped_attributes: 1,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        dropped_links: 0,
        status: Status::Error {
            description: "no".into(),
        },
    };
    let mut writer = SpanWriter::new(&Resource::new()).with_encoding(Encoding::Json);
    let request = requests(&mut writer, vec![span]).remove(0);
    assert_eq!(request.signal, Signal::Traces);
    let expected = concat!(
        r#"{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":"shop"},"#,
        r#""spans":[{"traceId":"00000000000000000000000000000abc","spanId":"0000000000000def","#,
        r#""traceState":"a=1","parentSpanId":"0000000000000012","flags":769,"name":"GET /orders","#,
        r#""kind":2,"startTimeUnixNano":"1700000000000000001","#,
        r#""endTimeUnixNano":"1700000000000000002","attributes":["#,
        r#"{"key":"http.response.status_code","value":{"intValue":"200"}},"#,
        r#"{"key":"raw","value":{"bytesValue":"/wA="}}],"droppedAttributesCount":1,"#,
        r#""status":{"code":2,"message":"no"}}]}]}]}"#,
    );
    assert_eq!(request.body, expected);
}
