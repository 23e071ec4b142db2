//! The W3C formats: `traceparent` with `tracestate`, and `baggage`.

use std::mem;

use super::Propagator;
use crate::carrier::{Carrier, CarrierMut};
use crate::context::{Baggage, Propagation, TraceContext, TraceState};

/// The headers `traceparent` and `tracestate`.
///
/// A `traceparent` that is invalid, or occurs twice, counts as missing, and then there is no
/// tracestate. An invalid `tracestate` counts as missing, and does not affect the `traceparent`.
///
/// Source: W3C Trace Context level 2.
///
/// ```
/// use barograph_model::context::Propagation;
/// use barograph_model::propagator::{Propagator, W3cTraceContext};
/// let headers = vec![
///     ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
///     ("tracestate", "a=1"),
///     ("tracestate", "b=2"),
/// ];
/// let mut received = Propagation::default();
/// W3cTraceContext.extract(&headers, &mut received);
/// assert!(received.trace().is_some_and(|trace| trace.is_sampled() && trace.is_remote()));
/// assert_eq!(received.tracestate().as_str(), "a=1,b=2");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct W3cTraceContext;

impl Propagator for W3cTraceContext {
    fn fields(&self) -> &[&str] {
        &[TRACEPARENT, TRACESTATE]
    }

    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut) {
        let Some(trace) = propagation.trace() else {
            return;
        };
        carrier.set_bytes(TRACEPARENT, trace.to_traceparent().as_bytes());
        match propagation.tracestate().as_str() {
            // It would belong to another span.
            "" => carrier.unset(TRACESTATE),
            state => carrier.set(TRACESTATE, state),
        }
    }

    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation) {
        let Some(header) = carrier.value_of(TRACEPARENT) else {
            return;
        };
        let Ok(trace) = TraceContext::parse_traceparent(header) else {
            return;
        };
        let tracestate = carrier.values_of(TRACESTATE);
        let tracestate = if tracestate.is_empty() {
            TraceState::EMPTY
        } else {
            TraceState::parse(tracestate).unwrap_or_default()
        };
        propagation.receive(trace, tracestate);
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The header `baggage`.
///
/// Source: W3C Baggage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct W3cBaggage;

impl Propagator for W3cBaggage {
    fn fields(&self) -> &[&str] {
        &[BAGGAGE]
    }

    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut) {
        if !propagation.baggage().is_empty() {
            carrier.set(BAGGAGE, propagation.baggage().as_str());
        }
    }

    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation) {
        let baggage = Baggage::parse(carrier.values_of(BAGGAGE));
        if !baggage.is_empty() {
            *propagation = mem::take(propagation).with_baggage(baggage);
        }
    }
}

const BAGGAGE: &str = "baggage";
