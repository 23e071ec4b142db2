//! The command `barograph`: checks pages, queues, configuration and running services.
//!
//! Every command prints a report to stdout, as text or with `--json` as one JSON object, and exits with
//! 0 if there is nothing to change, 1 if there are findings, and 2 if it could not look: wrong usage, a
//! file that cannot be read, a server that does not answer. Errors go to stderr and say what to do.
//!
//! It only reads. It changes no file, takes no lock, and sends nothing but requests without telemetry.
#![forbid(unsafe_code)]

mod arguments;
mod report;
mod fetch;
mod input;
mod page;
mod queue;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command, PageCommand, QueueCommand};
use crate::report::{Output, Report, Unusable};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(arguments.command) {
        Ok(report) => output.print(&*report),
        Err(unusable) => output.fail(&unusable),
    }
}

fn run(command: Command) -> Result<Box<dyn Report>, Unusable> {
    Ok(match command {
        Command::Page(PageCommand::Check(arguments)) => Box::new(page::check(&arguments)?),
        Command::Page(PageCommand::Diff(arguments)) => Box::new(page::diff(&arguments)?),
        Command::Queue(QueueCommand::Inspect(arguments)) => Box::new(queue::inspect(&arguments)?),
    })
}
