//! Samplers, which decide the traces that are recorded.
//!
//! A [`Sampler`] is called for each span when it starts, and again if the span gets another parent
//! later. The recommended sampler is [`ParentBased`]: the first service of a trace decides, and all
//! others follow.
//!
//! * [`AlwaysOn`], [`AlwaysOff`], [`TraceIdRatio`]: the three samplers that every SDK has.
//! * [`Probability`]: samples a share of all traces, consistently in all services.
//! * [`RateLimited`]: samples the spans that another sampler samples, up to a number per second.
//! * [`Rules`]: delegates to one of several samplers, depending on name, kind, route or attributes.
//! * [`ParentBased`]: delegates to one of five samplers, depending on the parent.
//! * [`configured`]: the sampler that the environment variables configure.
//! * [`tail`]: tail sampling, which exports traces that none of these samplers sampled.
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
pub mod tail;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use bucket::InvalidRate;
pub use configured::{Ignored, configured};
pub use parent::ParentBased;
pub use probability::Probability;
pub use rate::RateLimited;
pub use ratio::TraceIdRatio;
pub use rules::{Rule, Rules};
pub use sampler::{Decision, Sampler, SamplingResult, SpanStart};
pub use threshold::{InvalidRatio, Randomness, Threshold};

#[cfg(test)]
mod tests;
