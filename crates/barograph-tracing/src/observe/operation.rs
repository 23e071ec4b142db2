//! An operation that is described at the call.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::report;
use barograph_model::span::SpanKind;
use tracing::{Level, Value};

use super::active_operation::ActiveOperation;
use super::attribute::{AttributeValue, Attributes, Carried as _, MOST_ATTRIBUTES};
use super::failure::Failure;
use super::future::{self, Observed};
use super::guard::Guard;
use super::observer::{Observer, ObserverRef};
use super::outcome::Outcome;
use super::sites::{self, Key};

/// An operation that is described at the call: with a kind, attributes and levels.
///
/// Kind and attributes select its metrics; see the [module](super). Service, name and keys must have
/// few different values, because each combination is kept forever.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe::Operation;
/// use barograph_model::span::SpanKind;
///
/// # async fn select() -> Result<u32, std::io::Error> { Ok(7) }
/// # async fn f() -> Result<(), std::io::Error> {
/// let row = Operation::new("OrderStore", "SELECT")
///     .with_kind(SpanKind::Client)
///     .with_attribute("db.system.name", "postgresql")
///     .with_attribute("db.collection.name", "orders")
///     .run(select())
///     .await?;
/// # let _ = row;
/// # Ok(())
/// # }
/// ```
///
/// This records a client span `SELECT orders`, and a point in `db.client.operation.duration`.
#[derive(Clone)]
#[must_use = "an operation does nothing until it is run"]
pub struct Operation<'a> {
    service: &'a str,
    name: &'a str,
    kind: SpanKind,
    level: Level,
    error_level: Option<Level>,
    attributes: Attributes<'a>,
    observer: ObserverRef,
}

impl<'a> Operation<'a> {
    /// Describes an internal operation.
    pub fn new(service: &'a str, name: &'a str) -> Self {
        Operation {
            service,
            name,
            kind: SpanKind::Internal,
            level: Level::INFO,
            error_level: Some(Level::ERROR),
            attributes: Attributes::default(),
            observer: ObserverRef::default(),
        }
    }

    /// Sets the kind of the span.
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds an attribute: a text, a `bool`, an `f64`, or an integer of up to 64 bits or `usize`, of which
    /// one above `i64::MAX` is recorded as that. It goes to the span, and to the metrics if their
    /// convention has a label of that name.
    ///
    /// More than [`MOST_ATTRIBUTES`] attributes are dropped, which is reported once.
    pub fn with_attribute(
        mut self,
        key: &'static str,
        value: impl Into<AttributeValue<'a>>,
    ) -> Self {
        static REPORTED: AtomicBool = AtomicBool::new(false);
        if !self.attributes.set(key, value.into()) && !REPORTED.swap(true, Ordering::Relaxed) {
            report::report(format!(
                "attribute {key:?} of an operation is left out, expected {MOST_ATTRIBUTES} at most"
            ));
        }
        self
    }

    /// Sets the level of the span, `INFO` by default.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Sets the level of the log line of a failure, `ERROR` by default. The level of a cancellation is
    /// `WARN` at most. If [`level_errors`](super::level_errors) gives a less severe level for an error,
    /// that level is used.
    pub fn with_error_level(mut self, level: Level) -> Self {
        self.error_level = Some(level);
        self
    }

    /// Writes no log line when the operation fails.
    pub fn without_log_line(mut self) -> Self {
        self.error_level = None;
        self
    }

    /// Records the operation with this observer instead of in the global registry.
    pub fn with_observer(mut self, observer: &Observer) -> Self {
        self.observer = ObserverRef(Some(observer.clone()));
        self
    }

    /// Runs a future as the operation, which begins when the future is first polled.
    pub fn run<F>(self, future: F) -> impl Future<Output = F::Output> + use<'a, F>
    where
        F: Future<Output: Outcome>,
    {
        Observed::new(|| self.start(), future, Outcome::failure)
    }

    /// Runs a future that cannot fail.
    pub fn run_infallible<F: Future>(
        self,
        future: F,
    ) -> impl Future<Output = F::Output> + use<'a, F> {
        Observed::new(|| self.start(), future, |_: &F::Output| None)
    }

    /// Runs a future; `classify` decides whether its output is a failure.
    pub fn run_classified<F, J>(
        self,
        future: F,
        classify: J,
    ) -> impl Future<Output = F::Output> + use<'a, F, J>
    where
        F: Future,
        J: FnOnce(&F::Output) -> Option<Failure<'_>>,
    {
        Observed::new(|| self.start(), future, classify)
    }

    /// Runs a function on this thread.
    pub fn run_sync<T: Outcome>(self, function: impl FnOnce() -> T) -> T {
        future::run(self.start(), function, Outcome::failure)
    }

    /// Begins the operation; the caller ends it through the guard.
    pub fn begin(self) -> Guard<Attributes<'a>> {
        Guard::new(self.start())
    }

    /// Begins the operation. None when observation is off.
    fn start(self) -> Option<ActiveOperation<Attributes<'a>>> {
        if self.observer.is_off() {
            return None;
        }
        let attributes = self.attributes.as_slice();
        let text = |key| match attributes.iter().find(|a| a.key == key)?.value {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        };
        let has = |key| attributes.iter().any(|a| a.key == key);
        let target = if has("db.system.name") {
            Some(text("db.collection.name").unwrap_or(""))
        } else if has("messaging.system") {
            Some(text("messaging.destination.name").unwrap_or(""))
        } else {
            None
        };
        let site = sites::find(&Key {
            service: self.service,
            name: self.name,
            target,
            kind: self.kind,
            level: self.level,
            error_level: self.error_level,
            attributes,
        });
        let mut values: [&dyn Value; MOST_ATTRIBUTES] = [&""; MOST_ATTRIBUTES];
        for (value, attribute) in values.iter_mut().zip(attributes) {
            *value = attribute.value.as_field();
        }
        let values = &values[..attributes.len()];
        Some(ActiveOperation::begin(
            site,
            self.observer,
            self.attributes,
            values,
        ))
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Attributes may hold secrets.
        f.debug_struct("Operation")
            .field("service", &self.service)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
