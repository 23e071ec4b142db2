//! The figures of all rounds, and their summary.

use std::fmt;

use super::Figure;
use crate::servers::Stack;

/// The figures of the rounds, in the order of [`Stack::ALL`].
#[derive(Default)]
pub(super) struct Rounds(Vec<Round>);

type Round = [Figure; Stack::ALL.len()];

/// The medians of all rounds.
pub(super) struct Summary {
    rows: Vec<Row>,
}

struct Row {
    stack: Stack,
    rate: f64,
    micros: f64,
    /// The cost beyond that of bare axum in the same round, in microseconds.
    added: f64,
    /// `added` divided by that of OpenTelemetry in the same round: the first quartile, the median
    /// and the last quartile.
    ratio: [f64; 3],
    /// The number of spans per hundred requests.
    spans: f64,
    records: f64,
}

impl Rounds {
    pub(super) fn push(&mut self, figures: Vec<Figure>) -> Result<(), &'static str> {
        let round = figures.try_into();
        self.0
            .push(round.map_err(|_| "a figure of each server makes a round")?);
        Ok(())
    }

    pub(super) fn summary(&self) -> Summary {
        let place = |stack| Stack::ALL.into_iter().position(|other| other == stack);
        let bare = place(Stack::Bare).unwrap_or_default();
        let peer = place(Stack::OpenTelemetry).unwrap_or_default();
        let row = |(at, stack): (usize, Stack)| {
            let all = |of: &dyn Fn(&Round) -> f64| quartiles(self.0.iter().map(of).collect());
            let added = |round: &Round, at: usize| round[at].micros - round[bare].micros;
            let [_, rate, _] = all(&|round| round[at].rate);
            let [_, micros, _] = all(&|round| round[at].micros);
            let [_, over, _] = all(&|round| added(round, at));
            let part = |of: u64, requests: f64| 100.0 * of as f64 / requests;
            let [_, spans, _] = all(&|r| part(r[at].received.spans, r[at].requests));
            let [_, records, _] = all(&|r| part(r[at].received.records, r[at].requests));
            Row {
                stack,
                rate,
                micros,
                added: over,
                ratio: all(&|round| added(round, at) / added(round, peer)),
                spans,
                records,
            }
        };
        Summary {
            rows: Stack::ALL.into_iter().enumerate().map(row).collect(),
        }
    }
}

impl Summary {
    /// The cost that barograph adds, divided by the cost that OpenTelemetry adds.
    pub(super) fn ratio(&self) -> f64 {
        let ours = self.rows.iter().find(|row| row.stack == Stack::Barograph);
        ours.map_or(f64::NAN, |row| row.ratio[1])
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>10} {:>11} {:>9} {:>19} {:>7} {:>8}",
            "server",
            "requests/s",
            "CPU/request",
            "added",
            "of OpenTelemetry's",
            "spans",
            "records"
        )?;
        for row in &self.rows {
            let [low, ratio, high] = row.ratio;
            let ratio = match row.stack {
                Stack::Bare => String::new(),
                Stack::OpenTelemetry => "1".into(),
                _ => format!("{ratio:.2} ({low:.2}-{high:.2})"),
            };
            writeln!(
                f,
                "{:<14} {:>10.0} {:>8.2} us {:>6.2} us {ratio:>19} {:>5.1} % {:>6.1} %",
                row.stack.name(),
                row.rate,
                row.micros,
                row.added,
                row.spans,
                row.records,
            )?;
        }
        Ok(())
    }
}

/// Returns the first quartile, the median and the last quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values.get((values.len().saturating_sub(1) * part + 2) / 4);
    [1, 2, 3].map(|part| at(part).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::receiver::Received;

    #[test]
    fn added_costs_are_compared_round_by_round() {
        let figure = |micros| Figure {
            requests: 1_000.0,
            rate: 1e6 / micros,
            micros,
            received: Received {
                spans: 100,
                ..Received::default()
            },
        };
        let mut rounds = Rounds::default();
        // The second round runs at half the speed.
        for slow in [1.0, 2.0, 1.0] {
            let round = [10.0, 14.0, 12.0, 17.0, 15.0, 20.0].map(|micros| figure(slow * micros));
            rounds
                .push(round.to_vec())
                .expect("a figure of each server");
        }
        let summary = rounds.summary();
        assert_eq!(summary.ratio(), 0.4);
        assert_eq!(summary.rows[1].added, 4.0);
        assert_eq!(summary.rows[2].ratio, [0.2; 3]);
        assert_eq!(summary.rows[3].ratio, [0.7; 3]);
        assert!(rounds.push(vec![]).is_err());
    }
}
