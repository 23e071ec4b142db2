//! Every span and log record that a service made before SIGTERM is delivered unchanged when the
//! process has ended: over every transport, and through third-party collectors.

mod expected;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::expected::{Logs, Numbers, text};
use conformance::{
    account::Account,
    authority::Authority,
    child::PATIENCE,
    collector::{Collector, Rotel},
    events::{Attributes, Ids, LogRecord, Span, log_records, spans},
    points::resources,
    receiver::{Receiver, Record, Transport, pushing_events},
    service::{Service, Variables},
};

/// The number of rounds of each thread.
const ROUNDS: usize = 20;
const THREADS: usize = 4;
/// A batch of this number of one signal is sent before the service ends.
const BATCH: f64 = 512.0;
/// The number of spans in each round.
const SPANS: usize = 5;
const RECORDS: usize = 10;

/// The result of a service.
struct Run {
    name: String,
    numbers: Numbers,
    /// The ids that the service returned for each round, by the names of its spans.
    rounds: Vec<BTreeMap<String, Ids>>,
}

/// The schedule delays are a minute: records are sent because a batch is full, or by the shutdown.
fn variables(name: &str, endpoint: &str, transport: Transport) -> Variables {
    let mut variables = pushing_events(name, endpoint, transport);
    variables.extend([
        ("BAROGRAPH_SPANS", "conformance=trace".to_owned()),
        ("BAROGRAPH_LOGS", "conformance=trace".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "60000".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "60000".to_owned()),
    ]);
    variables
}

fn run(name: &str, numbers: Numbers, variables: &Variables) -> Run {
    let service = Service::events(variables);
    let told = service.ask(&format!(
        "/work/{}/{ROUNDS}",
        match numbers {
            Numbers::All => "all",
            Numbers::Finite => "finite",
        }
    ));
    let rounds: Vec<_> = serde_json::from_str(&told).expect("rounds of spans with ids");
    assert_eq!(rounds.len(), ROUNDS * THREADS);
    // A request in progress when the shutdown begins may be cut off, and arrive twice.
    let begun = Instant::now();
    while Account::of_signal(&service.samples(), "logs").queued >= BATCH {
        assert!(
            begun.elapsed() < PATIENCE,
            "{name}: {}",
            service.child().log()
        );
        thread::sleep(Duration::from_millis(20));
    }
    let page = service.samples();
    for (signal, made) in [("traces", SPANS), ("logs", RECORDS)] {
        let account = Account::of_signal(&page, signal);
        assert!(account.is_even(), "{name}: {signal}: {account:?}");
        let is_off = variables.contains_key("OTEL_LOGS_EXPORTER") && signal == "logs";
        let made = if is_off { 0 } else { made * rounds.len() };
        assert_eq!(account.produced, made as f64, "{name}: {signal}");
        assert_eq!(account.dropped.values().sum::<f64>(), 0.0, "{name}");
    }
    service.end();
    Run {
        name: name.to_owned(),
        numbers,
        rounds,
    }
}

/// Runs a service for each transport, with and without compression, some at the same time.
fn run_all(numbers: Numbers, endpoint: impl Fn(Transport) -> String) -> Vec<Run> {
    let ways = WAYS.map(|(transport, compression)| {
        let name = format!("{}-{compression}", transport.as_str().replace('/', "-"));
        let mut variables = variables(&name, &endpoint(transport), transport);
        variables.insert("OTEL_EXPORTER_OTLP_COMPRESSION", compression.to_owned());
        (name, variables)
    });
    let some = |ways: &[(String, Variables)]| -> Vec<Run> {
        thread::scope(|scope| {
            let runs = ways.iter();
            let runs = runs.map(|(name, vars)| scope.spawn(|| run(name, numbers, vars)));
            let runs: Vec<_> = runs.collect();
            let runs = runs.into_iter().map(|run| run.join().expect("a run ends"));
            runs.collect()
        })
    };
    ways.chunks(2).flat_map(some).collect()
}

const WAYS: [(Transport, &str); 6] = [
    (Transport::Grpc, "none"),
    (Transport::Grpc, "gzip"),
    (Transport::Protobuf, "none"),
    (Transport::Protobuf, "gzip"),
    (Transport::Json, "none"),
    (Transport::Json, "gzip"),
];

#[test]
fn spans_and_records_are_in_the_receiver_when_the_service_has_ended() {
    let receiver = Receiver::start();
    for run in run_all(Numbers::All, |transport| receiver.endpoint(transport)) {
        let records = receiver.case(&run.name);
        for record in &records {
            assert_eq!(record.wrong(), Vec::<&str>::new(), "{}", run.name);
            assert_eq!(record.outcome(), "ok", "{}", run.name);
            let (transport, compression) = run.name.rsplit_once('-').expect("two parts");
            assert_eq!(record.transport().replace('/', "-"), transport);
            let is_told = transport != "grpc" && compression == "gzip";
            assert_eq!(record.encoding(), if is_told { "gzip" } else { "" });
            for resource in resources(record) {
                assert_eq!(resource["telemetry.sdk.name"], "barograph");
            }
        }
        check(&run, &records, Logs::Apart);
    }
}

