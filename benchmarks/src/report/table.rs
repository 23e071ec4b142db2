//! The table, with a column for each peer that is rated in many rows.

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

/// Returns one row, and below it the peers without a column, and the results that are shown without
/// being rated.
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
    let other = outcome
        .peers
        .iter()
        .filter(|(name, _)| !COLUMNS.contains(name));
    let other = other.map(|peer| ("rated", peer));
    let shown = outcome.shown.iter().map(|peer| ("shown, not rated", peer));
    for (kind, (name, value)) in other.chain(shown) {
        let _ = write!(line, "\n{:>27} {kind}: {name} {}", "", figure(*value));
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

const COLUMNS: [&str; 8] = [
    "prometheus",
    "prometheus-client",
    "fastmetrics",
    "measured",
    "metrics",
    "oxtel",
    "otel-bound",
    "otel",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Outcome, Row};

    static ROW: Row = Row::new("span", "ns", "", Vec::new);

    #[test]
    fn each_figure_is_in_a_column_or_below_the_row() {
        let outcome = Outcome {
            ours: Some(1.0),
            peers: vec![("oxtel", Some(2.0)), ("another", Some(3.0))],
            shown: vec![("toy", Some(4.0))],
            ..Outcome::default()
        };
        let text = line(&(&ROW, outcome));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let [first, "rated: another 3.00", "shown, not rated: toy 4.00"] = lines[..] else {
            panic!("{text}");
        };
        let cells: Vec<&str> = first.split_whitespace().collect();
        let heads = head();
        let column = heads.split_whitespace().position(|name| name == "oxtel");
        assert_eq!(column.map(|at| cells[at]), Some("2.00"));
    }
}
