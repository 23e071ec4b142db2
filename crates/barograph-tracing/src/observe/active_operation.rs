//! An operation from its beginning to its end, of which there is exactly one.

use std::fmt::Display;
use std::time::Duration;

use barograph_core::clock::Stopwatch;
use barograph_model::span::SpanKind;
use tracing::{Level, Span, Value};

use super::attribute::Carried;
use super::chain::{Call, Ended};
use super::error_type::ErrorType;
use super::failure::Failure;
use super::instruments::Completion;
use super::observer::ObserverRef;
use super::site::Site;
use super::sites::{self, Key};

/// An operation that has begun.
#[expect(missing_debug_implementations, reason = "for the macros only")]
pub struct ActiveOperation<A: Carried> {
    /// Separate from `rest`, so that the span can be entered while `rest` is ended.
    pub(super) span: Span,
    pub(super) rest: Rest<A>,
}

/// All state but the span.
pub(super) struct Rest<A: Carried> {
    site: &'static Site,
    observer: ObserverRef,
    attributes: A,
    /// None when it has ended, or when there is nothing to record.
    since: Option<Stopwatch>,
    /// True if the thread was unwinding already, which is no sign of a panic in the operation.
    began_unwinding: bool,
}

impl ActiveOperation<()> {
    /// Begins an operation that has only names. None when observation is off.
    #[inline]
    pub(super) fn named(service: &str, name: &str) -> Option<Self> {
        let observer = ObserverRef::default();
        if observer.is_off() {
            return None;
        }
        let site = sites::find(&Key {
            service,
            name,
            target: None,
            kind: SpanKind::Internal,
            level: Level::INFO,
            error_level: Some(Level::ERROR),
            attributes: &[],
        });
        Some(ActiveOperation::begin(site, observer, (), &[]))
    }
}

impl<A: Carried> ActiveOperation<A> {
    /// Begins an operation with the values of its site's keys.
    #[inline]
    pub(super) fn begin(
        site: &'static Site,
        observer: ObserverRef,
        attributes: A,
        values: &[&dyn Value],
    ) -> Self {
        let mut running = ActiveOperation {
            span: Span::none(),
            rest: Rest {
                site,
                observer,
                attributes,
                since: None,
                began_unwinding: std::thread::panicking(),
            },
        };
        let ActiveOperation { span, rest } = &mut running;
        // A disabled span stays where it is: moving a span costs more than all the work that finds it
        // disabled.
        if let Some(wanted) = site.span(values) {
            *span = wanted;
        }
        let chain = rest.observer.chain();
        if let Some(chain) = chain {
            let _inside = span.enter();
            chain.before(&call(site, &rest.attributes, span));
        }
        if chain.is_some() || !span.is_none() || !rest.observer.instruments().is_off() {
            rest.since = Some(Stopwatch::start());
        }
        running
    }

    /// Ends the operation: with the failure, or successfully without one.
    #[inline]
    pub(super) fn end(&mut self, failure: Option<&Failure<'_>>) {
        let _inside = self.span.enter();
        self.rest.end(&self.span, failure);
    }

    /// Ends the operation on drop, after an error that was logged.
    pub(super) fn end_noted(&mut self, error_type: ErrorType) {
        let _inside = self.span.enter();
        let panicked = std::thread::panicking() && !self.rest.began_unwinding;
        match self.rest.since.take() {
            Some(since) if !panicked => {
                let error_type = error_type.as_str();
                let ended = Ended::Failed { error_type };
                self.rest.finish(&self.span, &ended, since.elapsed());
            }
            since => {
                self.rest.since = since;
                self.rest.abandon(&self.span);
            }
        }
    }

    /// Logs an error while the operation continues.
    pub(super) fn log_error(&self, failure: &Failure<'_>) {
        if self.rest.since.is_some() {
            let error_type = failure.error_type.as_str();
            let _inside = self.span.enter();
            let ended = Ended::Failed { error_type };
            self.rest.log(&ended, failure.message, failure.level);
        }
    }

    /// Ends the operation on drop.
    pub(super) fn abandon(&mut self) {
        if self.rest.since.is_some() {
            let _inside = self.span.enter();
            self.rest.abandon(&self.span);
        }
    }
}

