//! The command as its users run it: arguments in; output, errors and exit codes out.
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod harness;
mod server;
mod usage;
mod page_check;
mod page_diff;
mod queue_inspect;
