//! Operations that the semantic conventions know.

use barograph_core::registry::Registry;
use barograph_edge::observe::{Observer, Operation};
use barograph_model::span::SpanKind;

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
