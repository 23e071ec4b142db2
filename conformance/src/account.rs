//! The library's account of the points, spans and log records that it produced for push.

use std::collections::BTreeMap;

use crate::samples::Samples;

/// The pipeline statistics that a service shows on its page, summed over all readers.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The number of points, spans or log records that were produced.
    pub produced: f64,
    /// The number of those that a receiver has accepted.
    pub exported: f64,
    /// The number of those that are queued.
    pub queued: f64,
    /// The number of those that will not be delivered, by reason.
    pub dropped: BTreeMap<String, f64>,
}

impl Account {
    /// Reads the account of all signals together from a page.
    pub fn of(page: &Samples) -> Self {
        Self::of_those(page, "")
    }

    /// Reads the account of one signal (`metrics`, `traces` or `logs`) from a page.
    pub fn of_signal(page: &Samples, signal: &str) -> Self {
        Self::of_those(page, &format!("signal=\"{signal}\""))
    }

    /// Sums the series that have this label.
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
        let dropped = of("barograph_export_dropped_total");
        let dropped = dropped.into_iter().filter_map(|(labels, value)| {
            let reason = labels.split("reason=\"").nth(1)?.split('"').next()?;
            Some((reason.to_owned(), value))
        });
        Self {
            produced: sum("barograph_export_produced_total"),
            exported: sum("barograph_export_exported_total"),
            queued: sum("barograph_export_queued"),
            dropped: dropped.fold(BTreeMap::new(), |mut sums, (reason, value): (_, f64)| {
                *sums.entry(reason).or_default() += value;
                sums
            }),
        }
    }

    /// The number of dropped items with this reason.
    pub fn dropped(&self, reason: &str) -> f64 {
        self.dropped.get(reason).copied().unwrap_or_default()
    }

    /// Returns true if everything produced is exported, queued or dropped, and counted only once.
    pub fn is_even(&self) -> bool {
        self.produced == self.exported + self.queued + self.dropped.values().sum::<f64>()
    }
}
