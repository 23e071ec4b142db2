//! The layer for spans, sampling and observed operations, used as an application does.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod tail_sampling;
mod tail_sampling_through_layer;
mod operations;
mod trace;
