//! Futures of observed code are `Send`, so that they can be spawned and awaited in handlers.

use std::future::Future;
use std::pin::Pin;

use barograph_tracing::observe::{Operation, observe};

use crate::capture::{now, pause};

type Outcome = Result<String, std::num::ParseIntError>;

struct Store;

#[observe(crate = "barograph_tracing", service = "Store", fields(order.id = id, text, debug = ?id))]
async fn load(id: u64, text: String) -> Outcome {
    pause().await;
    Ok(format!("{id} {text}"))
}

#[observe(crate = "barograph_tracing", fields(id, shown = %id, text))]
fn returns_a_future(id: u64, text: String) -> impl Future<Output = Outcome> + Send {
    async move {
        pause().await;
        Ok(format!("{id} {text}"))
    }
}

#[observe(crate = "barograph_tracing", fields(id, text))]
fn returns_a_box(id: u64, text: String) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
    Box::pin(async move {
        pause().await;
        Ok(format!("{id} {text}"))
    })
}

#[observe(crate = "barograph_tracing")]
impl Store {
    #[observe(fields(order.id = id, text = text.as_str()))]
    async fn load(&self, id: u64, text: &String) -> Outcome {
        pause().await;
        Ok(format!("{id} {text}"))
    }
}

fn sent<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn futures_with_fields_are_send() {
    let text = || "a".to_owned();
    let expected = Ok("7 a".to_owned());
    assert_eq!(now(sent(load(7, text()))), expected);
    assert_eq!(now(sent(returns_a_future(7, text()))), expected);
    assert_eq!(now(sent(returns_a_box(7, text()))), expected);
    assert_eq!(now(sent(Store.load(7, &text()))), expected);
    let operation = Operation::new("Store", "load").with_attribute("order.id", u64::MAX);
    assert_eq!(now(sent(operation.run(load(7, text())))), expected);
}
