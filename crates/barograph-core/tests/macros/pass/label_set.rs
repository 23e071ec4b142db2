//! Structs as label sets: each lookup method, and the labels in a snapshot.

extern crate barograph_core as barograph;

use std::borrow::Cow;
use std::rc::Rc;

use barograph::Counter;
use barograph::Family;
use barograph::labels::{LabelSet, LabelValue};
use barograph::registry::Registry;

#[derive(Clone, Copy, LabelValue)]
enum Kind {
    Web,
    PhoneCall,
}

/// Text only.
#[derive(LabelSet)]
struct Request<'a, 'b> {
    r#type: &'a str,
    #[label(name = "http.route")]
    route: Cow<'b, str>,
    host: String,
    shared: Rc<str>,
    twice: &'a &'b str,
}

/// Few enough label sets for an array.
#[derive(LabelSet)]
struct Order<'a> {
    kind: Kind,
    paid: bool,
    before: &'a Kind,
}

/// Text, numbers and enums at once.
#[derive(LabelSet)]
struct Mixed<'a> {
    route: &'a str,
    status: u16,
    kind: Kind,
    delta: i8,
    retried: bool,
    size: usize,
    #[label(name = "a.host")]
    host: &'a String,
    wait: &'a i64,
}

fn text() {
    let registry = Registry::new();
    let requests: Family<Counter<u64>, Request> = registry.counter("requests").build_with_labels().unwrap();
    let (route, dynamic) = ("/orders", String::from("b"));
    let request = |host: &str| Request {
        r#type: "a",
        route: Cow::Borrowed(route),
        host: host.to_owned(),
        shared: Rc::from("s"),
        twice: &"t",
    };
    requests.with(&request("one")).inc();
    requests.with(&request("two")).add(2);
    requests.with(&Request { r#type: &dynamic, ..request("two") }).add(4);
    let value = |host, ty| {
        let labels =
            [("host", host), ("http.route", route), ("shared", "s"), ("twice", "t"), ("type", ty)];
        registry.value("requests", &labels)
    };
    assert_eq!(value("one", "a"), Some(1.0));
    assert_eq!(value("two", "a"), Some(2.0));
    assert_eq!(value("two", "b"), Some(4.0));
    assert_eq!(value("one", "b"), None);
    assert_eq!(Request::names(), ["host", "http.route", "shared", "twice", "type"]);
}

fn dense() {
    let registry = Registry::new();
    let orders: Family<Counter<u64>, Order> = registry.counter("orders").build_with_labels().unwrap();
    let all = [Kind::Web, Kind::PhoneCall];
    let mut amount = 1;
    for kind in all {
        for paid in [false, true] {
            for before in &all {
                orders.with(&Order { kind, paid, before }).add(amount);
                amount *= 2;
            }
        }
    }
    let mut amount = 1.0;
    for kind in all {
        for paid in ["false", "true"] {
            for before in all {
                let (kind, before) = (Kind::NAMES[kind.index()], Kind::NAMES[before.index()]);
                let labels = [("before", before), ("kind", kind), ("paid", paid)];
                assert_eq!(registry.value("orders", &labels), Some(amount));
                amount *= 2.0;
            }
        }
    }
}

fn mixed() {
    let registry = Registry::new();
    let family: Family<Counter<u64>, Mixed> = registry.counter("mixed").build_with_labels().unwrap();
    let host = String::from("h");
    let mixed = || Mixed {
        route: "/",
        status: 200,
        kind: Kind::PhoneCall,
        delta: -1,
        retried: true,
        size: 7,
        host: &host,
        wait: &i64::MIN,
    };
    family.with(&mixed()).inc();
    family.with(&Mixed { status: 404, ..mixed() }).add(2);
    family.with(&Mixed { delta: 1, ..mixed() }).add(4);
    family.with(&Mixed { route: "h", host: &String::from("/"), ..mixed() }).add(8);
    let value = |host, delta, route, status| {
        let labels = [
            ("a.host", host),
            ("delta", delta),
            ("kind", "phone_call"),
            ("retried", "true"),
            ("route", route),
            ("size", "7"),
            ("status", status),
            ("wait", "-9223372036854775808"),
        ];
        registry.value("mixed", &labels)
    };
    assert_eq!(value("h", "-1", "/", "200"), Some(1.0));
    assert_eq!(value("h", "-1", "/", "404"), Some(2.0));
    assert_eq!(value("h", "1", "/", "200"), Some(4.0));
    assert_eq!(value("/", "-1", "h", "200"), Some(8.0));
}

fn main() {
    text();
    dense();
    mixed();
}
