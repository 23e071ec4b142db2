//! Which traces are recorded.
//!
//! A [`Sampler`] is asked once for each span, when it starts. The paved path is [`ParentBased`]: the
//! first service of a trace decides, all others follow.
//!
//! * [`AlwaysOn`], [`AlwaysOff`], [`TraceIdRatio`]: the three that every SDK has.
//! * [`Probability`]: a share of all traces, on which services agree without talking to each other.
//! * [`ParentBased`]: asks one of five others, depending on the parent.
//!
//! Source: OpenTelemetry 1.60, trace SDK, "Sampling".

mod sampler;
mod threshold;
mod always;
mod ratio;
mod probability;
mod parent;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use parent::ParentBased;
pub use probability::Probability;
pub use ratio::TraceIdRatio;
pub use sampler::{Decision, Sampler, SpanStart, Verdict};
pub use threshold::{InvalidRatio, Randomness, Threshold};

#[cfg(test)]
mod tests;
