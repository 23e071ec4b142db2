//! The configuration of tail sampling.

use std::time::Duration;

use barograph_model::span::SpanRecord;

use crate::sampling::bucket::{Bucket, InvalidRate};
use crate::sampling::rules::Rule;

/// The configuration of tail sampling: the traces that are kept, and the limits.
///
/// Traces with an error are always kept, as far as the rate allows. The service configures the
/// durations from which a trace counts as slow.
///
/// The status of the spans decides about an error, not the level of log lines: an operation that fails
/// counts even if [`level_errors`](crate::observe::level_errors) lowers its line to `INFO` or writes none.
#[derive(Clone, Debug)]
pub struct TailSamplingConfig {
    per_second: f64,
    slow: Vec<(Rule, Duration)>,
    pub(super) max_bytes: usize,
    pub(super) max_spans: usize,
}

impl TailSamplingConfig {
    /// Creates a configuration that keeps at most this number of traces per second.
    ///
    /// # Errors
    /// Returns [`InvalidRate`] if the number is not from 10⁻⁶ to 10⁹.
    pub fn new(traces_per_second: f64) -> Result<Self, InvalidRate> {
        TailSamplingConfig::default().with_traces_per_second(traces_per_second)
    }

    /// Sets the maximum number of traces kept per second.
    ///
    /// # Errors
    /// Returns [`InvalidRate`] if the number is not from 10⁻⁶ to 10⁹.
    pub fn with_traces_per_second(self, traces_per_second: f64) -> Result<Self, InvalidRate> {
        Bucket::new(traces_per_second)?;
        Ok(TailSamplingConfig {
            per_second: traces_per_second,
            ..self
        })
    }

    /// Keeps traces whose root matches the rule and takes at least `threshold`.
    ///
    /// The first rule that matches applies. Rules are matched against the ended root.
    #[must_use]
    pub fn with_slow(mut self, root: Rule, threshold: Duration) -> Self {
        self.slow.push((root, threshold));
        self
    }

    /// Keeps traces that match no other rule if they take at least `threshold`. It replaces the
    /// threshold of a rule without conditions, if there is one.
    #[must_use]
    pub fn with_slow_threshold(mut self, threshold: Duration) -> Self {
        match self.slow.iter_mut().find(|(rule, _)| rule.fits_all()) {
            Some((_, general)) => {
                *general = threshold;
                self
            }
            None => self.with_slow(Rule::new(), threshold),
        }
    }

    /// Sets the maximum number of bytes of spans that are buffered until their roots end, 16 MiB by
    /// default.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets the maximum number of buffered spans of one trace, 512 by default. The root does not
    /// count.
    #[must_use]
    pub fn with_max_spans(mut self, max_spans: usize) -> Self {
        self.max_spans = max_spans;
        self
    }

    pub(super) fn bucket(&self) -> Bucket {
        Bucket::new(self.per_second).expect("it was tried when the rate was set")
    }

    pub(super) fn is_slow(&self, root: &SpanRecord) -> bool {
        let mut rules = self.slow.iter();
        let rule = rules.find(|(rule, _)| rule.fits(&root.name, root.kind, &root.attributes));
        let took = root.end_unix_nano.saturating_sub(root.start_unix_nano);
        rule.is_some_and(|(_, threshold)| u128::from(took) >= threshold.as_nanos())
    }
}

/// Keeps at most ten traces per second.
impl Default for TailSamplingConfig {
    fn default() -> Self {
        TailSamplingConfig {
            per_second: 10.0,
            slow: Vec::new(),
            max_bytes: 16 * 1024 * 1024,
            max_spans: 512,
        }
    }
}
