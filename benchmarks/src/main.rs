//! Measures barograph and other metrics crates at the same work, in one process, in turn.
//!
//! A row is one kind of work (`rows`), done by a small function for each library; `measure` takes
//! the figures, `report` shows them. README.md beside this crate's manifest describes the method.
//! To add a row, add it to one of the files in `rows`.

// The name by which the derives of label sets refer to the crate.
extern crate barograph_core as barograph;

#[expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]
mod alloc;
#[expect(
    unsafe_code,
    reason = "std has neither the thread's CPU clock nor its affinity"
)]
mod clock;
mod page;
mod workload;

mod measure;
mod row;

mod report;
mod rows;

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{Command, HELP, Show};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn main() -> ExitCode {
    match run(&mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let command = Command::parse(std::env::args().skip(1))?;
    let wanted = rows::all().filter(|row| command.wants(row));
    match command.show {
        Show::Help => return Ok(out.write_all(HELP.as_bytes())?),
        Show::List => {
            for row in wanted {
                writeln!(out, "{:<27} {:<11} {}", row.id, row.unit, row.about)?;
            }
            return Ok(());
        }
        Show::Figures => {}
    }
    writeln!(out, "{}", report::head())?;
    let (mut measured, mut wrong) = (Vec::new(), Vec::new());
    for row in wanted {
        match row.measure(command.plan()) {
            Ok(outcome) => {
                let row = (row, outcome);
                writeln!(out, "{}", report::line(&row))?;
                measured.push(row);
            }
            Err(error) => wrong.push(error),
        }
        out.flush()?;
    }
    if let Some(path) = &command.json {
        std::fs::write(path, report::json(&measured))?;
    }
    match (&measured[..], &wrong[..]) {
        ([], []) => Err("no row has an id that holds the filter; --list names them".into()),
        (_, []) => Ok(()),
        (_, wrong) => Err(format!(
            "barograph did not do the work it was measured at:\n{}",
            wrong.join("\n")
        )
        .into()),
    }
}
