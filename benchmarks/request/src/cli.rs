//! Parses the command line.

use std::fmt;
use std::time::Duration;

use crate::measure::Plan;
use crate::servers::Stack;

/// The action of the program.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    /// Runs one of the servers until SIGTERM.
    Serve(Stack),
    Measure(Plan),
}

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// Returns the argument that is not understood.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, InvalidArgument> {
        let mut plan = Plan::default();
        while let Some(arg) = args.next() {
            let mut number = |what| {
                let value = args.next().unwrap_or_default();
                let number = value.parse::<u32>().ok().filter(|number| *number > 0);
                number.ok_or(InvalidArgument(format!("{arg} {value}"), what))
            };
            match arg.as_str() {
                "-h" | "--help" => return Ok(Command::Help),
                "measure" => {}
                "--check" => plan.most = Some(0.5),
                "--rounds" => plan.rounds = number("a count")? as usize,
                "--seconds" => plan.slice = Duration::from_secs(number("whole seconds")?.into()),
                "--connections" => plan.connections = number("a count")?,
                name => match Stack::ALL.into_iter().find(|stack| stack.name() == name) {
                    Some(stack) => return Ok(Command::Serve(stack)),
                    None => return Err(InvalidArgument(arg, "what --help shows")),
                },
            }
        }
        Ok(Command::Measure(plan))
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
Measures what telemetry adds to a request: bare axum, barograph, oxtel and OpenTelemetry, in turn.

usage: cargo run --release -p request-cost -- [measure] [OPTION]...

  --rounds N       rounds of all servers (7)
  --seconds N      how long each server is loaded in a round (3)
  --connections N  how many connections ask at once (64)
  --check          fails where ours adds more than half of what OpenTelemetry adds

`wrk` is taken from PATH, or from where `tools/backends/install wrk` puts it. The servers alone are
`bare`, `barograph`, `lines`, `oxtel`, `oxtel-lines` and `opentelemetry`; they say on stdout where they
listen.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, InvalidArgument> {
        Command::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn servers_and_plans_are_told_apart() {
        assert_eq!(parse("bare"), Ok(Command::Serve(Stack::Bare)));
        assert_eq!(parse(""), Ok(Command::Measure(Plan::default())));
        let expected = Plan {
            rounds: 2,
            slice: Duration::from_secs(5),
            most: Some(0.5),
            ..Plan::default()
        };
        let plan = parse("measure --seconds 5 --check --rounds 2");
        assert_eq!(plan, Ok(Command::Measure(expected)));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [("bear", "`bear`"), ("--rounds 0", "`--rounds 0`")] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
