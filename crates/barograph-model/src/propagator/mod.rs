//! Propagators, which write a context into headers and read it from them: one for each format.
//!
//! [`Propagators`] are those that a service uses, one after the other; `OTEL_PROPAGATORS` names them.
//! Reading takes a bounded time and never fails, whatever a header holds: invalid values count as
//! missing.

mod w3c;
mod b3;
mod jaeger;
mod propagators;

use std::fmt;

pub use b3::B3;
pub use jaeger::Jaeger;
pub use propagators::{Propagators, UnknownPropagator};
pub use w3c::{W3cBaggage, W3cTraceContext};

use crate::carrier::{Carrier, CarrierMut};
use crate::context::Propagation;

/// A format of headers that hold a context.
///
/// Source: OpenTelemetry, "Propagators API".
pub trait Propagator: fmt::Debug + Send + Sync {
    /// Returns the names of all headers that are written, in lower case.
    fn fields(&self) -> &[&str];

    /// Writes a context into a carrier. Without a trace, headers of a trace that the carrier may have
    /// already are left as they are.
    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut);

    /// Reads a context from a carrier, in place of what was read before it. Missing or invalid headers
    /// change nothing. The trace that is read [is remote](crate::context::TraceContext::is_remote).
    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation);
}
