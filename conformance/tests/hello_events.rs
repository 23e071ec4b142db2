//! The telemetry of one request of `examples/hello` belongs together in four places: its span, its
//! log record, its line on the terminal and the exemplars of its metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use conformance::{
    account::Account,
    events::{Ids, LogRecord, Span, log_records, spans},
    load::{self, Load},
    points::{latest, resources, samples},
    receiver::{Receiver, Record, Transport, pushing_events},
    samples::Samples,
    service::Service,
};
use serde_json::{Value, json};

const ORDERS: u64 = 200;
const STRAYS: u64 = 10;
/// One order in ten comes with a trace that is not sampled.
const UNSAMPLED: u64 = ORDERS / 10;

#[test]
fn a_request_has_one_trace_in_every_signal() {
    let receiver = Receiver::start();
    thread::scope(|scope| {
        for transport in Transport::ALL {
            let receiver = &receiver;
            scope.spawn(move || check(receiver, transport));
        }
    });
}

fn check(receiver: &Receiver, transport: Transport) {
    let name = format!("hello-{}", transport.as_str().replace('/', "-"));
    let mut variables = pushing_events(&name, &receiver.endpoint(transport), transport);
    variables.extend([
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus".to_owned()),
        ("BAROGRAPH_LOG_FORMAT", "json".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ]);
    let service = Service::hello_with(&variables);
    let load = load::send(&service.url(), ORDERS, STRAYS);
    let page = service.samples();
    for signal in ["traces", "logs", "metrics"] {
        let account = Account::of_signal(&page, signal);
        assert!(account.is_even(), "{name}: {signal}: {account:?}");
    }
    let log = service.end();
    let records = receiver.case(&name);
    for record in &records {
        assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
        assert_eq!(record.outcome(), "ok", "{name}");
    }
    check_resource(&name, &records);
    let spans = by_ids(spans(&records, &name));
    check_spans(&name, &load, &spans);
    let said = said(&name, &records);
    check_log(&name, &load, &spans, &said);
    assert_eq!(lines(&log), said.keys().cloned().collect(), "{name}: {log}");
    let pushed = samples(latest(&records, &name).values());
    for samples in [&page, &pushed] {
        check_exemplars(&name, &spans, samples);
    }
}

/// Checks that all three signals have the same resource.
#[track_caller]
fn check_resource(name: &str, records: &[Record]) {
    let resources: BTreeSet<_> = records.iter().flat_map(resources).collect();
    assert_eq!(resources.len(), 1, "{name}: {resources:?}");
    let paths: BTreeSet<_> = records.iter().map(Record::path).collect();
    assert_eq!(paths.len(), 3, "{name}: {paths:?}");
}

#[track_caller]
fn by_ids(spans: Vec<Span>) -> BTreeMap<Ids, Span> {
    let count = spans.len();
    let by: BTreeMap<_, _> = spans
        .into_iter()
        .map(|span| (span.ids.clone(), span))
        .collect();
    assert_eq!(by.len(), count, "a span came twice");
    by
}

#[track_caller]
fn check_spans(name: &str, load: &Load, spans: &BTreeMap<Ids, Span>) {
    let orders = spans
        .values()
        .filter(|span| span.name == "GET /orders/{id}");
    assert_eq!(orders.count() as u64, load.orders - UNSAMPLED, "{name}");
    let strays = spans.values().filter(|span| span.name == "GET");
    assert_eq!(strays.count() as u64, load.strays, "{name}");
    assert_eq!(spans.len() as u64, load.orders + load.strays - UNSAMPLED);
    let server = 2;
    assert!(spans.values().all(|span| span.kind == server), "{name}");
    // Requests with a trace context continue that trace; the others begin one.
    let mut continued = BTreeMap::new();
    for span in spans.values() {
        let (trace_id, span_id) = &span.ids;
        assert_ne!(*span_id, span.parent, "{name}: {span:?}");
        let is_remote = span.flags & 0x200 != 0;
        assert_eq!(is_remote, !span.parent.is_empty(), "{name}: {span:?}");
        assert_eq!(span.flags & 1, 1, "{name}: {span:?}");
        assert!(load.may_have_made(trace_id, span_id), "{name}: {span:?}");
        if is_remote {
            continued.insert(trace_id.clone(), span.parent.clone());
        }
    }
    assert_eq!(continued, load.sampled, "{name}");
}

/// Returns the log records of requests, by the ids of their spans.
#[track_caller]
fn said(name: &str, records: &[Record]) -> BTreeMap<Ids, LogRecord> {
    let mut records = log_records(records, name);
    records.retain(|record| record.body == json!({"stringValue": "order read"}));
    let count = records.len();
    let by: BTreeMap<_, _> = records
        .into_iter()
        .map(|record| (record.ids.clone(), record))
        .collect();
    assert_eq!(
        (by.len(), count),
        (ORDERS as usize, ORDERS as usize),
        "{name}"
    );
    by
}

/// Checks that each order was logged once, in its span.
#[track_caller]
fn check_log(
    name: &str,
    load: &Load,
    spans: &BTreeMap<Ids, Span>,
    said: &BTreeMap<Ids, LogRecord>,
) {
    let mut orders = BTreeSet::new();
    let mut unsampled = 0;
    for (ids, record) in said {
        let id = record.attributes["id"]["intValue"].as_str();
        orders.insert(id.and_then(|id| id.parse::<u64>().ok()).expect("an id"));
        match spans.get(ids) {
            Some(span) => {
                assert_eq!(record.flags, span.flags & 0xff, "{name}: {record:?}");
                assert!(
                    (span.start..=span.end).contains(&record.time),
                    "{name}: {record:?}"
                );
            }
            None => {
                assert_eq!(record.flags & 1, 0, "{name}: of no span: {record:?}");
                unsampled += 1;
            }
        }
    }
    assert_eq!(orders, (0..load.orders).collect(), "{name}");
    assert_eq!(unsampled, UNSAMPLED, "{name}");
}

/// Returns the ids in the lines on the terminal.
#[track_caller]
fn lines(log: &str) -> BTreeSet<Ids> {
    let lines = log.lines().filter(|line| line.contains("order read"));
    let ids = lines.map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let id = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (id("trace_id"), id("span_id"))
    });
    ids.collect()
}

/// Checks that every exemplar refers to a span that was pushed.
#[track_caller]
fn check_exemplars(name: &str, spans: &BTreeMap<Ids, Span>, samples: &Samples) {
    assert!(samples.exemplars.len() > 2, "{name}: {samples:?}");
    for (series, (trace_id, span_id, _)) in &samples.exemplars {
        let ids = (trace_id.clone(), span_id.clone());
        assert!(spans.contains_key(&ids), "{name}: {series}: {ids:?}");
    }
}
