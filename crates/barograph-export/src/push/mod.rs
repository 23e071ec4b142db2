//! Pushes OTLP requests: the loop, its transports, and the account of what became of everything.
//!
//! A [`Feed`] makes requests of one signal, a [`Transport`] carries one request once, and the loop
//! between them decides when, how often and for how long. Metrics are read from their sources; spans
//! and log records are taken from a queue, the [`Inflow`], that takes them in while the loop is busy.
//!
//! Times, sizes and counts come from configuration, receivers, proxies and persistent queues here. So no sum,
//! difference or product in this module may panic, which a lint holds.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod moment;
mod outcome;
mod transport;
mod inflow;
mod feed;
mod records;
mod wake;
mod ledger;
mod retry;
mod report;
mod regular_file;
#[cfg(feature = "journal")]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "lengths are checked against the file"
)]
pub mod journal;
mod pipeline;
mod driver;
#[cfg(test)]
mod tests;
pub mod client;

pub use driver::{Driver, Handle, Unfinished};
pub use feed::{Fate, Feed, Oversized};
pub use inflow::{Backlog, Inflow};
pub use ledger::{Ledger, LedgerSource, Reason, Totals};
pub use outcome::{Outcome, PartialSuccess, Refusal, Setback};
pub use pipeline::{Pipeline, Schedule};
pub use records::{LogFeed, RecordFeed, SpanFeed};
pub use report::{Event, Report};
pub use retry::RetryPolicy;
pub use transport::{Target, Transport};
pub use wake::Wake;
