//! The layer and the source as their users have them.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod page;
mod script;

mod bodies;
mod contexts;
mod keep;
mod kept;
mod pages;
mod process;
mod requests;
mod routes;
mod server;
mod trace;
