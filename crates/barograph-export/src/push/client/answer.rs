//! An answer in full, and what all protocols make of it alike.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::message::Secrets;
use crate::otlp::ExportResponse;
use crate::push::outcome::{Outcome, PartialSuccess, Refusal, Setback};

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    #[cfg_attr(
        not(feature = "grpc"),
        expect(dead_code, reason = "only gRPC has trailers")
    )]
    pub(super) trailers: HeaderMap,
}

impl Answer {
    /// A header, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Whether a request that met with a setback may have been taken all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was not sent as a whole, or the receiver says that it did not take it.
    Excluded,
    /// Nobody can tell.
    Possible,
}

/// Makes outcomes, none of which tells a secret.
pub(super) struct Verdict<'a> {
    pub(super) secrets: &'a Secrets,
    /// Data points, spans or log records in the request.
    pub(super) items: u64,
}

impl Verdict<'_> {
    /// The receiver took it.
    pub(super) fn delivered(&self, response: ExportResponse) -> Outcome {
        // No receiver can reject more than it was sent, and the account would not add up.
        let rejected = u64::try_from(response.rejected)
            .unwrap_or(0)
            .min(self.items);
        let message = self.secrets.message(&response.message);
        let is_partial = rejected > 0 || !message.is_empty();
        Outcome::Delivered(is_partial.then_some(PartialSuccess { rejected, message }))
    }

    /// The receiver says that it took it, and more that cannot be read.
    pub(super) fn delivered_with(&self, warning: &str) -> Outcome {
        let response = ExportResponse {
            rejected: 0,
            message: warning.to_owned(),
        };
        self.delivered(response)
    }

    pub(super) fn refused(
        &self,
        error_type: impl Into<Cow<'static, str>>,
        message: &str,
    ) -> Outcome {
        let (error_type, message) = (error_type.into(), self.secrets.message(message));
        Outcome::Refused(Refusal {
            error_type,
            message,
        })
    }

    pub(super) fn setback(
        &self,
        error_type: impl Into<Cow<'static, str>>,
        message: &str,
        retry_after: Option<Duration>,
        arrival: Arrival,
    ) -> Outcome {
        let (error_type, message) = (error_type.into(), self.secrets.message(message));
        let may_have_arrived = arrival == Arrival::Possible;
        Outcome::Setback(Setback {
            error_type,
            message,
            retry_after,
            may_have_arrived,
        })
    }

    /// The answer, or what comes out of it, is longer than anybody reads.
    pub(super) fn response_too_large(&self) -> Outcome {
        self.refused("response_too_large", "the answer is longer than 4 MiB")
    }
}

/// The warning that takes the place of an answer.
pub(super) const UNREADABLE: &str = "taken, but the answer is not what OTLP says";
