//! Export of telemetry: the pipelines, the OTLP client, the persistent queue, and the account of every
//! item.
//!
//! A [`RequestSource`] builds the requests of one signal and a [`Transport`] makes single attempts to
//! send them. The [`Pipeline`] between them decides when, how often and for how long. Metrics are read
//! from their sources; spans and log records are taken from a
//! [`RecordQueue`](barograph_core::record_queue::RecordQueue), which accepts records while the pipeline
//! is busy. A [`Driver`] runs all pipelines of a process, in any runtime.
//!
//! This is a separate crate because it does I/O: its dependencies for HTTP, TLS and files are those
//! that a service which is only scraped does not need. The bytes of a request come from
//! [`barograph_encode`].
//!
//! Times, sizes and counts come from configuration, receivers, proxies and persistent queues. So no
//! sum, difference or product in this crate may panic, which a lint enforces.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod moment;
mod outcome;
mod transport;
mod request_source;
mod records;
mod notification;
mod ledger;
mod retry;
mod report;
mod regular_file;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "lengths are checked against the file"
)]
pub mod persistent_queue;
mod pipeline;
mod driver;
#[cfg(test)]
mod tests;
pub mod client;

pub use driver::{Driver, Handle, Unfinished};
pub use ledger::{Ledger, LedgerSource, Reason, Totals};
pub use outcome::{Outcome, PartialSuccess, Permanent, Retryable};
pub use pipeline::{Pipeline, Schedule};
pub use records::{LogSource, RecordSource, SpanSource};
pub use report::{Event, Report};
pub use request_source::{Ack, Oversized, RequestSource};
pub use retry::RetryPolicy;
pub use transport::{Target, Transport};
