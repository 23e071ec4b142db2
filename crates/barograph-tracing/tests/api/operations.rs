//! Observed operations with the tracing layer.

use barograph_core::registry::Registry;
use barograph_model::span::SpanKind;
use barograph_tracing::observe::{Observer, Operation};

use test_support::metrics::exemplars;
use test_support::spans::Spans;

#[tokio::test]
async fn an_operation_is_a_span_with_its_status_and_its_points_lead_to_it() {
    let (spans, _guard) = Spans::collect();
    let registry = Registry::new();
    let observer = Observer::new(&registry);
    let query = Operation::new("OrderStore", "SELECT")
        .with_kind(SpanKind::Client)
        .with_attribute("db.system.name", "postgresql")
        .with_attribute("db.collection.name", "orders")
        .with_observer(&observer);
    let failed = query.run(async { Err::<(), _>("no such table") });
    Operation::new("Orders", "List")
        .with_observer(&observer)
        .run_infallible(failed)
        .await
        .unwrap_err();

    let (list, query) = (spans.named("Orders/List"), spans.named("SELECT orders"));
    assert!(query.is_child_of(&list));
    assert_eq!(query.field("otel.kind"), "client");
    assert_eq!(query.field("otel.status_code"), "ERROR");
    assert_eq!(query.field("otel.status_description"), "");
    assert_eq!(query.field("error.type"), "_OTHER");
    assert_eq!(query.field("db.operation.name"), "SELECT");
    assert_eq!(list.field("otel.kind"), "internal");
    assert_eq!(list.field("otel.status_code"), "");

    let of = |name| {
        exemplars(&registry, name)
            .iter()
            .map(|e| e.context)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("db.client.operation.duration"), [Some(query.context)]);
    assert_eq!(of("operation.duration"), [Some(list.context)]);
}
