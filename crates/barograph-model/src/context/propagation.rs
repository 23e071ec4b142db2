//! All that goes from one service to the next.

use super::{Baggage, TraceContext, TraceFlags, TraceState};

/// What a carrier brings, and what is given to the next one: trace context, tracestate, baggage.
///
/// Each may be missing. Without tracestate and baggage a clone is a copy of some words; with them
/// it shares their text.
///
/// ```
/// use barograph_model::context::{Baggage, Propagation, TraceContext, TraceFlags};
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

/// What a caller says about recording a trace.
///
/// The sampled flag tells two of these apart; B3 knows all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sampling {
    /// Whoever receives it decides.
    #[default]
    Deferred,
    /// Not recorded.
    NotSampled,
    /// Recorded.
    Sampled,
    /// Recorded because a person asked for this very request, whatever a sampler says.
    Debug,
}

/// What stands between a service and whoever calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Boundary {
    /// Callers are believed: their traces go on, what they send along is passed on.
    #[default]
    Trusted,
    /// Callers may be anybody. Nothing of theirs goes on: a trace of our own begins, and names the
    /// span of the caller in a link.
    Untrusted,
}

impl Propagation {
    /// The trace and the span in it.
    #[inline]
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// What is said about recording: with a trace, its sampled flag agrees. There may be a decision
    /// without a trace.
    #[inline]
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// What other tracing systems say about the trace.
    #[inline]
    pub fn tracestate(&self) -> &TraceState {
        &self.tracestate
    }

    /// What the application sends along.
    #[inline]
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// Whether there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.trace.is_none() && self.sampling == Sampling::Deferred && self.baggage.is_empty()
    }

    /// The same in another span, mostly the one that goes on with the trace.
    ///
    /// Its sampled flag decides; a request for debugging stays one while it is sampled. That and the
    /// tracestate belong to their trace, and are left behind where another begins.
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

    /// What goes on behind a boundary, and the span to be linked where that is not its parent.
    ///
    /// ```
    /// use barograph_model::context::{Boundary, Propagation, TraceContext};
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let received = Propagation::from(TraceContext::parse_traceparent(header)?);
    /// let (parent, link) = received.clone().across(Boundary::Untrusted);
    /// assert!(parent.is_empty());
    /// assert_eq!(link, received.trace());
    /// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
    /// ```
    #[must_use]
    pub fn across(self, boundary: Boundary) -> (Self, Option<TraceContext>) {
        match boundary {
            Boundary::Trusted => (self, None),
            Boundary::Untrusted => (Propagation::default(), self.trace),
        }
    }

    /// Puts a trace of another process in the place of what is known of any. It is written where it
    /// stands: every request does this, and moving the parts around takes as long as reading them.
    #[inline]
    pub(crate) fn receive(&mut self, trace: TraceContext, tracestate: TraceState) {
        self.sampling = self.sampling_in(trace);
        self.trace = Some(trace.as_remote());
        self.tracestate = tracestate;
    }

    /// Sets what is said about recording, and the sampled flag of the trace with it.
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

    /// Sets what other tracing systems say about the trace.
    #[must_use]
    pub fn with_tracestate(self, tracestate: TraceState) -> Self {
        Propagation { tracestate, ..self }
    }

    /// Sets what the application sends along.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> Self {
        Propagation { baggage, ..self }
    }

    /// Whether this trace is the one that is known, if any is.
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
            received.clone().across(Boundary::Trusted),
            (received.clone(), None)
        );
        let (parent, link) = received.across(Boundary::Untrusted);
        assert_eq!(parent, Propagation::default());
        assert_eq!(link, Some(trace));
        assert_eq!(
            Propagation::default().across(Boundary::Untrusted),
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
