//! What a service says became of the points that it made to be pushed.

use std::collections::BTreeMap;

use crate::samples::Samples;

/// The library's own account, from its page; all readers together.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Points that were made.
    pub produced: f64,
    /// Of those, what a receiver has taken.
    pub exported: f64,
    /// Of those, what waits.
    pub queued: f64,
    /// Of those, what will not be delivered, by reason.
    pub dropped: BTreeMap<String, f64>,
}

impl Account {
    /// Reads it off a page.
    pub fn of(page: &Samples) -> Self {
        let name = "barograph_push_dropped_total{";
        let dropped = page.values.iter().filter_map(|(series, value)| {
            let labels = series.strip_prefix(name)?;
            let reason = labels.split("reason=\"").nth(1)?.split('"').next()?;
            Some((reason.to_owned(), value.parse().ok()?))
        });
        Self {
            produced: page.sum("barograph_push_produced_total"),
            exported: page.sum("barograph_push_exported_total"),
            queued: page.sum("barograph_push_queued"),
            dropped: dropped.fold(BTreeMap::new(), |mut sums, (reason, value): (_, f64)| {
                *sums.entry(reason).or_default() += value;
                sums
            }),
        }
    }

    /// What was dropped for a reason.
    pub fn dropped(&self, reason: &str) -> f64 {
        self.dropped.get(reason).copied().unwrap_or_default()
    }

    /// Whether each point is in one place.
    pub fn is_even(&self) -> bool {
        self.produced == self.exported + self.queued + self.dropped.values().sum::<f64>()
    }
}
