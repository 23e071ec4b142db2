//! A row of the table: one kind of work, done by barograph and by each peer that can do it.

use crate::measure::{Plan, Subject, median};

/// One kind of work.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) unit: &'static str,
    /// The description of the work in one line.
    pub(crate) about: &'static str,
    /// The maximum number of rounds, for rows with long rounds.
    pub(crate) at_most_rounds: usize,
    /// Creates all contenders; called when the row is measured, and dropped after it.
    pub(crate) contenders: fn() -> Vec<Contender>,
}

impl Row {
    pub(crate) const fn new(
        id: &'static str,
        unit: &'static str,
        about: &'static str,
        contenders: fn() -> Vec<Contender>,
    ) -> Self {
        Self {
            id,
            unit,
            about,
            at_most_rounds: usize::MAX,
            contenders,
        }
    }

    pub(crate) const fn with_at_most_rounds(mut self, rounds: usize) -> Self {
        self.at_most_rounds = rounds;
        self
    }

    /// Measures all contenders in turn, round after round, then checks each.
    ///
    /// A peer that did not do the work is not rated, and its error is reported.
    ///
    /// # Errors
    ///
    /// Fails if barograph did not do the work that it was measured at.
    pub(crate) fn measure(&self, plan: Plan) -> Result<Outcome, String> {
        let mut contenders = (self.contenders)();
        for contender in &mut contenders {
            contender.subject.warm(plan);
        }
        let mut figures = vec![Vec::new(); contenders.len()];
        for _ in 0..plan.rounds.min(self.at_most_rounds) {
            for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
                figures.push(contender.subject.round(plan));
            }
        }
        let mut wrong = Vec::new();
        for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
            let Err(error) = contender.subject.check() else {
                continue;
            };
            if contender.role == Role::Ours {
                return Err(format!("{}: {error}", self.id));
            }
            figures.clear();
            wrong.push(format!("{}: {error}", contender.name));
        }
        let series = contenders.iter().zip(figures);
        let series = series.map(|(contender, rounds)| (contender.name, contender.role, rounds));
        Ok(Outcome {
            wrong,
            ..Outcome::new(series)
        })
    }
}

/// One library in one row.
pub(crate) struct Contender {
    name: &'static str,
    role: Role,
    subject: Box<dyn Subject>,
}

impl Contender {
    pub(crate) fn ours(subject: Box<dyn Subject>) -> Self {
        Self {
            name: "ours",
            role: Role::Ours,
            subject,
        }
    }

    /// A library that does the same work, and is rated.
    pub(crate) fn peer(name: &'static str, subject: Box<dyn Subject>) -> Self {
        Self {
            name,
            role: Role::Peer,
            subject,
        }
    }

    /// A library that does something else for the same purpose: shown, not rated.
    pub(crate) fn shown(name: &'static str, subject: Box<dyn Subject>) -> Self {
        Self {
            name,
            role: Role::Shown,
            subject,
        }
    }
}

/// The figures of each round; `None` if the round did not count.
type Rounds = Vec<Option<f64>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Ours,
    Peer,
    Shown,
}

/// The result of a row.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) ours: Option<f64>,
    /// The rated peers, in the order in which they ran.
    pub(crate) peers: Vec<(&'static str, Option<f64>)>,
    /// The contenders that are shown without being rated.
    pub(crate) shown: Vec<(&'static str, Option<f64>)>,
    /// The errors of the peers whose totals differ from what was done.
    pub(crate) wrong: Vec<String>,
    /// The best rated peer; `None` if no peer does the work.
    pub(crate) best: Option<Best>,
}

/// The best rated peer compared with barograph.
#[derive(Debug, PartialEq)]
pub(crate) struct Best {
    pub(crate) peer: &'static str,
    /// The median over the rounds of the peer's figure divided by ours.
    pub(crate) ratio: f64,
    /// The first and the last quartile of the rounds' ratios.
    pub(crate) spread: (f64, f64),
}

impl Outcome {
    fn new(series: impl Iterator<Item = (&'static str, Role, Rounds)>) -> Self {
        let mut outcome = Self::default();
        let mut ours: Rounds = Vec::new();
        let mut best: Option<(f64, &'static str, Rounds)> = None;
        for (name, role, rounds) in series {
            let figure = median(&rounds.iter().copied().flatten().collect::<Vec<_>>());
            match role {
                Role::Ours => (outcome.ours, ours) = (figure, rounds),
                Role::Shown => outcome.shown.push((name, figure)),
                Role::Peer => {
                    outcome.peers.push((name, figure));
                    let Some(figure) = figure else { continue };
                    if best.as_ref().is_none_or(|(lowest, ..)| figure < *lowest) {
                        best = Some((figure, name, rounds));
                    }
                }
            }
        }
        outcome.best = best.and_then(|(_, peer, rounds)| Best::of(peer, &rounds, &ours));
        outcome
    }
}

impl Best {
    fn of(peer: &'static str, theirs: &[Option<f64>], ours: &[Option<f64>]) -> Option<Self> {
        let both = theirs.iter().zip(ours);
        let mut ratios: Vec<f64> = both.filter_map(|(&a, &b)| Some(a? / b?)).collect();
        if ratios.is_empty() {
            // No round counted for both, which happens with two threads on a busy machine.
            let middle = |rounds: &[Option<f64>]| {
                median(&rounds.iter().copied().flatten().collect::<Vec<_>>())
            };
            ratios.push(middle(theirs)? / middle(ours)?);
        }
        ratios.sort_by(f64::total_cmp);
        let last = ratios.len().checked_sub(1)?;
        let ratio = median(&ratios)?;
        Some(Self {
            peer,
            ratio,
            spread: (ratios[last / 4], ratios[last - last / 4]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_rounds_against_the_best_rated_peer() {
        let some = |figures: [f64; 3]| figures.map(Some).to_vec();
        let outcome = Outcome::new(
            [
                ("ours", Role::Ours, some([1.0, 2.0, 1.0])),
                ("slow", Role::Peer, some([9.0, 9.0, 9.0])),
                ("fast", Role::Peer, vec![Some(4.0), Some(4.0), None]),
                ("toy", Role::Shown, some([0.1, 0.1, 0.1])),
            ]
            .into_iter(),
        );
        assert_eq!(outcome.ours, Some(1.0));
        assert_eq!(outcome.peers, [("slow", Some(9.0)), ("fast", Some(4.0))]);
        assert_eq!(
            outcome.best,
            Some(Best {
                peer: "fast",
                ratio: 3.0,
                spread: (2.0, 4.0)
            })
        );
    }

    #[test]
    fn without_a_peer_there_is_no_ratio() {
        let outcome = Outcome::new([("ours", Role::Ours, vec![Some(0.3)])].into_iter());
        assert_eq!(outcome.best, None);
    }
}
