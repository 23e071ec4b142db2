//! Which traces are recorded.
//!
//! A [`Sampler`] is asked once for each span, when it starts. The paved path is [`ParentBased`]: the
//! first service of a trace decides, all others follow.
//!
//! * [`AlwaysOn`], [`AlwaysOff`], [`TraceIdRatio`]: the three that every SDK has.
//! * [`Probability`]: a share of all traces, on which services agree without talking to each other.
//! * [`RateLimited`]: what another samples, but so many a second.
//! * [`Rules`]: asks one of several others, depending on name, kind, route or attributes.
//! * [`ParentBased`]: asks one of five others, depending on the parent.
//! * [`configured`]: what the environment asks for.
//! * [`keep`]: which traces are exported though none of these sampled them.
//!
//! Source: OpenTelemetry 1.60, trace SDK, "Sampling".

mod sampler;
mod threshold;
mod always;
mod ratio;
mod probability;
mod parent;
mod bucket;
mod rate;
mod pattern;
mod rules;
mod configured;
pub mod keep;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use bucket::InvalidRate;
pub use configured::{Ignored, configured};
pub use parent::ParentBased;
pub use probability::Probability;
pub use rate::RateLimited;
pub use ratio::TraceIdRatio;
pub use rules::{Rule, Rules};
pub use sampler::{Decision, Sampler, SpanStart, Verdict};
pub use threshold::{InvalidRatio, Randomness, Threshold};

#[cfg(test)]
mod tests;
