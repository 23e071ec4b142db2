//! The statistics of registries: what they hold, and what they refused.

use barograph_core::registry::Registry;
use barograph_core::stats::{Conflict, Stats};
use barograph_model::descriptor::Kind;

use super::table::Table;

/// Returns the statistics of these registries, which have names. `start` is the start time of their
/// counters, in nanoseconds since 1970.
pub(super) fn tables(registries: &[(Box<str>, Registry)], start: u64) -> Vec<Table> {
    let stats = registries.iter();
    let stats: Vec<(&str, Stats)> = stats
        .map(|(name, registry)| (&**name, registry.stats()))
        .collect();
    let mut rejected = Table::new(
        "barograph.measurements.rejected",
        "{measurement}",
        "Measurements, and labels of infos, that were not recorded, by family and reason.",
        Kind::Counter,
    )
    .since(start);
    let mut refused = Table::new(
        "barograph.lookups.overflowed",
        "{lookup}",
        "Lookups of label sets that returned the overflow series, by family and reason.",
        Kind::Counter,
    )
    .since(start);
    let mut series = Table::new(
        "barograph.series",
        "{series}",
        "Series in a registry.",
        Kind::Gauge,
    );
    let mut registry_utilization = Table::new(
        "barograph.registry.utilization",
        "1",
        "Series of a registry divided by its limit. Left out if it has no limit.",
        Kind::Gauge,
    );
    let mut family_utilization = Table::new(
        "barograph.family.utilization",
        "1",
        "Series of a family divided by its limit, for families with labels.",
        Kind::Gauge,
    );
    let mut families = Table::new(
        "barograph.families",
        "{family}",
        "Families in a registry.",
        Kind::Gauge,
    );
    let mut conflicts = Table::new(
        "barograph.conflicts",
        "{registration}",
        "Registrations that failed, including those of macros, by reason.",
        Kind::Counter,
    )
    .since(start);
    let mut panics = Table::new(
        "barograph.callback.panics",
        "{panic}",
        "Callbacks of observable instruments that panicked.",
        Kind::Counter,
    )
    .since(start);
    let mut timeouts = Table::new(
        "barograph.callback.timeouts",
        "{timeout}",
        "Observable instruments left out of a collection because callbacks that another collection started had not returned.",
        Kind::Counter,
    )
    .since(start);
    for (registry, stats) in &stats {
        let registry = [("registry", *registry)];
        series.row(&registry, stats.series as u64);
        families.row(&registry, stats.families.len() as u64);
        if let Some(share) = utilization(stats.series, stats.limit) {
            registry_utilization.share(&registry, share);
        }
        // All reasons, so that the first failure is an increase.
        for reason in Conflict::ALL {
            let mut counts = stats.conflicts_by_reason.iter();
            let count = counts.find(|(counted, _)| *counted == reason);
            let labels = [registry[0], ("reason", reason.as_str())];
            conflicts.row(&labels, count.map_or(0, |(_, count)| *count));
        }
        panics.row(&registry, stats.callback_panics);
        timeouts.row(&registry, stats.callback_timeouts);
        for family in &stats.families {
            let labels = |reason| [registry[0], ("family", &*family.name), ("reason", reason)];
            for (reason, count) in &family.rejected {
                rejected.row(&labels(reason.as_str()), *count);
            }
            for (reason, count) in &family.refused {
                refused.row(&labels(reason.as_str()), *count);
            }
            // Without labels there is one series at most, which says nothing.
            let share = utilization(family.series, family.limit);
            if let Some(share) = share.filter(|_| family.has_labels) {
                family_utilization.share(&[registry[0], ("family", &*family.name)], share);
            }
        }
    }
    let mut cells = Table::new(
        "barograph.thread_cells",
        "By",
        "Memory of thread-owned cells in the whole process.",
        Kind::Gauge,
    );
    cells.row(&[], stats.first().map_or(0, |(_, s)| s.thread_cell_bytes));
    vec![
        rejected,
        refused,
        series,
        registry_utilization,
        family_utilization,
        families,
        conflicts,
        panics,
        timeouts,
        cells,
    ]
}

/// Returns the series divided by their limit; above 1 if the limit was lowered. `None` without a limit.
fn utilization(series: usize, limit: usize) -> Option<f64> {
    match limit {
        usize::MAX => None,
        // It is full.
        0 => Some(1.0),
        limit => Some(series as f64 / limit as f64),
    }
}
