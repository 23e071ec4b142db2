//! Every span and log record that a service has made when it is asked to end has arrived when it has
//! ended, as it was made: by every transport, through collectors that others wrote.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use judges::{
    account::Account,
    authority::Authority,
    child::PATIENCE,
    collector::{Collector, Rotel},
    events::{Attributes, Event, Ids, Link, LogRecord, Span, log_records, spans},
    points::resources,
    receiver::{Receiver, Record, Transport, pushing_events},
    service::{Service, Variables},
};
use serde_json::{Value, json};

/// Of each thread.
const ROUNDS: usize = 20;
const THREADS: usize = 4;
/// In each round.
const SPANS: usize = 5;
const RECORDS: usize = 10;

/// Sampled, of a trace whose id is random, with a parent that is here or none.
const HERE: u64 = 0x103;
/// Sampled, of a trace that began elsewhere as did the parent.
const ELSEWHERE: u64 = 0x301;
const CALLER: [&str; 2] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
const STATE: &str = "vendor=opaque,other@system=1";

/// What became of a service.
struct Run {
    name: String,
    numbers: Numbers,
    /// The ids that it told, by the names of its spans, for each round.
    rounds: Vec<BTreeMap<String, Ids>>,
}

/// Which numbers a service tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    All,
    /// Not those that are none. rotel refuses a request in JSON with such, whoever sends it.
    Finite,
}

