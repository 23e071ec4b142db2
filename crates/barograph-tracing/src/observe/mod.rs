//! Operations: one call for a span, a duration, a count of errors and a log line.
//!
//! ```
//! # extern crate barograph_tracing as barograph;
//! use barograph::observe::observe;
//!
//! # async fn find(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
//! # async fn f() -> Result<(), std::io::Error> {
//! let user = observe("UserService", "GetUser", async { find(7).await }).await?;
//! # let _ = user;
//! # Ok(())
//! # }
//! ```
//!
//! [`observe()`] takes a future, [`begin`] returns a [`Guard`] for the form in three steps, the
//! attribute [`#[observe]`](macro@observe) goes before a function, and [`Operation`] adds details to
//! a call. All of them record:
//!
//! * a span through `tracing`, so that every layer sees it: named `UserService/GetUser`, at level
//!   `INFO`, with `otel.kind` if it is not internal;
//! * a point in a histogram of seconds;
//! * on failure: `error.type` and `otel.status_code` on the span, `error.type` on the point, an
//!   increment of an error counter, and a log line in the span, which therefore has its ids.
//!
//! The level of the log line is `ERROR`. The operation can lower it by
//! [`Operation::with_error_level`] or `#[observe(error_level = "...")]`, and so can the error, by
//! [`level_errors`] for all errors of a type or [`Failure::with_level`] for one.
//!
//! `error.type` is the type of the error, or a code that [`name_errors`] or a [`Failure`] gives,
//! never a message. An operation that is dropped early is `cancelled`, one that panics is `panic`.
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
//! Databases and messaging follow the semantic conventions: their labels are the attributes that the
//! convention names and the operation has; the name of the operation is `db.operation.name` or
//! `messaging.operation.name` unless that attribute is set. [`kafka`] has the operations of a Kafka
//! client.
//!
//! [`event`] reports an event within an operation; [`States`] and [`Window`] are operations that are
//! periods of time and not calls.
//!
//! # Cost
//!
//! A successful operation allocates nothing after the first one of its name. It reads the clock twice,
//! which is most of its cost without a span. If nothing is recorded, there is no subscriber and no
//! [`Chain`] is installed, the clock is not read either.
//!
//! An operation is in its span and its trace whenever it is polled; tasks that it spawns are not.
//! Attach a spawned task to the span by `tracing::Instrument::in_current_span`.

mod attribute;
mod by_error;
mod error_type;
mod failure;
mod outcome;
mod convention;
mod instruments;
mod chain;
mod callsite;
mod site;
mod sites;
mod observer;
mod active_operation;
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
pub use error_type::{ErrorType, name_errors};
pub use event::event;
pub use failure::{Failure, level_errors};
pub use guard::Guard;
pub use observer::Observer;
pub use operation::Operation;
pub use outcome::Outcome;
pub use sites::MOST_SITES;
pub use states::{States, Window};

use self::active_operation::ActiveOperation;
use self::future::Observed;

/// Observes a future as an operation: a span, a duration, and its error.
///
/// The operation begins when the future is first polled.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph_core::registry::Registry;
/// use barograph::observe::observe;
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
        move || ActiveOperation::named(service, name),
        future,
        Outcome::failure,
    )
}

/// Observes a future that cannot fail, whatever its output is.
pub fn observe_infallible<F: Future>(
    service: &str,
    name: &str,
    future: F,
) -> impl Future<Output = F::Output> {
    Observed::new(
        move || ActiveOperation::named(service, name),
        future,
        |_: &F::Output| None,
    )
}

/// Begins an operation that the caller ends through the guard.
pub fn begin(service: &str, name: &str) -> Guard {
    Guard::new(ActiveOperation::named(service, name))
}
