//! The difference between expected and recorded lines.

use super::expected::Expected;
use super::line::Line;

/// A line of a difference.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Expected, and recorded.
    Same(String),
    /// Expected, but not recorded.
    Missing(String),
    /// Recorded, but not expected.
    Extra(String),
}

/// Returns the shortest difference. The lines that a gap stands for are not in it.
pub(super) fn diff(expected: &[Expected<'_>], recorded: &[Line]) -> Vec<Change> {
    // A line that matches at either end is part of a shortest difference. Without these lines, there is
    // little left of most differences.
    let pairs = || expected.iter().zip(recorded);
    let begin = count_matches(pairs());
    let (_, expected_rest) = expected.split_at(begin);
    let (_, recorded_rest) = recorded.split_at(begin);
    let end = count_matches(expected_rest.iter().rev().zip(recorded_rest.iter().rev()));
    let (middle, after) = expected_rest.split_at(expected_rest.len() - end);
    let same = |line: &Expected<'_>| Change::Same(line.to_string());
    let mut changes: Vec<_> = expected[..begin].iter().map(same).collect();
    between(
        middle,
        &recorded_rest[..recorded_rest.len() - end],
        &mut changes,
    );
    changes.extend(after.iter().map(same));
    changes
}

fn count_matches<'a>(pairs: impl Iterator<Item = (&'a Expected<'a>, &'a Line)>) -> usize {
    pairs
        .take_while(|(expected, line)| !expected.is_gap() && expected.matches(line))
        .count()
}

fn between(expected: &[Expected<'_>], recorded: &[Line], changes: &mut Vec<Change>) {
    let costs = Costs::new(expected, recorded);
    let (mut at, mut of) = (0, 0);
    while at < expected.len() || of < recorded.len() {
        let (cost, is_match) = (costs.get(at, of), costs.matches(at, of));
        match expected.get(at) {
            // A gap is over as soon as that costs no more.
            Some(gap) if gap.is_gap() && cost == costs.get(at + 1, of) => {
                changes.push(Change::Same(gap.to_string()));
                at += 1;
            }
            Some(gap) if gap.is_gap() && is_match => of += 1,
            Some(line) if is_match && cost == costs.get(at + 1, of + 1) => {
                changes.push(Change::Same(line.to_string()));
                (at, of) = (at + 1, of + 1);
            }
            Some(line) if costs.replacement(at, of) == Some(cost) => {
                changes.push(Change::Missing(line.to_string()));
                changes.push(Change::Extra(recorded[of].to_string()));
                (at, of) = (at + 1, of + 1);
            }
            Some(line) if !line.is_gap() && cost == costs.get(at + 1, of) + MISSING => {
                changes.push(Change::Missing(line.to_string()));
                at += 1;
            }
            _ => {
                changes.push(Change::Extra(recorded[of].to_string()));
                of += 1;
            }
        }
    }
}

/// The cost of a line that is extra, and of one that is missing. It is more, because it says more to show
/// a line that was recorded before the expected one than to miss that one and have a gap stand for both.
const EXTRA: u32 = 6;
const MISSING: u32 = 7;

/// Returns the cost of a line in place of another one that begins alike: less than that of either, so
/// that it is shown although a gap next to it could stand for it. If several begin alike, the one that
/// has the expected labels is the one that was meant.
fn cost_of_replacement(similarity: usize) -> Option<u32> {
    match similarity {
        0 => None,
        1 => Some(5),
        2 => Some(4),
        _ => Some(3),
    }
}

/// The cost of the changes that the rest of both sides needs, from each line on.
struct Costs<'a> {
    expected: &'a [Expected<'a>],
    recorded: &'a [Line],
    costs: Vec<u32>,
}

