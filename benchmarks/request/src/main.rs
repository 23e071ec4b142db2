//! Measures what telemetry adds to a request of an axum service, with barograph, with oxtel and with
//! OpenTelemetry.
//!
//! The program starts itself as a server, without telemetry or with one of these, and loads it with
//! `wrk`: `cargo run --release -p request-cost`. `benchmarks/README.md` describes the method.

mod servers;
mod measure;
mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;

use cli::{Command, HELP};

fn main() -> ExitCode {
    let done = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => write!(io::stdout(), "{HELP}").map_err(Into::into),
        Ok(Command::Serve(stack)) => servers::run(stack),
        Ok(Command::Measure(plan)) => measure::run(&plan),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(io::stderr(), "request-cost: {error}");
            ExitCode::FAILURE
        }
    }
}
