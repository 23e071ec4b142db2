//! The rows, in the order in which they are measured.

mod otel;
mod ours;
mod oxtel;
mod sink;

mod counters;
mod gauges;
mod histograms;
mod timers;
mod labels;
mod memory;
mod scrape;

mod exemplars;
mod propagation;
mod otlp;

mod logs;
mod spans;
mod observed;

use crate::row::Row;

/// Returns all rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    [
        counters::ROWS,
        labels::ROWS,
        histograms::ROWS,
        timers::ROWS,
        gauges::ROWS,
        exemplars::ROWS,
        propagation::ROWS,
        memory::ROWS,
        scrape::ROWS,
        otlp::ROWS,
        logs::ROWS,
        spans::ROWS,
        observed::ROWS,
    ]
    .into_iter()
    .flatten()
}
