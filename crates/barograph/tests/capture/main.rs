//! Captures: what belongs to them, and how it is compared.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod metrics;
mod spans;
mod layers;
mod isolation;
mod tasks;
mod clock;
mod mismatch;
