//! The records that the service makes in a round, written a second time, so that its mistakes are
//! not repeated.

use std::collections::BTreeMap;

use conformance::events::{Attributes, Event, Ids, Link, LogRecord, Span};
use serde_json::{Value, json};

/// The flags of a sampled span with a random trace id and a local parent or none.
const HERE: u64 = 0x103;
/// The flags of a sampled span whose trace and parent are in another process.
const ELSEWHERE: u64 = 0x301;
const CALLER: [&str; 2] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
const STATE: &str = "vendor=opaque,other@system=1";

/// The numbers that a service records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    All,
    /// Finite numbers only. rotel refuses JSON requests with other numbers, whichever client sends
    /// them.
    Finite,
}

/// The form in which log events arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logs {
    Apart,
    InSpans,
}

/// Returns the text of a string value.
pub(crate) fn text(value: &Value) -> &str {
    value["stringValue"].as_str().unwrap_or_default()
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

/// Returns the spans of a round, by name.
pub(crate) fn spans(
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
            scope: "conformance".to_owned(),
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
                // Too large for an OTLP integer: exported as text, which is exact.
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
        scope: "conformance::deep".to_owned(),
        events: vec![event("cache.miss", &[("key", whole(number))])],
        links: vec![link(ids["sibling"].clone(), HERE), far],
        // The span logged an event of level `ERROR`.
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
        scope: "conformance::deep".to_owned(),
        ..span("sibling", "sibling", 4, &[])
    };
    let mut spans = vec![root, child, continued, failed, sibling];
    for span in &mut spans {
        assert_eq!(span.ids.0 == ids["root"].0, span.flags == HERE);
        if logs == Logs::InSpans {
            let said = records(number, ids).into_iter();
            let mut said: Vec<_> = said.filter(|record| record.ids == span.ids).collect();
            said.sort_by_key(|record| PLACES.iter().position(|place| place_of(record) == *place));
            span.events.extend(said.into_iter().map(told));
        }
    }
    spans
}

/// The places in the order in which a span logs them.
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

/// Converts a record to an event of its span.
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

/// Returns the log records of a round, by their text.
pub(crate) fn records(number: u64, ids: &BTreeMap<String, Ids>) -> Vec<LogRecord> {
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
            scope: "conformance".to_owned(),
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
        scope: "conformance::log".to_owned(),
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
