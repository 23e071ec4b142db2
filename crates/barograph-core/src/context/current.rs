//! The current trace context of a thread, and the data propagated with it.
//!
//! Code that knows the trace a thread works for sets it with [`enter`]; exemplars, log records and
//! header injection read it with [`context`] and [`propagation`]. It belongs to the thread: a future
//! gets it by [`scope`], which enters at every poll, and spawned tasks inherit only what
//! [`Current::capture`] hands over.
//!
//! The trace context is stored in thread-local words. Tracestate and baggage, which most requests do
//! not have, are behind one shared pointer and cost nothing when absent.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use barograph_model::context::{Propagation, Sampling, TraceContext};
use pin_project_lite::pin_project;

use crate::series::exemplar::Candidate;
use crate::series::thread::{self, Carried, Words};

/// Makes a [`TraceContext`], a [`Propagation`] or a [`Current`] the current context of this thread
/// until the guard is dropped.
///
/// It replaces the previous context as a whole, baggage included. The guard belongs to this thread, so
/// it must not be held over an `.await`: see [`scope`].
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::current;
/// use barograph_model::context::TraceContext;
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let request = TraceContext::parse_traceparent(header)?;
/// {
///     let _guard = current::enter(request);
///     assert_eq!(current::context(), Some(request));
/// }
/// assert_eq!(current::context(), None);
/// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
/// ```
#[must_use = "the context is left when the guard is dropped"]
#[inline]
pub fn enter(context: impl Into<Current>) -> ContextGuard {
    let Current { trace, rest } = context.into().replace();
    ContextGuard {
        trace,
        rest,
        on_this_thread: PhantomData,
    }
}

/// Returns the current trace context of this thread.
#[inline]
pub fn context() -> Option<TraceContext> {
    thread::context()
}

/// Returns the current trace context of this thread with all data propagated with it, for injection.
pub fn propagation() -> Propagation {
    Current::capture().propagation()
}

/// Returns true if this thread has more than a trace context, such as baggage.
#[inline]
pub fn has_more() -> bool {
    thread::has_rest()
}

/// A context that was captured from a thread or can be made current on one.
///
/// A clone shares tracestate and baggage.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::current::{self, Current};
/// use barograph_model::context::{Baggage, Propagation};
/// let received = Propagation::default().with_baggage(Baggage::parse(["tenant=acme"]));
/// let _guard = current::enter(received);
/// let here = Current::capture();
/// std::thread::spawn(move || {
///     let _guard = current::enter(here);
///     assert_eq!(current::propagation().baggage().as_str(), "tenant=acme");
/// })
/// .join()
/// .map_err(|_| "the thread panicked")?;
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Default)]
pub struct Current {
    trace: Words,
    rest: Option<Arc<Carried>>,
}

impl Current {
    /// The empty context.
    pub const NONE: Current = Current {
        trace: Words::NONE,
        rest: None,
    };

    /// Returns the current context of this thread.
    #[inline]
    pub fn capture() -> Self {
        let (trace, rest) = thread::capture();
        Current { trace, rest }
    }

    /// Returns the trace context.
    #[inline]
    pub fn context(&self) -> Option<TraceContext> {
        self.trace.context()
    }

    /// Returns the trace context with all data propagated with it.
    pub fn propagation(&self) -> Propagation {
        let rest = self.rest.as_deref().map(|rest| rest.propagation.clone());
        let rest = rest.unwrap_or_default();
        match self.context() {
            Some(context) => rest.with_trace(context),
            None => rest,
        }
    }

    /// Replaces the trace context by that of another span. Propagated data is kept.
    #[inline]
    #[must_use]
    pub fn with_trace(self, context: TraceContext) -> Self {
        Current {
            trace: self.trace.with_trace(context),
            rest: self.rest,
        }
    }

    /// Marks a trace that is not sampled as a tail-sampling candidate: measurements inside it may
    /// become exemplars if the candidate agrees. Other spans of the trace have the same candidate.
    ///
    /// The candidate is not asked in a sampled span. Passing the candidate that is already set costs
    /// next to nothing.
    #[doc(hidden)]
    #[must_use]
    pub fn with_candidate(self, candidate: Arc<dyn Candidate>) -> Self {
        let trace = self.trace.as_candidate();
        let known = self.rest.as_ref().and_then(|rest| rest.candidate.as_ref());
        if known.is_some_and(|known| Arc::ptr_eq(known, &candidate)) {
            return Current { trace, ..self };
        }
        let rest = self.rest.as_deref().cloned().unwrap_or_default();
        Current {
            trace,
            rest: Some(Arc::new(Carried {
                candidate: Some(candidate),
                ..rest
            })),
        }
    }

    /// Returns true if there is more than a trace context, such as baggage or a candidate.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.rest.is_some()
    }

    /// Makes this the current context of this thread without a guard, and returns the previous one.
    ///
    /// For callers that cannot keep a guard, because entering and leaving are two separate calls. All
    /// others use [`enter`].
    #[must_use = "it has to be put back"]
    #[inline]
    pub fn replace(self) -> Self {
        let (trace, rest) = thread::replace(self.trace, self.rest);
        Current { trace, rest }
    }

    /// Makes this the current context of this thread again.
    #[inline]
    pub fn restore(self) {
        thread::restore(self.trace, self.rest);
    }
}

impl From<TraceContext> for Current {
    #[inline]
    fn from(context: TraceContext) -> Self {
        Current {
            trace: context.into(),
            rest: None,
        }
    }
}

