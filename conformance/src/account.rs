//! What a service says became of the points, spans and log records that it made to be pushed.

use std::collections::BTreeMap;

use crate::samples::Samples;

/// The library's own account, from its page; all readers together.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Points, spans or log records that were made.
    pub produced: f64,
    /// Of those, what a receiver has taken.
    pub exported: f64,
    /// Of those, what waits.
    pub queued: f64,
    /// Of those, what will not be delivered, by reason.
    pub dropped: BTreeMap<String, f64>,
}

impl Account {
    /// Reads it off a page, of all signals together.
    pub fn of(page: &Samples) -> Self {
        Self::of_those(page, "")
    }

    /// The same of one signal: `metrics`, `traces` or `logs`.
    pub fn of_signal(page: &Samples, signal: &str) -> Self {
        Self::of_those(page, &format!("signal=\"{signal}\""))
    }

    /// Of the series with this label.
    fn of_those(page: &Samples, label: &str) -> Self {
        let of = |name: &str| {
            let name = format!("{name}{{");
            let series = page.values.iter().filter_map(move |(series, value)| {
                let labels = series.strip_prefix(&name)?;
                labels.contains(label).then_some(())?;
                Some((labels, value.parse::<f64>().ok()?))
            });
            series.collect::<Vec<_>>()
        };
        let sum = |name: &str| of(name).iter().map(|(_, value)| value).sum();
        let dropped = of("barograph_push_dropped_total");
        let dropped = dropped.into_iter().filter_map(|(labels, value)| {
            let reason = labels.split("reason=\"").nth(1)?.split('"').next()?;
            Some((reason.to_owned(), value))
        });
        Self {
            produced: sum("barograph_push_produced_total"),
            exported: sum("barograph_push_exported_total"),
            queued: sum("barograph_push_queued"),
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

    /// Whether each of them is in one place.
    pub fn is_even(&self) -> bool {
        self.produced == self.exported + self.queued + self.dropped.values().sum::<f64>()
    }
}
