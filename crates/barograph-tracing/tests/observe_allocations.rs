//! A successful operation allocates nothing after the first one, with or without a span.

#![expect(unsafe_code, reason = "a counting allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use barograph_model::span::SpanKind;
use barograph_tracing::observe::{self, Operation, kafka, observe};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    f();
    COUNT.with(Cell::get) - before
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
fn an_operation_that_goes_well_allocates_nothing() {
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
