//! What telemetry adds to a request of an axum service, ours and OpenTelemetry's.
//!
//! The program starts itself as a server, bare or with either telemetry, and loads it with `wrk`:
//! `cargo run --release -p request-cost`. `benchmarks/README.md` says how a figure is taken.

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
            // Nobody is left to be told.
            let _ = writeln!(io::stderr(), "request-cost: {error}");
            ExitCode::FAILURE
        }
    }
}