#[test]
fn spans_and_records_are_in_the_collector_when_the_service_has_ended() {
    let receiver = Receiver::start();
    let collector = Collector::start(&Authority::new(), &receiver);
    for run in run_all(Numbers::All, |transport| collector.endpoint(transport)) {
        let records = receiver.records();
        for record in &records {
            assert_eq!(record.wrong(), Vec::<&str>::new(), "{}", run.name);
        }
        check(&run, &records, Logs::Apart);
    }
}

#[test]
fn spans_and_records_arrive_through_rotel() {
    let receiver = Receiver::start();
    let rotel = Rotel::start(&receiver);
    for run in run_all(Numbers::Finite, |transport| rotel.endpoint(transport)) {
        // rotel responds before it forwards.
        let (all, begun) = (run.rounds.len(), Instant::now());
        let records = loop {
            let records = receiver.records();
            let is_there = spans(&records, &run.name).len() >= all * SPANS
                && log_records(&records, &run.name).len() >= all * RECORDS;
            if is_there || begun.elapsed() > PATIENCE {
                break records;
            }
            thread::sleep(Duration::from_millis(50));
        };
        check(&run, &records, Logs::Apart);
    }
}

#[test]
fn spans_have_events_if_no_log_records_are_pushed() {
    let receiver = Receiver::start();
    let mut variables = variables("told", &receiver.endpoint(Transport::Json), Transport::Json);
    variables.insert("OTEL_LOGS_EXPORTER", "none".to_owned());
    let run = run("told", Numbers::All, &variables);
    let records = receiver.case("told");
    for record in &records {
        assert_eq!(record.wrong(), Vec::<&str>::new());
    }
    check(&run, &records, Logs::InSpans);
}

/// Checks that everything has arrived once and unchanged.
#[track_caller]
fn check(run: &Run, records: &[Record], logs: Logs) {
    let name = &run.name;
    let mut spans = by(spans(records, name), |span| number(&span.attributes));
    let mut said = by(log_records(records, name), |record| {
        // The `log` crate records only a text.
        let last = text(&record.body).rsplit(' ').next()?.parse();
        number(&record.attributes).or_else(|| last.ok())
    });
    for (number, ids) in run.rounds.iter().enumerate() {
        let number = number as u64;
        let mut spans = spans.remove(&number).unwrap_or_default();
        spans.sort_by(|a, b| a.name.cmp(&b.name));
        let expected = expected::spans(number, ids, run.numbers, logs);
        assert_eq!(spans.len(), expected.len(), "{name}: {number}: {spans:#?}");
        check_times(&spans);
        for (span, expected) in spans.iter().zip(expected) {
            assert_eq!(without_times(span), expected, "{name}: {number}");
        }
        let mut said = said.remove(&number).unwrap_or_default();
        let expected = match logs {
            Logs::Apart => expected::records(number, ids),
            Logs::InSpans => Vec::new(),
        };
        said.sort_by(|a, b| text(&a.body).cmp(text(&b.body)));
        assert_eq!(said.len(), expected.len(), "{name}: {number}: {said:#?}");
        for (record, expected) in said.iter().zip(expected) {
            assert_eq!(without_place(record), expected, "{name}: {number}");
        }
    }
    assert!(
        spans.is_empty() && said.is_empty(),
        "{name}: {spans:?} {said:?}"
    );
}

/// Groups what arrived by the number of its round.
#[track_caller]
fn by<T: std::fmt::Debug>(
    all: Vec<T>,
    number: impl Fn(&T) -> Option<u64>,
) -> BTreeMap<u64, Vec<T>> {
    let mut by: BTreeMap<u64, Vec<T>> = BTreeMap::new();
    for one in all {
        let number = number(&one).unwrap_or_else(|| panic!("of no round: {one:?}"));
        by.entry(number).or_default().push(one);
    }
    by
}

fn number(attributes: &Attributes) -> Option<u64> {
    attributes.get("number")?["intValue"].as_str()?.parse().ok()
}

/// Checks that the spans of a round follow each other, on one clock.
#[track_caller]
fn check_times(spans: &[Span]) {
    let span = |name: &str| spans.iter().find(|span| span.name == name).expect("a span");
    let (root, child) = (span("GET /round/{number}"), span("child"));
    assert!(
        root.start <= child.start && child.end <= root.end,
        "{spans:?}"
    );
    // Times are in nanoseconds, and in this century.
    let year = 365 * 24 * 3600 * 1_000_000_000;
    assert!((50 * year..200 * year).contains(&root.start), "{root:?}");
}

fn without_times(span: &Span) -> Span {
    let mut span = span.clone();
    (span.start, span.end) = (0, 0);
    for event in &mut span.events {
        event.time = 0;
    }
    span
}

/// Removes the time and the source location, which must be present.
#[track_caller]
fn without_place(record: &LogRecord) -> LogRecord {
    let mut record = record.clone();
    let file = record.attributes.remove("code.file.path");
    let line = record.attributes.remove("code.line.number");
    assert!(
        text(&file.expect("a file")).ends_with("bin/events.rs"),
        "{record:?}"
    );
    let line = line.expect("a line")["intValue"]
        .as_str()
        .map(str::parse::<u32>);
    assert!(matches!(line, Some(Ok(1..))), "{record:?}");
    record.time = 0;
    record
}
