//! Macros and derives work with this crate as the only dependency.

use barograph::Registry;
use barograph::{
    LabelSet, LabelValue, counter, counter_f64, describe, gauge, gauge_i64, histogram, observe,
    up_down_counter,
};
use std::error::Error;

#[derive(LabelValue)]
enum Kind {
    Web,
    PhoneCall,
}

#[derive(LabelSet)]
struct Order<'a> {
    kind: Kind,
    #[label(name = "http.route")]
    route: &'a str,
}

#[test]
fn macros_record_in_the_global_registry() {
    describe!("it.orders", unit = "{order}", help = "Orders placed.");
    let status = 200_u16;
    counter!("it.orders", kind = Kind::PhoneCall, "http.status" => status).inc();
    counter_f64!("it.cost", currency = "EUR").add(1.5);
    gauge!("it.temperature").set(21.5);
    gauge_i64!("it.workers").set(4);
    up_down_counter!("it.queue", name = "mail").inc();
    histogram!("it.duration").observe(0.3);
    let global = Registry::global();
    let labels = [("kind", "phone_call"), ("http.status", "200")];
    assert_eq!(global.value("it.orders", &labels), Some(1.0));
    assert_eq!(global.value("it.cost", &[("currency", "EUR")]), Some(1.5));
    assert_eq!(global.value("it.temperature", &[]), Some(21.5));
    assert_eq!(global.value("it.workers", &[]), Some(4.0));
    assert_eq!(global.value("it.queue", &[("name", "mail")]), Some(1.0));
    assert_eq!(global.value("it.duration", &[]), Some(1.0));
}

#[test]
fn structs_are_label_sets() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let orders = registry
        .counter("orders")
        .build_with_labels::<Order<'_>>()?;
    orders
        .with(&Order {
            kind: Kind::Web,
            route: "/orders/{id}",
        })
        .inc();
    let labels = [("kind", "web"), ("http.route", "/orders/{id}")];
    assert_eq!(registry.value("orders", &labels), Some(1.0));
    Ok(())
}

#[observe(service = "UserService", name = "GetUser")]
async fn get_user(id: &str) -> Result<u32, std::num::ParseIntError> {
    id.parse()
}

#[tokio::test]
async fn operations_are_observed_in_every_form() {
    assert_eq!(get_user("7").await, Ok(7));
    get_user("x").await.unwrap_err();
    assert_eq!(
        observe("UserService", "GetUser", get_user("8")).await,
        Ok(8)
    );
    observe::begin("UserService", "GetUser").succeed();
    let points = |error| {
        let labels = [
            ("operation.service", "UserService"),
            ("operation.name", "GetUser"),
            ("error.type", error),
        ];
        Registry::global().value("operation.duration", &labels)
    };
    assert_eq!(points(""), Some(4.0));
    assert_eq!(points("core::num::error::ParseIntError"), Some(1.0));
}
