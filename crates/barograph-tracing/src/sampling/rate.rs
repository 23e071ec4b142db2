//! Sampling up to a number of traces per second.

use std::fmt;
use std::sync::Arc;

use barograph_core::clock::{Clock, SystemClock};

use super::always::AlwaysOn;
use super::bucket::{Bucket, InvalidRate};
use super::sampler::{Decision, Sampler, SamplingResult, SpanStart};

/// Samples the spans that another sampler samples, up to a number per second.
///
/// The spans of one second may come in a single burst. It counts the spans that it is asked about:
/// as the root of [`ParentBased`](super::ParentBased) it counts traces. The share that it samples
/// is unknown, so its spans have no `th`.
pub struct RateLimited {
    bucket: Bucket,
    inner: Box<dyn Sampler>,
    clock: Arc<dyn Clock>,
}

impl RateLimited {
    /// Creates a sampler of all spans up to this number per second, which may be less than one.
    ///
    /// # Errors
    /// Returns [`InvalidRate`] if the number is not from 10⁻⁶ to 10⁹.
    pub fn new(per_second: f64) -> Result<Self, InvalidRate> {
        Ok(RateLimited {
            bucket: Bucket::new(per_second)?,
            inner: Box::new(AlwaysOn),
            clock: Arc::new(SystemClock),
        })
    }

    /// Limits the spans that this sampler samples, instead of all spans.
    #[must_use]
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.inner = Box::new(sampler);
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl Sampler for RateLimited {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        let result = self.inner.sample(span);
        if result.decision != Decision::RecordAndSample {
            return result;
        }
        if self.bucket.take(self.clock.unix_nanos()) {
            return result.without_threshold(span);
        }
        SamplingResult::new(Decision::Drop).without_threshold(span)
    }

    fn needs_attributes(&self) -> bool {
        self.inner.needs_attributes()
    }

    fn description(&self) -> String {
        let (rate, inner) = (self.bucket.per_second(), self.inner.description());
        format!("RateLimited{{{rate}/s,{inner}}}")
    }
}

impl fmt::Debug for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}
