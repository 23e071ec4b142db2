//! Tests of the feeds of records, with a queue of their own and requests that are decoded with types
//! generated from the schema by others.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use std::vec::Drain;

use barograph_encode::otlp::{LogWriter, Request, Signal};
use barograph_export::{Backlog, Fate, Feed, Inflow, LogFeed};
use barograph_model::log::{LogRecord, Severity};
use barograph_model::resource::Resource;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1 as logs;
use prost::Message as _;

fn record(body: &'static str) -> LogRecord {
    LogRecord {
        time_unix_nano: 1,
        observed_unix_nano: 2,
        severity: Severity::Info,
        event_name: None,
        body: Some(body.into()),
        scope: "shop".into(),
        attributes: Vec::new(),
        dropped_attributes: 0,
        context: None,
    }
}

/// An unbounded record queue.
#[derive(Default)]
struct Said {
    waiting: Mutex<(u64, Vec<LogRecord>)>,
    /// The records given back, and their sizes in bytes.
    back: Mutex<Vec<(Box<LogRecord>, usize)>>,
}

impl Said {
    fn say(&self, body: &'static str) {
        let mut said = self.waiting.lock().unwrap();
        said.0 += 1;
        said.1.push(record(body));
    }
}

impl Backlog for Said {
    fn accepted(&self) -> u64 {
        self.waiting.lock().unwrap().0
    }

    fn refused(&self) -> u64 {
        0
    }

    fn capacity(&self) -> u64 {
        u64::MAX
    }

    fn close(&self) {
        self.waiting.lock().unwrap().1.clear();
    }
}

impl Inflow<LogRecord> for Said {
    fn take(&self, at_most: usize, into: &mut Vec<Box<LogRecord>>) {
        let mut said = self.waiting.lock().unwrap();
        let end = at_most.min(said.1.len());
        into.extend(said.1.drain(..end).map(Box::new));
    }

    fn give_back(&self, records: Drain<'_, Box<LogRecord>>, bytes: usize) {
        let each = records.map(|record| (record, bytes));
        self.back.lock().unwrap().extend(each);
    }
}

#[test]
fn a_feed_tells_what_was_said_before_its_round_and_again_what_was_undone() {
    let said = Arc::new(Said::default());
    let writer =
        LogWriter::new(&Resource::new().with("service.name", "shop")).with_records_per_request(2);
    let mut feed = LogFeed::new(Arc::clone(&said) as Arc<dyn Inflow<LogRecord>>, writer);
    assert_eq!(feed.signal(), Signal::Logs);
    for body in ["1", "2", "3"] {
        said.say(body);
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
    feed.begin(SystemTime::now());
    said.say("4");
    assert_eq!(bodies(feed.next().unwrap()), ["1", "2"]);
    feed.settle(Fate::Undone);
    assert_eq!(bodies(feed.next().unwrap()), ["1", "2"]);
    feed.settle(Fate::Settled);
    assert_eq!(bodies(feed.next().unwrap()), ["3"]);
    feed.settle(Fate::Settled);
    assert_eq!(feed.next(), None);
    feed.begin(SystemTime::now());
    assert_eq!(bodies(feed.next().unwrap()), ["4"]);
    assert!(!feed.is_overtaken());
}

#[test]
fn a_feed_gives_back_each_record_that_is_written_or_left_out() {
    let said = Arc::new(Said::default());
    let writer = LogWriter::new(&Resource::new().with("service.name", "shop"))
        .with_records_per_request(2)
        .with_bytes_per_request(500);
    let mut feed = LogFeed::new(Arc::clone(&said) as Arc<dyn Inflow<LogRecord>>, writer);
    let large: &str = String::leak("x".repeat(1000));
    let bodies = ["1", "2", "3", large, "4"];
    for body in bodies {
        said.say(body);
    }
    feed.begin(SystemTime::now());
    let mut lengths = Vec::new();
    while let Some(request) = feed.next() {
        lengths.extend(vec![request.body.len(); request.items as usize]);
        feed.settle(Fate::Settled);
    }
    let back = said.back.lock().unwrap();
    let came: Vec<_> = back.iter().map(|(record, _)| record.body.clone()).collect();
    assert_eq!(came, bodies.map(|body| Some(body.into())));
    let (left_out, written): (Vec<_>, Vec<_>) = back
        .iter()
        .map(|(_, bytes)| *bytes)
        .partition(|it| *it > 500);
    assert_eq!(written, lengths);
    assert!(matches!(left_out[..], [1000..1500]), "{left_out:?}");
}
