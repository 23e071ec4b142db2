//! The data that is propagated from one service to the next.

use super::{Baggage, TraceContext, TraceFlags, TraceState};

/// The propagated data of a carrier: trace context, tracestate, baggage.
///
/// Each may be missing. Without tracestate and baggage a clone is a copy of some words; with them it
/// shares their text.
///
/// ```
/// # extern crate barograph_model as barograph;
/// use barograph::context::{Baggage, Propagation, TraceContext, TraceFlags};
/// # let received = Propagation::default();
/// let own = TraceContext::new(0xabc, 0xdef, TraceFlags::SAMPLED).ok_or("ids are not zero")?;
/// // The span of this service goes on, what came with its parent stays.
/// let sent = received.with_trace(own);
/// assert_eq!(sent.trace(), Some(own));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    trace: Option<TraceContext>,
    sampling: Sampling,
    tracestate: TraceState,
    baggage: Baggage,
}

/// The sampling decision of a caller.
///
/// The sampled flag distinguishes two of these; B3 has all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sampling {
    /// The receiver decides.
    #[default]
    Deferred,
    /// The trace is not recorded.
    NotSampled,
    /// The trace is recorded.
    Sampled,
    /// The trace is recorded because a person asked for this request, whatever a sampler decides.
    Debug,
}

/// The trust boundary between a service and its callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrustBoundary {
    /// Callers are trusted: their traces are continued, and their data is propagated.
    #[default]
    Trusted,
    /// Callers are not trusted. Nothing that they send is propagated: a new trace begins, with a link
    /// to the span of the caller.
    Untrusted,
}

impl Propagation {
    /// Returns the trace context.
    #[inline]
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Returns the sampling decision. With a trace, its sampled flag agrees with it. There may be a
    /// decision without a trace.
    #[inline]
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Returns the data of other tracing systems about the trace.
    #[inline]
    pub fn tracestate(&self) -> &TraceState {
        &self.tracestate
    }

    /// Returns the data of the application.
    #[inline]
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// Returns true if there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.trace.is_none() && self.sampling == Sampling::Deferred && self.baggage.is_empty()
    }

    /// Replaces the span, mostly by the next one of the trace.
    ///
    /// Its sampled flag decides; a debug request is kept while it is sampled. The debug request and the
    /// tracestate belong to their trace, and are dropped if another one begins.
    #[inline]
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        if !self.goes_on_in(trace) {
            self.tracestate = TraceState::EMPTY;
        }
        self.sampling = self.sampling_in(trace);
        self.trace = Some(trace);
        self
    }

    /// Returns what is propagated across a boundary, and the span to link if it is not the parent.
    ///
    /// ```
    /// # extern crate barograph_model as barograph;
    /// use barograph::context::{TrustBoundary, Propagation, TraceContext};
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let received = Propagation::from(TraceContext::parse_traceparent(header)?);
    /// let (parent, link) = received.clone().across(TrustBoundary::Untrusted);
    /// assert!(parent.is_empty());
    /// assert_eq!(link, received.trace());
    /// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
    /// ```
    #[must_use]
    pub fn across(self, boundary: TrustBoundary) -> (Self, Option<TraceContext>) {
        match boundary {
            TrustBoundary::Trusted => (self, None),
            TrustBoundary::Untrusted => (Propagation::default(), self.trace),
        }
    }

    /// Replaces any known trace with one of another process. It is written in place: every request does
    /// this, and moving the parts around takes as long as reading them.
    #[inline]
    pub(crate) fn receive(&mut self, trace: TraceContext, tracestate: TraceState) {
        self.sampling = self.sampling_in(trace);
        self.trace = Some(trace.as_remote());
        self.tracestate = tracestate;
    }

    /// Sets the sampling decision, and with it the sampled flag of the trace.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        let flags = |flags: TraceFlags| match sampling {
            Sampling::Sampled | Sampling::Debug => flags.with(TraceFlags::SAMPLED),
            Sampling::Deferred | Sampling::NotSampled => flags.without(TraceFlags::SAMPLED),
        };
        let trace = self
            .trace
            .map(|trace| trace.with_flags(flags(trace.flags())));
        Propagation {
            trace,
            sampling,
            ..self
        }
    }

    /// Sets the data of other tracing systems about the trace.
    #[must_use]
    pub fn with_tracestate(self, tracestate: TraceState) -> Self {
        Propagation { tracestate, ..self }
    }

    /// Sets the data of the application.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> Self {
        Propagation { baggage, ..self }
    }

    /// Returns true if this trace is the known one, or none is known.
    #[inline]
    fn goes_on_in(&self, trace: TraceContext) -> bool {
        self.trace
            .is_none_or(|before| before.trace_id() == trace.trace_id())
    }

    #[inline]
    fn sampling_in(&self, trace: TraceContext) -> Sampling {
        match (trace.is_sampled(), self.sampling) {
            (true, Sampling::Debug) if self.goes_on_in(trace) => Sampling::Debug,
            (true, _) => Sampling::Sampled,
            (false, _) => Sampling::NotSampled,
        }
    }
}

