//! Replaces `spans` without the feature `tracing`: requests have no spans.

use http::request::Parts;

use super::forwarded::Origin;
use super::methods::Methods;
use super::route::Route;
use super::scheme::Scheme;
use super::settings::{Query, Settings};
use super::words::Server;
use crate::span::Span;

/// The known data of a request that a server received.
#[expect(dead_code, reason = "spans would show it")]
pub(super) struct Received<'a> {
    pub(super) settings: &'a Settings,
    pub(super) request: &'a Parts,
    pub(super) method: usize,
    pub(super) route: Option<&'a Route>,
    pub(super) scheme: Scheme,
    pub(super) origin: Option<Origin<'a>>,
}

pub(super) fn server(_: &Received<'_>) -> Span {
    Span::none()
}

/// The known data of a request that a client is about to send.
#[expect(dead_code, reason = "spans would show it")]
pub(super) struct Sent<'a> {
    pub(super) request: &'a Parts,
    pub(super) methods: &'a Methods,
    pub(super) method: usize,
    pub(super) template: Option<&'a Route>,
    pub(super) server: Server<'a>,
    pub(super) query: Option<&'a Query>,
    pub(super) resends: u32,
}

pub(super) fn client(_: &Sent<'_>) -> Span {
    Span::none()
}

pub(super) fn name_late(_: &Span, _: Option<&str>, _: &Route) {}
