//! The trace and span of an operation, and the data that is propagated with them between services.
//!
//! [`TraceContext`] is the part that metrics and log records need: small, copied freely. A
//! [`Propagation`] is all that is propagated: the trace context, the [`TraceState`] of other tracing
//! systems and the [`Baggage`] of the application. Data from the network is limited here, once; the
//! values of these types may be sent as they are.

mod trace;
mod tracestate;
mod baggage;
mod propagation;

pub(crate) use baggage::decode;
pub use baggage::{Baggage, BaggageEntry, InvalidBaggage};
pub use propagation::{Propagation, Sampling, TrustBoundary};
pub use trace::{InvalidTraceparent, SpanId, TraceContext, TraceFlags, TraceId, Traceparent};
pub use tracestate::{InvalidTraceState, TraceState};

/// The most bytes that are read of the values of one header, however many values there are.
///
/// It is more than any valid `tracestate` or `baggage` needs, and limits the cost of malformed headers.
const READ_AT_MOST: usize = 32 * 1024;

/// Returns the text without the spaces and tabs around it (`OWS` of RFC 9110, section 5.6.3).
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
