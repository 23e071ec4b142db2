//! Tests of the feeds of records, with requests that are decoded with types generated from the schema by
//! others.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::SystemTime;

use barograph_core::record_queue::RecordQueue;
use barograph_encode::otlp::{LogWriter, Request, Signal};
use barograph_export::{Ack, LogSource, RequestSource};
use barograph_model::log::{LogRecord, Severity};
use barograph_model::resource::Resource;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1 as logs;
use prost::Message as _;

fn record(body: &'static str) -> Box<LogRecord> {
    Box::new(LogRecord {
        time_unix_nano: 1,
        observed_unix_nano: 2,
        severity: Severity::Info,
        event_name: None,
        body: Some(body.into()),
        scope: "shop".into(),
        attributes: Vec::new(),
        dropped_attributes: 0,
        context: None,
    })
}

#[test]
fn a_record_source_takes_what_was_queued_when_its_cycle_began_and_repeats_what_was_undelivered() {
    let queue = RecordQueue::new(10);
    let writer =
        LogWriter::new(&Resource::new().with("service.name", "shop")).with_records_per_request(2);
    let mut source = LogSource::new(queue.clone(), writer);
    assert_eq!(source.signal(), Signal::Logs);
    for body in ["1", "2", "3"] {
        queue.push(record(body)).unwrap();
    }
    let bodies = |request: Request| -> Vec<String> {
        let decoded = ExportLogsServiceRequest::decode(&*request.body).unwrap();
        let scopes = decoded
            .resource_logs
            .into_iter()
            .flat_map(|resource| resource.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        let body = |record: logs::LogRecord| match record.body.unwrap().value {
            Some(Any::StringValue(body)) => body,
            other => panic!("{other:?}"),
        };
        records.map(body).collect()
    };
    source.begin(SystemTime::now());
    queue.push(record("4")).unwrap();
    assert_eq!(bodies(source.next().unwrap()), ["1", "2"]);
    source.ack(Ack::Undelivered);
    assert_eq!(bodies(source.next().unwrap()), ["1", "2"]);
    source.ack(Ack::Done);
    assert_eq!(bodies(source.next().unwrap()), ["3"]);
    source.ack(Ack::Done);
    assert_eq!(source.next(), None);
    source.begin(SystemTime::now());
    assert_eq!(bodies(source.next().unwrap()), ["4"]);
    assert!(!source.is_superseded());
}

/// Returns the bodies of the records that a source returns to its queue, of those with these bodies. A
/// request has two records and at most 500 bytes.
fn returned<const N: usize>(bodies: [&'static str; N]) -> Vec<&'static str> {
    let queue = RecordQueue::new(10);
    let writer = LogWriter::new(&Resource::new().with("service.name", "shop"))
        .with_records_per_request(2)
        .with_bytes_per_request(500);
    let mut source = LogSource::new(queue.clone(), writer);
    assert_eq!(queue.take_recycled(), None);
    for body in bodies {
        queue.push(record(body)).unwrap();
    }
    source.begin(SystemTime::now());
    while source.next().is_some() {
        source.ack(Ack::Done);
    }
    let returned = std::iter::from_fn(|| queue.take_recycled()).flatten();
    let body = |it: Box<LogRecord>| {
        bodies
            .into_iter()
            .find(|body| it.body == Some((*body).into()))
    };
    returned.map(|record| body(record).unwrap()).collect()
}

#[test]
fn a_record_source_gives_back_each_record_that_is_written_or_left_out() {
    // More than a request has room for, and less than what is too large to be used again.
    let large: &str = String::leak("x".repeat(600));
    let bodies = ["1", "2", "3", large, "4"];
    assert_eq!(returned(bodies), bodies);
}

#[test]
fn a_record_source_gives_back_records_with_their_encoded_size() {
    // Too large to be used again.
    let large: &str = String::leak("x".repeat(1100));
    assert_eq!(returned(["1", "2", "3", large, "4"]), ["1", "2", "3", "4"]);
}
