//! Interceptors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph_core::registry::Registry;
use barograph_tracing::observe::{Call, Chain, Ended, Interceptor, Observer, Operation};

use crate::capture::{now, once, pause};

#[derive(Clone)]
struct Notes(&'static str, Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, what: String) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }
}

impl Interceptor for Notes {
    fn before(&self, call: &Call<'_>) {
        self.note(format!(
            "before {}/{} {:?}",
            call.service,
            call.name,
            call.attributes.len()
        ));
    }

    fn after(&self, _: &Call<'_>, ended: &Ended<'_>, duration: Duration) {
        assert!(duration < Duration::from_secs(60));
        self.note(format!("after {}", ended.error_type().unwrap_or("well")));
    }
}

struct Faulty;

impl Interceptor for Faulty {
    fn before(&self, _: &Call<'_>) {
        panic!("on purpose");
    }

    fn after(&self, _: &Call<'_>, _: &Ended<'_>, _: Duration) {
        panic!("on purpose");
    }
}

#[test]
fn interceptors_are_called_in_order_and_back() {
    let notes = Arc::default();
    let chain = Chain::new()
        .with(Notes("outer", Arc::clone(&notes)))
        .with(Faulty)
        .with(Notes("inner", Arc::clone(&notes)));
    let registry = Registry::new();
    let observer = Observer::new(&registry).with_chain(&chain);
    let op = || {
        let op = Operation::new("Chain", "op").with_attribute("a", 1);
        op.with_observer(&observer)
    };
    now(op().run(async { Err::<(), _>("no") })).unwrap_err();
    once(op().run(pause()));
    let calls = std::mem::take(&mut *notes.lock().unwrap());
    let each = |end: &str| {
        [
            "outer before Chain/op 1".to_owned(),
            "inner before Chain/op 1".to_owned(),
            format!("inner after {end}"),
            format!("outer after {end}"),
        ]
    };
    assert_eq!(calls, [each("_OTHER"), each("cancelled")].concat());
    assert_eq!(chain.panics(), 4);
    let labels = [
        ("operation.service", "Chain"),
        ("operation.name", "op"),
        ("error.type", "cancelled"),
    ];
    assert_eq!(registry.value("operation.duration", &labels), Some(1.0));
}
