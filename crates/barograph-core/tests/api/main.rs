//! The crate through its public API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate barograph_core as barograph;

mod churn;
mod families;
mod levels;
mod limits;
mod model;
mod negative;
mod numbers;
mod observables;
mod registration;
mod removal;
mod reports;
mod revival;
mod sites;
mod strict;
mod totals;
