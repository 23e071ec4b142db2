//! How a context is written into headers, and read from them: one propagator for each convention.
//!
//! [`Propagators`] are those that a service uses, one after the other; `OTEL_PROPAGATORS` names
//! them. Whatever a header holds, reading it costs a bounded time and never fails: what is not
//! valid is as if it were not there.

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

/// A convention of headers that hold a context.
///
/// Source: OpenTelemetry, "Propagators API".
pub trait Propagator: fmt::Debug + Send + Sync {
    /// The names of all headers that are written, in lower case.
    fn fields(&self) -> &[&str];

    /// Writes what there is into a carrier. Without a trace, headers of a trace that the carrier
    /// may have already are left as they are.
    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut);

    /// Reads what a carrier holds, in place of what was read before it. What is missing or not
    /// valid changes nothing. The trace that is read [is remote](crate::context::TraceContext::is_remote).
    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation);
}
