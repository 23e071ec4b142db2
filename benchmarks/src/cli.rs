//! Parses the command line.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::measure::Plan;
use crate::row::Row;

/// The rows to measure, for how long, and where to write the report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    filters: Vec<String>,
    rounds: Option<usize>,
    quick: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) show: Show,
}

/// The action of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Figures,
    Help,
    List,
}

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// Returns the argument that is not understood.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, InvalidArgument> {
        let mut command = Self {
            filters: vec![],
            rounds: None,
            quick: false,
            json: None,
            show: Show::Figures,
        };
        while let Some(arg) = args.next() {
            let mut value = |what| args.next().ok_or(InvalidArgument(arg.clone(), what));
            match arg.as_str() {
                "-h" | "--help" => command.show = Show::Help,
                "--list" => command.show = Show::List,
                "--quick" => command.quick = true,
                "--json" => command.json = Some(value("a file after it")?.into()),
                "--rounds" => {
                    let rounds = value("a number after it")?;
                    let number = rounds.parse().ok().filter(|&rounds| rounds > 0);
                    command.rounds = Some(number.ok_or(InvalidArgument(rounds, "a count"))?);
                }
                option if option.starts_with('-') => {
                    return Err(InvalidArgument(arg, "--help lists the options"));
                }
                _ => command.filters.push(arg),
            }
        }
        Ok(command)
    }

    /// Returns true if the row is selected: a filter is part of its name, or there are no filters.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| row.id.contains(filter))
    }

    pub(crate) fn plan(&self) -> Plan {
        let (rounds, millis) = if self.quick { (3, 1) } else { (25, 10) };
        Plan {
            rounds: self.rounds.unwrap_or(rounds),
            slice: Duration::from_millis(millis),
        }
    }
}

/// An argument that is not understood, with what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidArgument(String, &'static str);

impl fmt::Display for InvalidArgument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unexpected argument `{}`: expected {}", self.0, self.1)
    }
}

impl std::error::Error for InvalidArgument {}

pub(crate) const HELP: &str = "\
Measures barograph and its peers at the same work: in one process, in turn, round after round.

usage: cargo run --release -p benchmarks -- [FILTER]... [--json FILE] [--rounds N] [--quick] [--list]

  FILTER       only rows whose id holds this text: `counter`, `_2t`, `scrape_10k`
  --json FILE  writes the rows as JSON as well
  --rounds N   rounds of each row (25; rows with long rounds take fewer)
  --quick      3 rounds of a millisecond: shows that it works, says nothing about speed
  --list       names the rows and says what each does

A cell is the median of the rounds. The last column is the best rated peer's figure over ours in
the same round, median and middle half: above 1 ours is better. Only ratios of one run compare;
nanoseconds of two machines, or of two runs on a busy one, do not. Close everything else, give it
two CPUs at least, and read benchmarks/README.md for how a row is measured.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, InvalidArgument> {
        Command::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn filters_and_options_come_in_any_order() {
        let command = parse("counter --json out.json _2t --rounds 7").expect("well formed");
        assert_eq!(command.json.as_deref(), Some("out.json".as_ref()));
        assert_eq!(command.plan().rounds, 7);
        let wants = |id| command.wants(&Row::new(id, "", "", Vec::new));
        assert_eq!(
            [wants("counter_1t"), wants("gauge_2t"), wants("gauge")],
            [true, true, false]
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [
            ("--jsn x", "--jsn"),
            ("--json", "--json"),
            ("--rounds 0", "0"),
            ("--rounds x", "x"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(&format!("`{named}`")), "{error}");
        }
    }
}
