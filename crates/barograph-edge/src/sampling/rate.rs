//! Sampling no more than so many traces a second.

use std::fmt;
use std::sync::Arc;

use barograph_core::clock::{Clock, SystemClock};

use super::always::AlwaysOn;
use super::bucket::{Bucket, InvalidRate};
use super::sampler::{Decision, Sampler, SpanStart, Verdict};

/// Samples what another sampler samples, but no more than so many a second.
///
/// What comes within a second may come at once. It counts the spans that it is asked about: as the
/// root of [`ParentBased`](super::ParentBased) those are traces. Nobody knows the share that it
/// samples, so its spans carry no `th`.
pub struct RateLimited {
    bucket: Bucket,
    inner: Box<dyn Sampler>,
    clock: Arc<dyn Clock>,
}

impl RateLimited {
    /// A sampler of everything up to so many a second, which may be less than one.
    ///
    /// # Errors
    /// [`InvalidRate`] when it is not from 10⁻⁶ to 10⁹.
    pub fn new(per_second: f64) -> Result<Self, InvalidRate> {
        Ok(RateLimited {
            bucket: Bucket::new(per_second)?,
            inner: Box::new(AlwaysOn),
            clock: Arc::new(SystemClock),
        })
    }

    /// Of what another sampler samples.
    #[must_use]
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.inner = Box::new(sampler);
        self
    }

    /// By another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl Sampler for RateLimited {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
        let verdict = self.inner.sample(span);
        if verdict.decision != Decision::RecordAndSample {
            return verdict;
        }
        if self.bucket.take(self.clock.unix_nanos()) {
            return verdict.without_threshold(span);
        }
        Verdict::new(Decision::Drop).without_threshold(span)
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
