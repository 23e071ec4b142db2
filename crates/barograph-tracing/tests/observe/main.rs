//! Operations used as an application does, seen by a subscriber and in a registry.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod capture;

mod chains;
mod conventions;
mod futures;
mod functions;
mod guards;
mod levels;
mod send;
