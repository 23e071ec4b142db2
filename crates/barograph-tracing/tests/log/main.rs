//! Log lines and log records through the public API.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod failed;
mod sheet;

mod filters;
mod lines;
mod of_log;
mod operations;
mod rates;
mod records;
mod suppressed;
mod with_spans;
mod writer;
