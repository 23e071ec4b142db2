//! Where axum is not known, no route is, and bodies are not counted.

use std::net::SocketAddr;

use http::request::Parts;

/// A route that axum's router has matched: there is none.
#[derive(Clone, Debug)]
pub(super) enum Matched {}

impl Matched {
    pub(super) fn as_str(&self) -> &str {
        match *self {}
    }
}

pub(super) fn matched(_: &Parts) -> Option<Matched> {
    None
}

pub(super) fn connected(_: &Parts) -> Option<SocketAddr> {
    None
}

pub(super) fn count<B: 'static>(_: &mut B) -> Option<Passed> {
    None
}

/// Bytes of a request body that was counted: there is none.
pub(super) enum Passed {}

impl Passed {
    pub(super) fn get(&self) -> Option<u64> {
        match *self {}
    }
}