impl<A: Carried> Rest<A> {
    /// Ends the operation: with the failure, or successfully without one. The caller is in the span.
    #[inline]
    pub(super) fn end(&mut self, span: &Span, failure: Option<&Failure<'_>>) {
        let Some(since) = self.since.take() else {
            return;
        };
        let duration = since.elapsed();
        match failure {
            None if self.observer.chain().is_none() && self.record_well(duration) => {}
            None => self.finish(span, &Ended::Completed, duration),
            Some(Failure {
                error_type,
                message,
                level,
            }) => {
                let error_type = error_type.as_str();
                let ended = Ended::Failed { error_type };
                // First, because the `Display` of the error may panic.
                self.finish(span, &ended, duration);
                self.log(&ended, *message, *level);
                if let Some(message) = message {
                    span.record("otel.status_description", tracing::field::display(message));
                }
            }
        }
    }

    /// Ends the operation on drop. The caller is in the span.
    #[cold]
    pub(super) fn abandon(&mut self, span: &Span) {
        let Some(since) = self.since.take() else {
            return;
        };
        let ended = if std::thread::panicking() && !self.began_unwinding {
            Ended::Panicked
        } else {
            Ended::Canceled
        };
        let duration = since.elapsed();
        self.log(&ended, None, Some(Level::ERROR));
        self.finish(span, &ended, duration);
    }

    /// Records a success into the cached histogram. Returns true if there is one.
    #[inline]
    fn record_well(&self, duration: Duration) -> bool {
        if !self.observer.is_of_the_process() {
            return false;
        }
        match self.site.histogram(self.observer.instruments()) {
            Some(histogram) => {
                histogram.observe(duration.as_secs_f64());
                true
            }
            None => false,
        }
    }

    /// Passes the end of the operation to the span, the metrics and the interceptors.
    fn finish(&self, span: &Span, ended: &Ended<'_>, duration: Duration) {
        let error_type = ended.error_type();
        if let Some(error_type) = error_type {
            span.record("error.type", error_type);
            span.record("otel.status_code", "ERROR");
        }
        let declared = &self.site.declared;
        let info = self.site.info();
        self.observer.instruments().record(
            info.convention,
            &Completion {
                service: declared.service,
                name: declared.name,
                constants: &info.constants,
                attributes: self.attributes.as_slice(),
                error_type: error_type.unwrap_or(""),
                duration,
            },
        );
        if let Some(chain) = self.observer.chain() {
            let call = call(self.site, &self.attributes, span);
            chain.after(&call, ended, duration);
        }
    }

    /// Writes the log line of a failure, at this level or that of the operation, whichever is less
    /// severe. The line is in the span, and so has its ids.
    fn log(&self, ended: &Ended<'_>, message: Option<&dyn Display>, level: Option<Level>) {
        let declared = &self.site.declared;
        let Some((of_failure, of_operation)) = level.zip(declared.error_level) else {
            return;
        };
        let level = of_failure.max(of_operation);
        let (what, level) = match ended {
            Ended::Failed { .. } => ("failed", level),
            Ended::Panicked => ("panicked", level),
            // The code that dropped it knows why; the operation is not at fault.
            _ => ("was canceled", level.max(Level::WARN)),
        };
        let error_type = ended.error_type();
        let error = message.map(|message| tracing::field::display(Alternate(message)));
        let error = error.as_ref().map(|error| error as &dyn Value);
        let line = format_args!("{} {what}", declared.span);
        self.site.emit_failure(level, &line, &error_type, error);
    }
}

/// Formats errors with `{:#}`, so that those that can show their causes do so.
struct Alternate<'a>(&'a dyn Display);

impl Display for Alternate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl<A: Carried> Drop for ActiveOperation<A> {
    #[inline]
    fn drop(&mut self) {
        if self.rest.since.is_some() {
            self.abandon();
        }
    }
}

fn call<'a, A: Carried>(site: &'a Site, attributes: &'a A, span: &'a Span) -> Call<'a> {
    Call {
        service: site.declared.service,
        name: site.declared.name,
        kind: site.declared.kind,
        span,
        attributes: attributes.as_slice(),
    }
}
