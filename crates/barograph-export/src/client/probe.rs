//! A request without items, by which a tool finds out if a receiver takes what is sent to it.

use std::time::{Duration, SystemTime};

use barograph_encode::otlp::Request;
use http::{HeaderMap, StatusCode, header};

use super::{Client, Protocol, suppressed};
use crate::outcome::Outcome;

/// The answer of a receiver to a request without items.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The outcome, as for a request with items.
    pub outcome: Outcome,
    /// The HTTP status, if there was a response. Over gRPC a failed call has the status 200 as well.
    pub status: Option<u16>,
    /// The difference between the receiver's clock, by its `Date` header, and that of this machine.
    pub clock: Option<ClockDifference>,
}

/// The difference between two clocks. It is known up to a second, and the time that the request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockDifference {
    /// The receiver's clock is ahead by this much at least; 0 if none can be told.
    Ahead(Duration),
    /// The receiver's clock is behind by this much at least.
    Behind(Duration),
}

/// The head of a response, as far as a probe needs it.
pub(super) struct Head {
    status: StatusCode,
    date: Option<SystemTime>,
}

impl Head {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let date = headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok());
        Head {
            status,
            date: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        }
    }
}

impl ClockDifference {
    /// Returns the least difference by which a response could have this date, which has whole seconds, if
    /// the request was sent and answered at these times.
    fn of(date: SystemTime, sent: SystemTime, answered: SystemTime) -> Self {
        let end_of_date = date.checked_add(Duration::from_secs(1)).unwrap_or(date);
        match (
            date.duration_since(answered),
            sent.duration_since(end_of_date),
        ) {
            (Ok(ahead), _) => ClockDifference::Ahead(ahead),
            (_, Ok(behind)) => ClockDifference::Behind(behind),
            _ => ClockDifference::Ahead(Duration::ZERO),
        }
    }
}

impl Client {
    /// Sends a request without items once. There is no time limit: the caller sets one.
    pub async fn probe(&mut self) -> Probe {
        let protocol = self.settings.endpoint.protocol;
        let body: &'static [u8] = match protocol {
            // A message without fields has no bytes.
            Protocol::Grpc | Protocol::HttpProtobuf => b"",
            Protocol::HttpJson => b"{}",
            Protocol::Zipkin => b"[]",
        };
        let request = Request {
            signal: self.signal,
            encoding: protocol.encoding(),
            body: body.into(),
            items: 0,
        };
        let sent = SystemTime::now();
        let (outcome, head) = suppressed::Suppressed::new(self.attempt(&request)).await;
        let answered = SystemTime::now();
        let date = head.as_ref().and_then(|head| head.date);
        Probe {
            outcome,
            status: head.map(|head| head.status.as_u16()),
            clock: date.map(|date| ClockDifference::of(date, sent, answered)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_as_small_as_the_date_allows() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let (sent, answered) = (at(100_900), at(101_300));
        for (date, expected) in [
            (at(100_000), ClockDifference::Ahead(Duration::ZERO)),
            (at(101_000), ClockDifference::Ahead(Duration::ZERO)),
            (
                at(102_000),
                ClockDifference::Ahead(Duration::from_millis(700)),
            ),
            (
                at(99_000),
                ClockDifference::Behind(Duration::from_millis(900)),
            ),
            (
                at(0),
                ClockDifference::Behind(Duration::from_millis(99_900)),
            ),
        ] {
            assert_eq!(
                ClockDifference::of(date, sent, answered),
                expected,
                "{date:?}"
            );
        }
    }
}