impl From<Propagation> for Current {
    fn from(propagation: Propagation) -> Self {
        let trace = propagation.trace();
        // The sampled flag carries the same information as these two.
        let is_plain = match propagation.sampling() {
            Sampling::Deferred => trace.is_none(),
            Sampling::Sampled | Sampling::NotSampled => trace.is_some(),
            _ => false,
        };
        let is_plain =
            is_plain && propagation.tracestate().is_empty() && propagation.baggage().is_empty();
        Current {
            trace: trace.map(Words::from).unwrap_or_default(),
            rest: (!is_plain).then(|| {
                Arc::new(Carried {
                    propagation,
                    candidate: None,
                })
            }),
        }
    }
}

/// Shows that there is more, but not its content, which may be personal data.
impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("context", &self.context())
            .field("has_more", &self.has_more())
            .finish()
    }
}

/// A guard that restores the previous context when dropped.
///
/// Guards must be dropped in the reverse order of their creation. A guard stays on its thread.
pub struct ContextGuard {
    trace: Words,
    rest: Option<Arc<Carried>>,
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    #[inline]
    fn drop(&mut self) {
        thread::restore(self.trace, self.rest.take());
    }
}

impl fmt::Debug for ContextGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextGuard").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use barograph_model::context::{Baggage, TraceFlags, TraceState};

    use super::*;

    fn context(span: u64) -> TraceContext {
        TraceContext::new(1 << 100 | 7, span, TraceFlags::SAMPLED).expect("not zero")
    }

    #[test]
    fn what_travels_is_entered_and_left() {
        let sent = Propagation::from(context(1).as_remote())
            .with_tracestate(TraceState::parse(["a=1"]).expect("valid"))
            .with_baggage(Baggage::parse(["b=2"]));
        {
            let _outer = enter(sent.clone());
            assert_eq!(propagation(), sent);
            assert!(super::context().is_some_and(|context| context.is_remote()));
            {
                let _span = enter(Current::capture().with_trace(context(2)));
                assert_eq!(propagation(), sent.clone().with_trace(context(2)));
                assert!(super::context().is_some_and(|context| !context.is_remote()));
            }
            {
                let _other = enter(context(3));
                assert_eq!(propagation(), context(3).into());
            }
            assert_eq!(propagation(), sent);
        }
        assert_eq!(propagation(), Propagation::default());
    }

    #[test]
    fn a_candidate_stays_with_its_trace_and_does_not_travel() {
        struct Never;
        impl Candidate for Never {
            fn choose(&self) -> bool {
                false
            }
        }
        let is_candidate = |current: &Current| {
            let _guard = enter(current.clone());
            thread::may_record_exemplar()
        };
        let (never, unsampled) = (
            Arc::new(Never),
            context(1).with_flags(TraceFlags::default()),
        );
        let root = Current::from(unsampled).with_candidate(never.clone());
        let child = root
            .clone()
            .with_trace(context(2).with_flags(TraceFlags::default()));
        assert!(is_candidate(&root) && is_candidate(&child));
        assert_eq!(root.propagation(), Propagation::from(unsampled));
        let again = child.clone().with_candidate(never.clone());
        let shared = |current: &Current| current.rest.as_ref().map(Arc::as_ptr);
        assert_eq!(shared(&again), shared(&root), "nothing was made anew");
        let other = TraceContext::new(8, 1, TraceFlags::default()).expect("not zero");
        let other = child.with_trace(other);
        assert!(!is_candidate(&other));
        assert!(is_candidate(&other.with_candidate(never)));
    }

    #[test]
    fn a_decision_without_a_trace_travels() {
        for sampling in [Sampling::NotSampled, Sampling::Sampled, Sampling::Debug] {
            let sent = Propagation::default().with_sampling(sampling);
            let _guard = enter(sent.clone());
            assert_eq!((super::context(), propagation()), (None, sent));
        }
        let debug = Propagation::from(context(1)).with_sampling(Sampling::Debug);
        let _guard = enter(debug.clone());
        assert_eq!(propagation(), debug);
    }

    #[test]
    fn guards_dropped_in_the_wrong_order_leave_nothing_behind() {
        let baggage = |text| Propagation::default().with_baggage(Baggage::parse([text]));
        let (first, second) = (enter(baggage("a=1")), enter(baggage("b=2")));
        drop(first);
        assert_eq!(propagation(), Propagation::default());
        drop(second);
        // This use is wrong as documented, but the result is a value and not a dangling pointer.
        assert_eq!(propagation(), baggage("a=1"));
        let _ = Current::default().replace();
    }
}

/// Returns a future that runs `future` with this context as the current one, on whatever threads it is
/// polled: a [`TraceContext`](barograph_model::context::TraceContext), a
/// [`Propagation`](barograph_model::context::Propagation), or a [`Current`] that was captured.
///
/// Spans that begin inside are children of the context. The context is there even if no span is
/// enabled.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::current::{self, Current};
/// use barograph_model::context::{Baggage, Propagation};
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// # let mut polling = Context::from_waker(Waker::noop());
///
/// async fn handle() {
///     assert_eq!(current::propagation().baggage().as_str(), "tenant=acme");
/// }
///
/// let received = Propagation::default().with_baggage(Baggage::parse(["tenant=acme"]));
/// let handled = current::scope(received, async {
///     // A spawned task gets the context in the same way:
///     // tokio::spawn(current::scope(Current::capture(), handle()));
///     current::scope(Current::capture(), handle()).await;
/// });
/// # assert!(pin!(handled).poll(&mut polling).is_ready());
/// ```
pub fn scope<F: Future>(context: impl Into<Current>, future: F) -> Scope<F> {
    Scope {
        context: context.into(),
        future,
    }
}

pin_project! {
    /// A future with a context of its own. Returned by [`scope`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Scope<F> {
        context: Current,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, polling: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _guard = enter(this.context.clone());
        this.future.poll(polling)
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