/// The delays are a minute: what arrives is sent because a batch is full, or the service ends.
fn variables(name: &str, endpoint: &str, transport: Transport) -> Variables {
    let mut variables = pushing_events(name, endpoint, transport);
    variables.extend([
        ("BAROGRAPH_SPANS", "judge=trace".to_owned()),
        ("BAROGRAPH_LOGS", "judge=trace".to_owned()),
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

/// Runs a service for each transport, with and without compression, at the same time.
fn run_all(numbers: Numbers, endpoint: impl Fn(Transport) -> String) -> Vec<Run> {
    let ways = WAYS.iter().map(|(transport, compression)| {
        let name = format!("{}-{compression}", transport.as_str().replace('/', "-"));
        let mut variables = variables(&name, &endpoint(*transport), *transport);
        variables.insert("OTEL_EXPORTER_OTLP_COMPRESSION", (*compression).to_owned());
        (name, variables)
    });
    let ways: Vec<_> = ways.collect();
    thread::scope(|scope| {
        let runs = ways
            .iter()
            .map(|(name, vars)| scope.spawn(|| run(name, numbers, vars)));
        let runs: Vec<_> = runs.collect();
        let runs = runs.into_iter().map(|run| run.join().expect("a run ends"));
        runs.collect()
    })
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
fn what_was_made_is_in_the_receiver_when_the_service_has_ended() {
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
fn what_was_made_is_in_the_collector_when_the_service_has_ended() {
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
fn what_was_made_arrives_through_rotel() {
    let receiver = Receiver::start();
    let rotel = Rotel::start(&receiver);
    for run in run_all(Numbers::Finite, |transport| rotel.endpoint(transport)) {
        // It answers before it hands on.
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
fn where_no_log_records_are_pushed_spans_tell_what_was_said_in_them() {
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

/// Where events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logs {
    Apart,
    InSpans,
}

/// Whether all is there as it was made, once.
#[track_caller]
fn check(run: &Run, records: &[Record], logs: Logs) {
    let name = &run.name;
    let mut spans = by(spans(records, name), |span| number(&span.attributes));
    let mut said = by(log_records(records, name), |record| {
        // The `log` crate has nothing but a text.
        let last = text(&record.body).rsplit(' ').next()?.parse();
        number(&record.attributes).or_else(|| last.ok())
    });
    for (number, ids) in run.rounds.iter().enumerate() {
        let number = number as u64;
        let mut spans = spans.remove(&number).unwrap_or_default();
        spans.sort_by(|a, b| a.name.cmp(&b.name));
        let expected = expected_spans(number, ids, run.numbers, logs);
        assert_eq!(spans.len(), expected.len(), "{name}: {number}: {spans:#?}");
        check_times(&spans);
        for (span, expected) in spans.iter().zip(expected) {
            assert_eq!(without_times(span), expected, "{name}: {number}");
        }
        let mut said = said.remove(&number).unwrap_or_default();
        let expected = match logs {
            Logs::Apart => expected_records(number, ids),
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

/// What came by the number of its round.
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

fn text(value: &Value) -> &str {
    value["stringValue"].as_str().unwrap_or_default()
}

/// All spans of a round were made one after the other, on one clock.
#[track_caller]
fn check_times(spans: &[Span]) {
    let span = |name: &str| spans.iter().find(|span| span.name == name).expect("a span");
    let (root, child) = (span("GET /round/{number}"), span("child"));
    assert!(
        root.start <= child.start && child.end <= root.end,
        "{spans:?}"
    );
    // In nanoseconds, and today.
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

/// Without the time, and without the place in the program, which has to be there.
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

fn of(entries: &[(&str, Value)]) -> Attributes {
    let entries = entries.iter().cloned();
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn string(text: &str) -> Value {
    json!({"stringValue": text})
}

fn whole(number: impl ToString) -> Value {
    json!({"intValue": number.to_string()})
}

/// By name.
fn expected_spans(
    number: u64,
    ids: &BTreeMap<String, Ids>,
    numbers: Numbers,
    logs: Logs,
) -> Vec<Span> {
    let span = |name: &str, of: &str, kind, attributes: &[(&str, Value)]| {
        let mut span = Span {
            ids: ids[of].clone(),
            parent: ids["root"].1.clone(),
            trace_state: String::new(),
            flags: HERE,
            name: name.to_owned(),
            kind,
            start: 0,
            end: 0,
            scope: "judge".to_owned(),
            attributes: self::of(attributes),
            events: Vec::new(),
            links: Vec::new(),
            status: (0, String::new()),
        };
        span.attributes.insert("number".to_owned(), whole(number));
        span
    };
    let list = json!({"arrayValue": {"values": [string("a"), string(""), string("c")]}});
    let inner = json!({"arrayValue": {"values": [whole(1), whole(-1)]}});
    let nothing = match numbers {
        Numbers::All => json!("NaN"),
        Numbers::Finite => json!(0.0),
    };
    let root = Span {
        parent: String::new(),
        ..span(
            "GET /round/{number}",
            "root",
            2,
            &[
                ("text", string("ø \"quoted\"\n\u{1}")),
                ("empty", string("")),
                ("negative", whole(i64::MIN)),
                // Larger than a whole number of OTLP: as text, it is still right.
                ("large", string("18446744073709551615")),
                ("huge", string(&i128::MIN.to_string())),
                ("share", json!({"doubleValue": 0.1})),
                ("nothing", json!({"doubleValue": nothing})),
                ("yes", json!({"boolValue": true})),
                ("no", json!({"boolValue": false})),
                ("shown", string("1-2")),
                ("debugged", string("Some(\"x\")")),
                ("late", string("now")),
                ("list", list),
                ("bytes", json!({"bytesValue": "AP8K"})),
                (
                    "map",
                    json!({"kvlistValue": {"values": [{"key": "inner", "value": inner}]}}),
                ),
            ],
        )
    };
    let link = |ids: Ids, flags| Link {
        ids,
        trace_state: String::new(),
        flags,
        attributes: Attributes::new(),
    };
    let far = Link {
        trace_state: STATE.to_owned(),
        attributes: of(&[("why", string("told"))]),
        ..link(CALLER.map(str::to_owned).into(), ELSEWHERE)
    };
    let child = Span {
        scope: "judge::deep".to_owned(),
        events: vec![event("cache.miss", &[("key", whole(number))])],
        links: vec![link(ids["sibling"].clone(), HERE), far],
        // It said something of level `ERROR`.
        status: (2, String::new()),
        ..span("child", "child", 3, &[])
    };
    let continued = Span {
        parent: CALLER[1].to_owned(),
        trace_state: STATE.to_owned(),
        flags: ELSEWHERE,
        status: (1, String::new()),
        ..span("continued", "remote", 1, &[])
    };
    assert_eq!(continued.ids.0, CALLER[0]);
    let error = [
        ("error", string("could not reserve")),
        (
            "error.chain",
            json!({"arrayValue": {"values": [string("the shelf is empty")]}}),
        ),
    ];
    let failed = Span {
        events: vec![event(
            "exception",
            &[("exception.message", error[0].1.clone())],
        )],
        status: (2, "no stock".to_owned()),
        ..span("failed", "failed", 5, &error)
    };
    let sibling = Span {
        scope: "judge::deep".to_owned(),
        ..span("sibling", "sibling", 4, &[])
    };
    let mut spans = vec![root, child, continued, failed, sibling];
    for span in &mut spans {
        assert_eq!(span.ids.0 == ids["root"].0, span.flags == HERE);
        if logs == Logs::InSpans {
            let said = expected_records(number, ids).into_iter();
            let mut said: Vec<_> = said.filter(|record| record.ids == span.ids).collect();
            said.sort_by_key(|record| PLACES.iter().position(|place| place_of(record) == *place));
            span.events.extend(said.into_iter().map(told));
        }
    }
    spans
}

/// In the order in which a span says them.
const PLACES: [&str; 9] = [
    "root", "parent", "trace", "debug", "info", "warn", "error", "", "thread",
];

fn place_of(record: &LogRecord) -> &str {
    record.attributes.get("place").map_or("", text)
}

fn event(name: &str, attributes: &[(&str, Value)]) -> Event {
    Event {
        name: name.to_owned(),
        time: 0,
        attributes: of(attributes),
    }
}

/// A record as an event of its span.
fn told(record: LogRecord) -> Event {
    let mut event = event(text(&record.body), &[]);
    event.attributes = record.attributes;
    if event.attributes.remove("exception.stacktrace").is_some() {
        let chain = json!({"arrayValue": {"values": [string("the shelf is empty")]}});
        event.attributes.insert("error.chain".to_owned(), chain);
    }
    if !record.event_name.is_empty() {
        let name = string(&record.event_name);
        event.attributes.insert("event.name".to_owned(), name);
    }
    event.attributes.extend(of(&[
        ("level", string(&record.severity.1)),
        ("target", string(&record.scope)),
    ]));
    event
}

/// By what they say.
fn expected_records(number: u64, ids: &BTreeMap<String, Ids>) -> Vec<LogRecord> {
    let record = |place: &str, says: &str, of: &str, severity: (u64, &str)| {
        let ids = ids.get(of).cloned().unwrap_or_default();
        let flags = match of {
            "" => 0,
            "remote" => 1,
            _ => 3,
        };
        LogRecord {
            ids,
            flags,
            time: 0,
            severity: (severity.0, severity.1.to_owned()),
            event_name: String::new(),
            body: string(says),
            scope: "judge".to_owned(),
            attributes: self::of(&[("number", whole(number)), ("place", string(place))]),
        }
    };
    let (info, warn) = ((9, "INFO"), (13, "WARN"));
    let mut placed = record("info", "an order", "child", info);
    placed.event_name = "order.placed".to_owned();
    placed.attributes.extend(of(&[
        ("negative", whole(-7)),
        ("large", string("18446744073709551615")),
        ("share", json!({"doubleValue": 0.5})),
        ("yes", json!({"boolValue": true})),
        ("text", string("a\tb")),
    ]));
    let mut doubt = record("warn", "a doubt", "child", warn);
    doubt
        .attributes
        .extend(of(&[("debugged", string("[1, 2]"))]));
    let mut failure = record("error", "a failure", "child", (17, "ERROR"));
    failure.attributes.extend(of(&[
        ("error", string("could not reserve")),
        ("exception.message", string("could not reserve")),
        (
            "exception.stacktrace",
            string("could not reserve\ncaused by: the shelf is empty"),
        ),
    ]));
    let by_log = LogRecord {
        scope: "judge::log".to_owned(),
        attributes: Attributes::new(),
        ..record(
            "",
            &format!("by the log crate, round {number}"),
            "child",
            warn,
        )
    };
    let mut records = vec![
        record("root", "in the root", "root", info),
        record("parent", "given a parent", "root", warn),
        record("trace", "a step", "child", (1, "TRACE")),
        record("debug", "a guess", "child", (5, "DEBUG")),
        placed,
        doubt,
        failure,
        record("nowhere", "without a span", "", info),
        by_log,
        record("thread", "moved", "remote", info),
    ];
    records.sort_by(|a, b| text(&a.body).cmp(text(&b.body)));
    records
}
