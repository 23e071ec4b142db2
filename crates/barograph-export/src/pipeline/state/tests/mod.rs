//! The state machine without a task: tables of decisions, and random histories.

mod machine;
mod decisions;
mod histories;

use bytes::Bytes;

use super::*;
use crate::outcome::{Permanent, Retryable};
use crate::pipeline::queue_state::Availability;
use crate::pipeline::send::Delivery;
use crate::retry::RetryPolicy;
use barograph_encode::otlp::{Encoding, Signal};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const ITEMS: u64 = 10;

/// The kind of values that a source exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    Sums,
    Deltas,
    Events,
}

fn state(values: Values, availability: Availability, now: Instant) -> PipelineState {
    let settings = PipelineSettings {
        interval: MINUTE,
        timeout: 30 * SECOND,
        batch: u64::MAX,
        is_superseded: values != Values::Events,
        resends_ambiguous: values == Values::Deltas,
    };
    let breaker = Breaker::new(&RetryPolicy::new(), MINUTE);
    PipelineState::new(settings, breaker, QueueState::new(availability, now), now)
}

fn seen(now: Instant) -> Observation {
    Observation {
        now,
        account: Account::default(),
        flush: None,
        shutdown: None,
        is_busy: false,
        is_notified: false,
    }
}

fn request() -> Request {
    Request {
        signal: Signal::Metrics,
        encoding: Encoding::Protobuf,
        body: Bytes::new(),
        items: ITEMS,
    }
}

fn undelivered(may_have_arrived: bool) -> Delivery {
    Delivery::Undelivered {
        failure: Retryable {
            error_type: "503".into(),
            message: "busy".into(),
            retry_after: None,
            may_have_arrived,
        },
        is_proof: true,
    }
}

fn refused() -> Delivery {
    Delivery::Refused(Permanent {
        error_type: "400".into(),
        message: "bad data".into(),
    })
}