impl<'a> Costs<'a> {
    fn new(expected: &'a [Expected<'a>], recorded: &'a [Line]) -> Self {
        let cells = (expected.len() + 1) * (recorded.len() + 1);
        let mut costs = Costs {
            expected,
            recorded,
            costs: vec![0; cells],
        };
        for at in (0..=expected.len()).rev() {
            for of in (0..=recorded.len()).rev() {
                let place = costs.place(at, of);
                costs.costs[place] = costs.least(at, of);
            }
        }
        costs
    }

    fn least(&self, at: usize, of: usize) -> u32 {
        let extra = (of < self.recorded.len()).then(|| self.get(at, of + 1) + EXTRA);
        let Some(line) = self.expected.get(at) else {
            return extra.unwrap_or(0);
        };
        let is_match = self.matches(at, of);
        let (skip, take) = match line.is_gap() {
            true => (self.get(at + 1, of), is_match.then(|| self.get(at, of + 1))),
            false => (
                self.get(at + 1, of) + MISSING,
                is_match.then(|| self.get(at + 1, of + 1)),
            ),
        };
        let others = [extra, take, self.replacement(at, of)];
        let others = others.into_iter().flatten();
        others.fold(skip, u32::min)
    }

    /// Returns the cost if the recorded line is in place of the expected one.
    fn replacement(&self, at: usize, of: usize) -> Option<u32> {
        let (expected, recorded) = (self.expected.get(at)?, self.recorded.get(of)?);
        let is_line = !expected.is_gap();
        let cost = is_line.then(|| cost_of_replacement(expected.similarity(recorded)))??;
        Some(self.get(at + 1, of + 1) + cost)
    }

    fn matches(&self, at: usize, of: usize) -> bool {
        match (self.expected.get(at), self.recorded.get(of)) {
            (Some(expected), Some(recorded)) => expected.matches(recorded),
            _ => false,
        }
    }

    fn get(&self, at: usize, of: usize) -> u32 {
        self.costs[self.place(at, of)]
    }

    fn place(&self, at: usize, of: usize) -> usize {
        at * (self.recorded.len() + 1) + of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the difference with a mark in front of each line, and `.` in front of lines of depth 1.
    fn marked(expected: &str, recorded: &str) -> Vec<String> {
        let recorded = recorded.split_whitespace().map(|word| {
            let (depth, text) = match word.strip_prefix('.') {
                Some(text) => (1, text),
                None => (0, word),
            };
            // As lines have them: a name, labels, a value.
            let [name, label, value] = [0, 1, 2].map(|at| text.get(at..=at).unwrap_or_default());
            Line::new(depth).fixed(name).fixed(label).value(value)
        });
        let recorded: Vec<_> = recorded.collect();
        let changes = diff(&Expected::lines(expected), &recorded);
        let mark = |change: Change| match change {
            Change::Same(line) => format!(" {line}"),
            Change::Missing(line) => format!("-{line}"),
            Change::Extra(line) => format!("+{line}"),
        };
        changes.into_iter().map(mark).collect()
    }

    #[test]
    fn equal_lines_have_no_changes() {
        assert_eq!(marked("a\nb", "a b"), [" a", " b"]);
        assert_eq!(marked("", ""), [""; 0]);
    }

    #[test]
    fn missing_lines_are_before_those_recorded_in_their_place() {
        assert_eq!(marked("a\nb\nc", "a x c"), [" a", "-b", "+x", " c"]);
        assert_eq!(marked("a\nb", ""), ["-a", "-b"]);
        assert_eq!(marked("", "a b"), ["+a", "+b"]);
        assert_eq!(marked("a\nb", "b a"), ["-a", " b", "+a"]);
    }

    #[test]
    fn indentation_counts() {
        assert_eq!(marked("a\n  b", "a b"), [" a", "-  b", "+b"]);
        assert_eq!(marked("a\n  b", "a .b"), [" a", "   b"]);
    }

    #[test]
    fn a_gap_takes_as_many_lines_as_it_can_use() {
        for recorded in ["a z", "a b z", "a b c a z", "a z z"] {
            assert_eq!(
                marked("a\n..\nz", recorded),
                [" a", " ..", " z"],
                "{recorded}"
            );
        }
        assert_eq!(marked("..", ""), [" .."]);
        assert_eq!(marked("..\n..", "a b"), [" ..", " .."]);
        assert_eq!(marked("a\n..\nz", "a b"), [" a", " ..", "-z"]);
        assert_eq!(marked("a\n..\nz", "b z"), ["-a", " ..", " z"]);
    }

    #[test]
    fn a_line_that_is_almost_as_expected_is_shown_although_a_gap_could_stand_for_it() {
        assert_eq!(marked("al1\n..", "al2 b"), ["-al1", "+al2", " .."]);
        assert_eq!(
            marked("..\nal1\n..", "b al2 c"),
            [" ..", "-al1", "+al2", " .."]
        );
        let several = marked("..\nal1\n..", "ak1 al2 am1");
        assert_eq!(several, [" ..", "-al1", "+al2", " .."]);
        assert_eq!(marked("..\nal1\n..", "b c"), [" ..", "-al1", " .."]);
        assert_eq!(marked("al1\n..", "b al1 c"), ["+b", " al1", " .."]);
    }

    #[test]
    fn a_gap_inside_a_span_ends_with_it() {
        assert_eq!(marked("a\n  ..\nb", "a .x .y b"), [" a", "   ..", " b"]);
        assert_eq!(
            marked("a\n  ..\nb", "a .x c b"),
            [" a", "   ..", "+c", " b"]
        );
    }
}
