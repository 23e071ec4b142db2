//! Futures and functions: how they end, and what is recorded.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use barograph_core::registry::Registry;
use barograph_tracing::observe::{
    self, ErrorType, Failure, Observer, Operation, observe, observe_infallible,
};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::capture::{Capture, now, once, pause};

/// Returns the duration points and the errors of an operation with this error type.
fn points(service: &str, error: &str) -> (f64, f64) {
    let labels = [
        ("operation.service", service),
        ("operation.name", "op"),
        ("error.type", error),
    ];
    let value = |name| Registry::global().value(name, &labels).unwrap_or(0.0);
    (value("operation.duration"), value("operation.errors"))
}

#[test]
fn a_success_is_a_span_and_a_point() {
    let (output, seen) = Capture::of(|| {
        now(observe("Well", "op", async {
            pause().await;
            Ok::<_, io::Error>(7)
        }))
    });
    assert_eq!(output.unwrap(), 7);
    assert_eq!(
        seen,
        ["INFO span Well/op < -: operation.service=Well operation.name=op"]
    );
    assert_eq!(points("Well", ""), (1.0, 0.0));
}

#[test]
fn an_error_is_on_the_span_in_the_numbers_and_in_a_line_of_the_span() {
    let error = || io::Error::new(io::ErrorKind::NotFound, "no user 7");
    let (_, seen) = Capture::of(|| now(observe("Bad", "op", async { Err::<(), _>(error()) })));
    assert_eq!(
        seen,
        [
            "ERROR in Bad/op: message=Bad/op failed operation.service=Bad operation.name=op \
             error.type=NotFound error=no user 7",
            "INFO span Bad/op < -: operation.service=Bad operation.name=op error.type=NotFound \
             otel.status_code=ERROR otel.status_description=no user 7",
        ]
    );
    assert_eq!(points("Bad", ""), (0.0, 0.0));
    assert_eq!(points("Bad", "NotFound"), (1.0, 1.0));
}

#[test]
fn a_dropped_future_is_canceled_and_one_never_polled_did_not_begin() {
    let ((), seen) = Capture::of(|| {
        once(observe("Gone", "op", pause()));
        drop(observe("Gone", "op", pause()));
    });
    assert_eq!(
        seen,
        [
            "WARN in Gone/op: message=Gone/op was canceled operation.service=Gone \
             operation.name=op error.type=cancelled",
            "INFO span Gone/op < -: operation.service=Gone operation.name=op \
             error.type=cancelled otel.status_code=ERROR",
        ]
    );
    assert_eq!(points("Gone", "cancelled"), (1.0, 1.0));
    assert_eq!(points("Gone", ""), (0.0, 0.0));
}

#[test]
fn a_panic_is_logged_once_and_continues() {
    let (caught, seen) = Capture::of(|| {
        catch_unwind(AssertUnwindSafe(|| {
            now(observe("Mad", "op", async {
                pause().await;
                if true {
                    panic!("on purpose");
                }
            }))
        }))
    });
    assert_eq!(
        *caught.unwrap_err().downcast::<&str>().unwrap(),
        "on purpose"
    );
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].contains("Mad/op panicked"), "{seen:?}");
    assert_eq!(points("Mad", "panic"), (1.0, 1.0));
    assert_eq!(points("Mad", "cancelled"), (0.0, 0.0));
}

#[test]
fn a_function_ends_in_the_same_ways() {
    let op = || Operation::new("Sync", "op");
    assert_eq!(op().run_sync(|| 7), 7);
    op().run_sync(|| "x".parse::<u8>()).unwrap_err();
    let caught = catch_unwind(|| {
        op().run_sync(|| {
            if true {
                panic!("on purpose")
            }
        })
    });
    assert!(caught.is_err());
    assert_eq!(points("Sync", ""), (1.0, 0.0));
    assert_eq!(
        points("Sync", "core::num::error::ParseIntError"),
        (1.0, 1.0)
    );
    assert_eq!(points("Sync", "panic"), (1.0, 1.0));
}

