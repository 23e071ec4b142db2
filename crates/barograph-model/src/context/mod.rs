//! Which trace and span something happened in, and what travels with them from service to service.
//!
//! [`TraceContext`] is the part that numbers and log lines need: small, copied freely. What travels
//! is a [`Propagation`]: that, the [`TraceState`] of the systems on the way and the [`Baggage`] of
//! the application. What came from a network is bounded here, once; what a value holds may go out
//! as it is.

mod trace;
mod tracestate;
mod baggage;
mod propagation;

pub(crate) use baggage::decode;
pub use baggage::{Baggage, BaggageEntry, InvalidBaggage};
pub use propagation::{Boundary, Propagation, Sampling};
pub use trace::{InvalidTraceparent, SpanId, TraceContext, TraceFlags, TraceId, Traceparent};
pub use tracestate::{InvalidTraceState, TraceState};

/// The most bytes that are read of the values of one header, however many there are.
///
/// It is more than any valid `tracestate` or `baggage` needs, and bounds what somebody who sends
/// nonsense may cost.
const READ_AT_MOST: usize = 32 * 1024;

/// The text without the spaces and tabs around it (`OWS` of RFC 9110, section 5.6.3).
#[inline]
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
