//! Helpers that the tests of several crates share.
//!
//! This is a separate crate because integration tests of different crates cannot share modules. No
//! crate has it among its dependencies except those of tests.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

pub mod metrics;
pub mod spans;
pub mod futures;
