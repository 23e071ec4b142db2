//! Operations: one call for a span, a duration, a count of errors and a log line.
//!
//! ```
//! use barograph_edge::observe::observe;
//!
//! # async fn find(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
//! # async fn f() -> Result<(), std::io::Error> {
//! let user = observe("UserService", "GetUser", async { find(7).await }).await?;
//! # let _ = user;
//! # Ok(())
//! # }
//! ```
//!
//! [`observe()`] takes a future, [`begin`] gives a [`Guard`] for the form in three lines, the
//! attribute [`#[observe]`](macro@observe) goes before a function, and [`Operation`] says more about
//! a call. All of them do the same:
//!
//! * a span through `tracing`, so that every layer sees it: named `UserService/GetUser`, at level
//!   `INFO`, with `otel.kind` where it is not internal;
//! * a point in a histogram of seconds;
//! * and when it did not go well: `error.type` and `otel.status_code` on the span, `error.type` on
//!   the point, a count, and a log line in the span, which so has its ids.
//!
//! The log line is of level `ERROR`, unless the operation says otherwise, by
//! [`Operation::with_error_level`] or `#[observe(error_level = "...")]`, or the error does, by
//! [`level_errors`] for all errors of a type or [`Failure::with_level`] for one.
//!
//! `error.type` is the type of the error, or a code that [`name_errors`] or a [`Failure`] gives,
//! never a message. What is dropped before its end is `cancelled`, what panics is `panic`.
//!
//! # Metrics
//!
//! | operation | metrics | span |
//! |---|---|---|
//! | any | `operation.duration` in `s`, and `operation.errors`, by `operation.service`, `operation.name` and `error.type` | `service/name` |
//! | of kind client, with `db.system.name` | `db.client.operation.duration` | `name collection` |
//! | of kind client or producer, with `messaging.system` | `messaging.client.operation.duration`, and `messaging.client.sent.messages` or `.consumed.messages` | `name destination` |
//! | of kind consumer, with `messaging.system` | `messaging.process.duration` | `name destination` |
//!
//! Databases and messaging follow the semantic conventions: their labels are those attributes that
//! the convention names and the operation has; the name of the operation is `db.operation.name` or
//! `messaging.operation.name` unless that is given. [`kafka`] has the operations of a Kafka client.
//!
//! [`event`] says what happens within; [`States`] and [`Window`] are operations that are a stretch
//! of time and not a call.
//!
//! # Cost
//!
//! An operation that goes well allocates nothing after the first of its name. It takes the time
//! twice, and that is most of what it costs without a span. Where nothing is recorded, nobody
//! subscribes and no [`Chain`] is installed, it does not even do that.
//!
//! An operation is in its span and its trace whenever it is polled; tasks that it spawns are not.
//! Give a spawned task its place by `tracing::Instrument::in_current_span`.

mod attribute;
mod outcome;
mod convention;
mod instruments;
mod chain;
mod callsite;
mod site;
mod sites;
mod observer;
mod running;
mod future;
mod event;
mod guard;
mod operation;
mod states;
pub mod kafka;
#[doc(hidden)]
pub mod expansion;

use std::future::Future;

pub use barograph_macros::observe;

pub use attribute::{Attribute, AttributeValue, Attributes, Carried, MOST_ATTRIBUTES};
pub use chain::{Call, Chain, ChainInstalled, Ended, Interceptor};
pub use event::event;
pub use guard::Guard;
pub use observer::Observer;
pub use operation::Operation;
pub use outcome::{ErrorType, Failure, Outcome, level_errors, name_errors};
pub use sites::MOST_SITES;
pub use states::{States, Window};

use self::future::Observed;
use self::running::Running;

/// Observes an operation: a span, a duration, and what went wrong.
///
/// It begins when it is first polled.
///
/// ```
/// use barograph_core::registry::Registry;
/// use barograph_edge::observe::observe;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let parsed = observe("Parser", "Parse", async { "x".parse::<u8>() }).await;
/// # assert!(parsed.is_err());
/// # });
/// let labels = [
///     ("operation.service", "Parser"),
///     ("operation.name", "Parse"),
///     ("error.type", "core::num::error::ParseIntError"),
/// ];
/// assert_eq!(Registry::global().value("operation.errors", &labels), Some(1.0));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn observe<F>(service: &str, name: &str, future: F) -> impl Future<Output = F::Output>
where
    F: Future<Output: Outcome>,
{
    Observed::new(
        move || Running::named(service, name),
        future,
        Outcome::failure,
    )
}

/// The same for what cannot fail, whatever it gives.
pub fn observe_infallible<F: Future>(
    service: &str,
    name: &str,
    future: F,
) -> impl Future<Output = F::Output> {
    Observed::new(
        move || Running::named(service, name),
        future,
        |_: &F::Output| None,
    )
}

/// Begins an operation, for whoever ends it by hand.
pub fn begin(service: &str, name: &str) -> Guard {
    Guard::new(Running::named(service, name))
}
