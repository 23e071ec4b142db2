//! Pushes OTLP requests: the loop, its transports, and the account of what became of everything.
//!
//! A [`Feed`] makes requests of one signal, a [`Transport`] carries one request once, and the loop
//! between them decides when, how often and for how long.

mod outcome;
mod transport;
mod feed;
pub mod client;

pub use feed::{Fate, Feed};
pub use outcome::{Outcome, PartialSuccess, Refusal, Setback};
pub use transport::{Target, Transport};
