//! Pushes OTLP requests: the loop, its transports, and the account of what became of everything.
//!
//! A [`Feed`] makes requests of one signal, a [`Transport`] carries one request once, and the loop
//! between them decides when, how often and for how long. Metrics are read from their sources; spans
//! and log records are taken from a queue, the [`Inflow`], that takes them in while the loop is busy.

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
#[cfg(feature = "journal")]
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