#[test]
fn an_operation_in_a_drop_of_a_panic_did_not_panic_itself() {
    struct Tidy;
    impl Drop for Tidy {
        fn drop(&mut self) {
            Operation::new("Tidy", "op").run_sync(|| ());
            drop(observe::begin("Tidy", "op"));
        }
    }
    let caught = catch_unwind(|| {
        let _tidy = Tidy;
        panic!("on purpose");
    });
    assert!(caught.is_err());
    assert_eq!(points("Tidy", ""), (1.0, 0.0));
    assert_eq!(points("Tidy", "cancelled"), (1.0, 1.0));
    assert_eq!(points("Tidy", "panic"), (0.0, 0.0));
}

#[test]
fn operations_nest_wherever_they_are_polled() {
    let (_, seen) = Capture::of(|| {
        let inner = || observe_infallible("Inner", "op", pause());
        let mut outer = Box::pin(observe("Outer", "op", async move { inner().await }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(outer.as_mut().poll(&mut cx).is_pending());
        // Code that runs between the polls is in neither.
        observe::event("between", &[("n", 1.into())]);
        assert!(outer.as_mut().poll(&mut cx).is_ready());
    });
    let seen: Vec<_> = seen
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let expected = [
        "INFO in -",
        "INFO span Inner/op < Outer/op",
        "INFO span Outer/op < -",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn values_in_a_future_are_dropped_in_its_span() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            tracing::info!("dropped");
        }
    }
    let hold = || async {
        let _loud = Loud;
        pause().await;
    };
    let ((), seen) = Capture::of(|| once(observe("Held", "op", hold())));
    assert_eq!(seen[0], "INFO in Held/op: message=dropped");
    let ((), seen) = Capture::of(|| now(observe("Held", "op", hold())));
    assert_eq!(seen[0], "INFO in Held/op: message=dropped");
}

#[test]
fn a_function_decides_whether_an_output_is_a_failure() {
    let classified = |answer: u16| {
        let op = Operation::new("Judged", "op").with_error_level(Level::DEBUG);
        let observed = op.run_classified(async move { answer }, |answer| {
            (*answer >= 400).then(|| Failure::new(answer.to_string()).with_message(&"refused"))
        });
        Capture::of(|| now(observed)).1
    };
    assert_eq!(classified(200).len(), 1);
    let seen = classified(404);
    assert!(seen[0].starts_with("DEBUG in Judged/op"), "{seen:?}");
    assert!(
        seen[0].ends_with("error.type=404 error=refused"),
        "{seen:?}"
    );
    assert_eq!(points("Judged", "404"), (1.0, 1.0));
}

#[test]
fn errors_are_named_for_the_whole_process() {
    #[derive(Debug)]
    struct Coded(u16);
    impl std::fmt::Display for Coded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("secret")
        }
    }
    observe::name_errors(|error: &Coded| error.0.to_string().into());
    assert_eq!(ErrorType::of(&Coded(3)).as_str(), "3");
    now(observe("Coded", "op", async { Err::<(), _>(Coded(4)) })).unwrap_err();
    assert_eq!(points("Coded", "4"), (1.0, 1.0));
}

#[test]
fn operations_of_a_disabled_registry_are_not_recorded() {
    let registry = Registry::new();
    registry.disable();
    let observer = Observer::new(&registry);
    let op = || Operation::new("Off", "op").with_observer(&observer);
    op().run_sync(|| ());
    drop(op().begin());
    assert!(registry.stats().families.is_empty());
    // A subscriber still gets the spans.
    let (_, seen) = Capture::of(|| op().run_sync(|| ()));
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_level_that_is_disabled_makes_no_span() {
    let filtered = |level| {
        use tracing_subscriber::layer::SubscriberExt as _;
        // A filter around all layers: a filter around one of them would not prevent the span.
        let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, || {
            let guard = Operation::new("Quiet", "op").with_level(level).begin();
            let is_none = guard.span().is_none();
            guard.succeed();
            is_none
        })
    };
    assert!(!filtered(Level::INFO));
    assert!(filtered(Level::DEBUG));
    assert_eq!(points("Quiet", ""), (2.0, 0.0));
}

#[test]
fn the_future_of_an_operation_goes_between_threads() {
    fn sent<T: Send>(t: T) -> T {
        t
    }
    let text = String::from("orders");
    let op = Operation::new("Sent", "op").with_attribute("a", &text);
    now(sent(op.run(sent(observe("Sent", "op", async {})))));
    assert_eq!(points("Sent", ""), (2.0, 0.0));
}
