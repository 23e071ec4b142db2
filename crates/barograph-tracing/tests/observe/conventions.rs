//! Operations with semantic conventions.

use barograph_core::registry::Registry;
use barograph_model::span::SpanKind;
use barograph_tracing::observe::{Observer, Operation, States, Window, kafka};

use crate::capture::{Capture, now};

#[test]
fn a_call_of_a_database_is_a_client_span_and_has_the_metric_of_its_convention() {
    let registry = Registry::new();
    let observer = Observer::new(&registry);
    let table = String::from("orders");
    let query = || {
        Operation::new("OrderStore", "SELECT")
            .with_kind(SpanKind::Client)
            .with_attribute("db.system.name", "postgresql")
            .with_attribute("db.collection.name", &table)
            .with_attribute("server.port", 5432_u16)
            .with_attribute("db.query.text", "SELECT ?")
            .with_observer(&observer)
    };
    let (_, seen) = Capture::of(|| now(query().run(async { Ok::<_, String>(()) })));
    assert_eq!(
        seen,
        [
            "INFO span SELECT orders < -: otel.kind=client db.operation.name=SELECT \
             db.system.name=postgresql db.collection.name=orders server.port=5432 \
             db.query.text=SELECT ?"
        ]
    );
    now(query().run(async { Err::<(), _>("no".to_owned()) })).unwrap_err();
    let labels = |error| {
        [
            ("db.system.name", "postgresql"),
            ("db.collection.name", "orders"),
            ("db.operation.name", "SELECT"),
            ("server.port", "5432"),
            ("error.type", error),
        ]
    };
    let value = |error| registry.value("db.client.operation.duration", &labels(error));
    assert_eq!((value(""), value("_OTHER")), (Some(1.0), Some(1.0)));
    let names: Vec<_> = registry
        .stats()
        .families
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert_eq!(names, ["db.client.operation.duration".into()]);
}

#[test]
fn kafka_operations_are_called_by_their_topic() {
    let registry = Registry::new();
    let observer = Observer::new(&registry);
    let (_, seen) = Capture::of(|| {
        let all = [
            kafka::create("orders"),
            kafka::send("orders").with_attribute(kafka::BATCH, 3),
            kafka::receive("orders").with_attribute(kafka::PARTITION, "0"),
            kafka::process("orders").with_attribute(kafka::GROUP, "billing"),
            kafka::settle("orders"),
        ];
        for operation in all {
            operation.with_observer(&observer).run_sync(|| ());
        }
    });
    let head = |line: &String| {
        let (span, fields) = line.split_once(" < -: ").unwrap();
        let kind = fields.split(' ').next().unwrap();
        format!("{span} {kind}")
    };
    assert_eq!(
        seen.iter().map(head).collect::<Vec<_>>(),
        [
            "INFO span create orders otel.kind=producer",
            "INFO span send orders otel.kind=producer",
            "INFO span poll orders otel.kind=client",
            "INFO span process orders otel.kind=consumer",
            "INFO span commit orders otel.kind=client",
        ]
    );
    let value = |metric, name, kind, more: &[(&'static str, &'static str)]| {
        let mut labels = vec![
            ("messaging.system", "kafka"),
            ("messaging.operation.name", name),
            ("messaging.operation.type", kind),
            ("messaging.destination.name", "orders"),
        ];
        labels.extend(more);
        registry.value(metric, &labels)
    };
    let client = "messaging.client.operation.duration";
    assert_eq!(value(client, "create", "create", &[]), Some(1.0));
    assert_eq!(value(client, "send", "send", &[]), Some(1.0));
    assert_eq!(value(client, "commit", "settle", &[]), Some(1.0));
    let sent = value("messaging.client.sent.messages", "send", "send", &[]);
    assert_eq!(sent, Some(3.0));
    let partition = [(kafka::PARTITION, "0")];
    let consumed = "messaging.client.consumed.messages";
    assert_eq!(value(consumed, "poll", "receive", &partition), Some(1.0));
    let group = [(kafka::GROUP, "billing")];
    let processed = "messaging.process.duration";
    assert_eq!(value(processed, "process", "process", &group), Some(1.0));
    assert_eq!(value(client, "process", "process", &group), None);
}

#[test]
fn each_period_in_a_state_is_a_span_with_the_change_that_ends_it() {
    let (_, seen) = Capture::of(|| {
        let mut states = States::new("Breaker", "closed");
        states.enter("closed");
        states.enter("open");
        states.event("probe", &[]);
    });
    let first = "operation.service=Breaker operation.name=closed";
    let second = "operation.service=Breaker operation.name=open";
    assert_eq!(
        seen,
        [
            "INFO in Breaker/closed: message=state.changed state.from=closed state.to=open".into(),
            format!("INFO span Breaker/closed < -: {first}"),
            "INFO in Breaker/open: message=probe".into(),
            format!("INFO span Breaker/open < -: {second}"),
        ]
    );
}

#[test]
fn a_window_reports_its_items_unless_it_is_dropped() {
    let (items, seen) = Capture::of(|| {
        let mut window = Window::open("Window", "minute");
        window.add(2);
        window.add(3);
        window.close()
    });
    assert_eq!(items, 5);
    assert_eq!(
        seen[0],
        "INFO in Window/minute: message=window.closed window.items=5"
    );
    drop(Window::open("Window", "minute"));
    let labels = |error| {
        [
            ("operation.service", "Window"),
            ("operation.name", "minute"),
            ("error.type", error),
        ]
    };
    let value = |error| Registry::global().value("operation.duration", &labels(error));
    assert_eq!((value(""), value("cancelled")), (Some(1.0), Some(1.0)));
}