impl From<TraceContext> for Propagation {
    #[inline]
    fn from(trace: TraceContext) -> Self {
        Propagation::default().with_trace(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sampled_flag_and_the_decision_agree() {
        let trace = TraceContext::new(1, 2, TraceFlags::RANDOM).unwrap();
        let received = Propagation::from(trace);
        assert_eq!(received.sampling(), Sampling::NotSampled);
        for (sampling, bits) in [
            (Sampling::Sampled, 3),
            (Sampling::Debug, 3),
            (Sampling::NotSampled, 2),
            (Sampling::Deferred, 2),
        ] {
            let decided = received.clone().with_sampling(sampling);
            assert_eq!(decided.sampling(), sampling);
            assert_eq!(decided.trace().unwrap().flags().bits(), bits);
        }
    }

    #[test]
    fn an_untrusted_caller_is_linked_and_decides_nothing() {
        let trace = TraceContext::new(1, 2, TraceFlags::SAMPLED).unwrap();
        let received = Propagation::from(trace.as_remote())
            .with_sampling(Sampling::Debug)
            .with_tracestate(TraceState::parse(["a=1"]).unwrap())
            .with_baggage(Baggage::parse(["b=2"]));
        assert_eq!(
            received.clone().across(TrustBoundary::Trusted),
            (received.clone(), None)
        );
        let (parent, link) = received.across(TrustBoundary::Untrusted);
        assert_eq!(parent, Propagation::default());
        assert_eq!(link, Some(trace));
        assert_eq!(
            Propagation::default().across(TrustBoundary::Untrusted),
            Default::default()
        );
    }

    #[test]
    fn a_tracestate_stays_with_its_trace() {
        let trace = |id| TraceContext::new(id, 2, TraceFlags::SAMPLED).unwrap();
        let state = TraceState::parse(["a=1"]).unwrap();
        let baggage = Baggage::parse(["b=2"]);
        let received = Propagation::default()
            .with_tracestate(state.clone())
            .with_baggage(baggage.clone())
            .with_trace(trace(1));
        assert_eq!(received.tracestate(), &state);
        let child = received.with_trace(trace(1).with_flags(TraceFlags::default()));
        assert_eq!(child.tracestate(), &state);
        let other = child.with_sampling(Sampling::Debug).with_trace(trace(2));
        assert_eq!(other.sampling(), Sampling::Sampled);
        assert_eq!(
            (other.tracestate(), other.baggage()),
            (&TraceState::EMPTY, &baggage)
        );
    }

    #[test]
    fn debugging_goes_on_in_the_spans_that_follow() {
        let span = |id, flags| TraceContext::new(1, id, flags).unwrap();
        let received = Propagation::from(span(1, TraceFlags::SAMPLED));
        let received = received.with_sampling(Sampling::Debug);
        let child = received.clone().with_trace(span(2, TraceFlags::SAMPLED));
        assert_eq!(child.sampling(), Sampling::Debug);
        let denied = received.with_trace(span(2, TraceFlags::default()));
        assert_eq!(denied.sampling(), Sampling::NotSampled);
    }
}
