//! The room through its public API.

extern crate barograph_core as barograph;

mod churn;
mod exemplars;
mod families;
mod limits;
mod model;
mod registration;
mod removal;
mod sites;
