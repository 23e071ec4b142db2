//! Instruments of callsites: valid keys, values and names.

use std::cell::RefCell;
use std::sync::Mutex;

use barograph_core::counter;
use barograph_core::registry::Registry;

const NAME: &str = "named";

#[track_caller]
fn check(name: &str, labels: &[(&str, &str)], expected: f64) {
    assert_eq!(Registry::global().value(name, labels), Some(expected), "{name}{labels:?}");
}

/// A wrapper as users write it.
macro_rules! order {
    ($kind:literal, $($key:ident = $value:expr),*) => {
        counter!("wrapped", kind = $kind, $($key = $value),*).inc()
    };
}

fn fallible(code: Option<u16>) -> Option<()> {
    counter!("fallible", code = code?,).inc();
    Some(())
}

fn generic<T: AsRef<str>>(route: T) {
    counter!("generic", route = route.as_ref()).inc();
    drop(route);
}

async fn later() -> &'static str {
    "later"
}

async fn awaited() {
    counter!("awaited", when = later().await).inc();
}

fn main() {
    counter!("plain").inc();
    counter!("plain",).inc();
    check("plain", &[], 2.0);

    counter!(NAME).inc();
    counter!(concat!("na", "med.web"), kind = "web").add(3);
    check("named", &[], 1.0);
    check("named.web", &[("kind", "web")], 3.0);

    for _ in 0..2 {
        counter!("fixed", type = "t", r#match = "m", "http.route" => "/", code = 200, ok = true).inc();
    }
    let fixed = [("code", "200"), ("http.route", "/"), ("match", "m"), ("ok", "true"), ("type", "t")];
    check("fixed", &fixed, 2.0);

    let (route, code) = (String::from("/orders"), 404_u16);
    for _ in 0..2 {
        counter!("mixed", kind = "web", "http.route" => route, code = code, gone = code == 404).inc();
    }
    let labels = [("code", "404"), ("gone", "true"), ("http.route", "/orders"), ("kind", "web")];
    check("mixed", &labels, 2.0);
    // Values are borrowed.
    assert_eq!(route, "/orders");

    // In the order of the call, although the labels are sorted.
    let order = RefCell::new(Vec::new());
    let note = |value: &'static str| {
        order.borrow_mut().push(value);
        value
    };
    counter!("ordered", z = note("1"), a = note("2"), m = note("3")).inc();
    assert_eq!(order.into_inner(), ["1", "2", "3"]);
    check("ordered", &[("a", "2"), ("m", "3"), ("z", "1")], 1.0);

    // What a value borrows is released before the instrument is used.
    let locked = Mutex::new(String::from("text"));
    let used = counter!("locked", text = locked.lock().unwrap().as_str());
    assert!(locked.try_lock().is_ok());
    used.inc();
    check("locked", &[("text", "text")], 1.0);

    order!("web", code = 1 + 1);
    order!("web", code = code);
    check("wrapped", &[("code", "2"), ("kind", "web")], 1.0);
    check("wrapped", &[("code", "404"), ("kind", "web")], 1.0);

    assert_eq!((fallible(None), fallible(Some(1))), (None, Some(())));
    check("fallible", &[("code", "1")], 1.0);
    generic("x");
    generic(String::from("x"));
    check("generic", &[("route", "x")], 2.0);

    let mut future = std::pin::pin!(awaited());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(future.as_mut(), &mut context).is_ready());
    check("awaited", &[("when", "later")], 1.0);
}
