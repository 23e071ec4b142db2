//! Which traces are kept, and how many.

use std::time::Duration;

use barograph_model::span::SpanRecord;

use crate::sampling::bucket::{Bucket, InvalidRate};
use crate::sampling::rules::Rule;

/// Which traces are kept, and how many.
///
/// Those that failed are, always. Which ones take long is for the service to say.
#[derive(Clone, Debug)]
pub struct KeepConfig {
    per_second: f64,
    slow: Vec<(Rule, Duration)>,
    pub(super) max_bytes: usize,
    pub(super) max_spans: usize,
}

impl KeepConfig {
    /// Keeps so many traces a second, at most.
    ///
    /// # Errors
    /// [`InvalidRate`] when it is not from 10⁻⁶ to 10⁹.
    pub fn new(traces_per_second: f64) -> Result<Self, InvalidRate> {
        Bucket::new(traces_per_second)?;
        Ok(KeepConfig {
            per_second: traces_per_second,
            ..KeepConfig::default()
        })
    }

    /// Keeps traces whose root fits the rule and takes this long or longer.
    ///
    /// The first rule that fits counts. Rules see the root as it ended.
    #[must_use]
    pub fn with_slow(mut self, root: Rule, threshold: Duration) -> Self {
        self.slow.push((root, threshold));
        self
    }

    /// Holds spans of so many bytes until their roots end, 16 MiB unless told otherwise.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Holds so many spans of one trace, 512 unless told otherwise. The root does not count.
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

/// Ten traces a second.
impl Default for KeepConfig {
    fn default() -> Self {
        KeepConfig {
            per_second: 10.0,
            slow: Vec::new(),
            max_bytes: 16 * 1024 * 1024,
            max_spans: 512,
        }
    }
}
