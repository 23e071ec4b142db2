//! The known methods, and the effect of a method on the response.

use std::sync::OnceLock;

use http::{Method, StatusCode};

use crate::lifecycle::End;

/// The methods that are label values; every other one is `_OTHER`.
pub(crate) struct Methods(Box<[Box<str>]>);

impl Methods {
    /// Returns the number of indices: one for each method, and one for all others.
    pub(super) fn places(&self) -> usize {
        self.0.len() + 1
    }

    /// Returns the index of a known method, or the index after them for any other.
    pub(crate) fn place(&self, method: &Method) -> usize {
        let place = self.0.iter().position(|known| **known == *method.as_str());
        place.unwrap_or(self.0.len())
    }

    /// Returns the label value for an index.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.known(place).unwrap_or(OTHER)
    }

    /// Returns the method at an index, if it is a known one.
    pub(crate) fn known(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(|known| &**known)
    }
}

impl Default for Methods {
    fn default() -> Self {
        match SET.get() {
            Some(methods) => Methods(methods.clone()),
            None => KNOWN_METHODS.into_iter().collect(),
        }
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Methods {
    fn from_iter<I: IntoIterator<Item = T>>(methods: I) -> Self {
        Methods(methods.into_iter().map(Into::into).collect())
    }
}

/// Sets the known methods for layers that are created later without their own list. To be called once
/// by the code that initializes telemetry. Case matters.
///
/// # Errors
/// Returns the methods if others were set before; those stay in effect.
pub fn set_known_methods(
    methods: impl IntoIterator<Item = impl Into<Box<str>>>,
) -> Result<(), Box<[Box<str>]>> {
    SET.set(methods.into_iter().map(Into::into).collect())
}

static SET: OnceLock<Box<[Box<str>]>> = OnceLock::new();

/// The effect of the method on the response.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Usual,
    /// The response has no body.
    Head,
    /// The response makes a tunnel of the connection.
    Connect,
}

impl Kind {
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Kind::Head,
            Method::CONNECT => Kind::Connect,
            _ => Kind::Usual,
        }
    }

    /// Returns how the exchange ends with the head of its response, if it does.
    pub(super) fn end(self, status: StatusCode) -> Option<End> {
        if status == StatusCode::SWITCHING_PROTOCOLS || self == Kind::Connect && status.is_success()
        {
            Some(End::Upgrade)
        } else if self == Kind::Head
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            Some(End::Complete)
        } else {
            None
        }
    }
}

/// The label value for every unknown method.
const OTHER: &str = "_OTHER";

/// The methods of RFC 9110, PATCH of RFC 5789 and QUERY, the most frequent ones first.
const KNOWN_METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE",
];
