//! A complete response, and the outcomes that all protocols share.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::message::Secrets;
use crate::outcome::{Outcome, PartialSuccess, Permanent, Retryable};
use barograph_encode::otlp::ExportResponse;

/// A response that was read to its end.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

impl Response {
    /// Returns a header if it is present and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// States whether a request that failed with a retryable error may have been accepted nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was not sent completely, or the receiver reported that it did not accept it.
    Excluded,
    /// It may have been accepted; the client cannot know.
    Possible,
}

/// A builder of outcomes, whose messages contain no secrets.
pub(super) struct OutcomeBuilder<'a> {
    pub(super) secrets: &'a Secrets,
    /// The number of data points, spans or log records in the request.
    pub(super) items: u64,
}

impl OutcomeBuilder<'_> {
    /// Returns the outcome of a request that the receiver accepted.
    pub(super) fn delivered(&self, response: ExportResponse) -> Outcome {
        // A receiver cannot reject more items than it was sent; otherwise the accounting would not
        // add up.
        let rejected = u64::try_from(response.rejected)
            .unwrap_or(0)
            .min(self.items);
        let message = self.secrets.message(&response.message);
        let is_partial = rejected > 0 || !message.is_empty();
        Outcome::Delivered(is_partial.then_some(PartialSuccess { rejected, message }))
    }

    /// Returns the outcome of an accepted request with a response that cannot be decoded.
    pub(super) fn delivered_with(&self, warning: &str) -> Outcome {
        let response = ExportResponse {
            rejected: 0,
            message: warning.to_owned(),
        };
        self.delivered(response)
    }

    pub(super) fn permanent(
        &self,
        error_type: impl Into<Cow<'static, str>>,
        message: &str,
    ) -> Outcome {
        let (error_type, message) = (error_type.into(), self.secrets.message(message));
        Outcome::Permanent(Permanent {
            error_type,
            message,
        })
    }

    pub(super) fn retryable(
        &self,
        error_type: impl Into<Cow<'static, str>>,
        message: &str,
        retry_after: Option<Duration>,
        arrival: Arrival,
    ) -> Outcome {
        let (error_type, message) = (error_type.into(), self.secrets.message(message));
        let may_have_arrived = arrival == Arrival::Possible;
        Outcome::Retryable(Retryable {
            error_type,
            message,
            retry_after,
            may_have_arrived,
        })
    }

    /// Returns the outcome for a response that exceeds the limit, compressed or not.
    pub(super) fn response_too_large(&self) -> Outcome {
        self.permanent("response_too_large", "the response is longer than 4 MiB")
    }
}

/// The warning for a response that cannot be decoded.
pub(super) const UNREADABLE: &str = "accepted, but the response is not valid OTLP";
