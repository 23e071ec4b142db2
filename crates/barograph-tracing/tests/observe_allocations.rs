//! A successful operation allocates nothing after the first one, with or without a span.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use barograph_model::span::SpanKind;
use barograph_tracing::observe::{self, Operation, kafka, observe};

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

fn now(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_ready());
}

#[observe(crate = "barograph_tracing", fields(number, table = "orders"))]
async fn function(number: u64) -> Result<u64, String> {
    Ok(number)
}

fn all(names: &[String; 2], table: &str) {
    now(observe("Allocations", "async", async {
        Ok::<_, String>(1)
    }));
    now(observe(&names[0], &names[1], async {}));
    observe::begin("Allocations", "guard").finish(&Ok::<_, String>(1));
    now(function(7));
    let query = Operation::new("Allocations", "SELECT")
        .with_kind(SpanKind::Client)
        .with_attribute("db.system.name", "postgresql")
        .with_attribute("db.collection.name", table);
    now(query.run(async {}));
    kafka::send(table).run_sync(|| ());
}

#[test]
fn a_successful_operation_allocates_nothing() {
    // The counter detects an allocation.
    assert_eq!(allocations(|| drop(Box::new(1))), 1);

    let names = ["Dynamic".to_owned(), "text".to_owned()];
    let twice = || {
        // The first operations create sites, series and, under load, cells.
        for _ in 0..20_000 {
            all(&names, "orders");
        }
        allocations(|| {
            for _ in 0..100 {
                all(&names, "orders");
            }
        })
    };
    assert_eq!(twice(), 0);
    // The registry of `tracing` reuses the memory of closed spans.
    let spans = tracing_subscriber::registry();
    assert_eq!(tracing::subscriber::with_default(spans, twice), 0);
}
