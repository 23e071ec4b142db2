//! The table, with a column for each peer that is rated in some row.

use std::fmt::Write;

use crate::report::Measured;

/// Returns the heading.
pub(crate) fn head() -> String {
    let mut line = format!("{:<27} {:<11} {:>8}", "row", "unit", "ours");
    for column in COLUMNS {
        let _ = write!(line, " {column:>17}");
    }
    line.push_str("  best peer / ours (middle half of rounds)");
    line
}

/// Returns one row, and below it the results that are shown without being rated.
pub(crate) fn line((row, outcome): &Measured) -> String {
    let mut line = format!(
        "{:<27} {:<11} {:>8}",
        row.id,
        row.unit,
        figure(outcome.ours)
    );
    for column in COLUMNS {
        let found = outcome.peers.iter().find(|(name, _)| *name == column);
        let _ = write!(line, " {:>17}", figure(found.and_then(|(_, value)| *value)));
    }
    match &outcome.best {
        Some(best) => {
            let (low, high) = best.spread;
            let _ = write!(
                line,
                "  {:.2} ({low:.2}-{high:.2}) {}",
                best.ratio, best.peer
            );
        }
        None => line.push_str("  -"),
    }
    for (name, value) in &outcome.shown {
        let _ = write!(
            line,
            "\n{:>27} shown, not rated: {name} {}",
            "",
            figure(*value)
        );
    }
    for wrong in &outcome.wrong {
        let _ = write!(line, "\n{:>27} not rated, work not done: {wrong}", "");
    }
    line
}

fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.abs() < 100.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.0}"),
    }
}

const COLUMNS: [&str; 7] = [
    "prometheus",
    "prometheus-client",
    "fastmetrics",
    "measured",
    "metrics",
    "otel-bound",
    "otel",
];
