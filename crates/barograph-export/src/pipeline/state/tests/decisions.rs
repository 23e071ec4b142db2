//! Tables of decisions, and single histories.

use super::machine::Machine;
use super::*;
use crate::ledger::Reason;
use crate::pipeline::blocking::{Busy, JobResult};

/// The state of a request after it was sent.
#[derive(Debug, PartialEq, Eq)]
enum RequestState {
    Exported,
    Dropped(Reason),
    /// The source builds its items again.
    Rebuilt,
    /// In memory, to be sent again unchanged.
    InMemory,
    /// It is appended to the persistent queue.
    Stored,
}

/// Sends the first request of a cycle, and returns its state afterwards.
fn state_after(values: Values, availability: Availability, delivery: Delivery) -> RequestState {
    let now = Instant::now();
    let mut state = state(values, availability, now);
    let (_, operation) = state.handle(Event::Started { delay: SECOND }, seen(now));
    assert!(matches!(operation, Operation::Wait { until, .. } if until == now + SECOND));
    let mut at = seen(now + SECOND);
    let (_, operation) = state.handle(Event::Waited { is_notified: false }, at);
    assert!(matches!(
        operation,
        Operation::Run {
            job: Job::Begin,
            ..
        }
    ));
    let built = JobResult {
        request: Some(request()),
        is_new: true,
        is_open: availability != Availability::None,
        ..JobResult::default()
    };
    let (effects, operation) = state.handle(Event::JobDone(Ok(built)), at);
    assert!(effects.contains(&Effect::Produce(ITEMS)));
    at.account.produce(ITEMS);
    let Operation::Send { request, .. } = operation else {
        panic!("{operation:?}");
    };
    let (effects, operation) = state.handle(Event::Sent { request, delivery }, at);
    for effect in effects {
        match effect {
            Effect::Export(ITEMS) => return RequestState::Exported,
            Effect::Drop(ITEMS, reason) => return RequestState::Dropped(reason),
            _ => {}
        }
    }
    if let Operation::Run {
        job: Job::Append(_),
        ..
    } = operation
    {
        return RequestState::Stored;
    }
    match (&state.unacknowledged, state.superseded) {
        (Some(_), 0) => RequestState::InMemory,
        (None, ITEMS) => RequestState::Rebuilt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_place_of_a_request_follows_from_its_source_its_delivery_and_the_persistent_queue() {
    use Values::{Deltas, Events, Sums};
    let (none, open) = (Availability::None, Availability::Open(0));
    let unwritable = Availability::Full(0);
    let table = [
        (Sums, none, Delivery::Accepted(None), RequestState::Exported),
        (
            Sums,
            none,
            refused(),
            RequestState::Dropped(Reason::Rejected),
        ),
        (
            Sums,
            none,
            Delivery::TooLarge,
            RequestState::Dropped(Reason::TooLarge),
        ),
        (
            Sums,
            none,
            Delivery::Panicked,
            RequestState::Dropped(Reason::Panicked),
        ),
        (Sums, none, undelivered(false), RequestState::Rebuilt),
        (Sums, none, undelivered(true), RequestState::Rebuilt),
        (
            Deltas,
            none,
            Delivery::Accepted(None),
            RequestState::Exported,
        ),
        (Deltas, none, undelivered(false), RequestState::Rebuilt),
        (Deltas, none, undelivered(true), RequestState::InMemory),
        (
            Events,
            none,
            Delivery::Accepted(None),
            RequestState::Exported,
        ),
        (Events, none, undelivered(false), RequestState::InMemory),
        (Events, none, undelivered(true), RequestState::InMemory),
        (Sums, open, Delivery::Accepted(None), RequestState::Exported),
        (
            Sums,
            open,
            refused(),
            RequestState::Dropped(Reason::Rejected),
        ),
        (Sums, open, undelivered(false), RequestState::Stored),
        (Deltas, open, undelivered(true), RequestState::Stored),
        (Events, open, undelivered(true), RequestState::Stored),
        (Sums, unwritable, undelivered(false), RequestState::Rebuilt),
        (
            Deltas,
            unwritable,
            undelivered(true),
            RequestState::InMemory,
        ),
        (
            Events,
            unwritable,
            undelivered(false),
            RequestState::InMemory,
        ),
    ];
    for (values, availability, delivery, expected) in table {
        let row = format!("{values:?}, {availability:?}, {delivery:?}");
        assert_eq!(
            state_after(values, availability, delivery),
            expected,
            "{row}"
        );
    }
}

#[test]
fn the_next_operation_follows_from_the_time_the_commands_and_the_notification() {
    let start = Instant::now();
    let due = start + MINUTE;
    let flush = |mut at: Observation| {
        at.flush = Some(at.now + SECOND);
        at
    };
    let shutdown = |mut at: Observation| {
        at.shutdown = Some(at.now + SECOND);
        at
    };
    let busy = |mut at: Observation| {
        at.is_busy = true;
        at
    };
    let begins = |operation: &Operation| {
        matches!(
            operation,
            Operation::Run {
                job: Job::Begin,
                ..
            }
        )
    };
    type Check<'a> = &'a dyn Fn(&Operation) -> bool;
    let stage = |expected: Stage| move |operation: &Operation| matches!(operation, Operation::Run { job: Job::Begin, stage, .. } if *stage == expected);
    let waits = |operation: &Operation| matches!(operation, Operation::Wait { until, for_batch: true } if *until == due);
    let awaits = |operation: &Operation| matches!(operation, Operation::AwaitJob { .. });
    let opens = |operation: &Operation| matches!(operation, Operation::Run { job: Job::Open, .. });
    let early = seen(start + SECOND / 2);
    let late = seen(due + SECOND);
    let table: [(&str, Availability, bool, Observation, Check<'_>); 10] = [
        ("early", Availability::None, false, early, &waits),
        ("due", Availability::None, false, seen(due), &begins),
        (
            "late",
            Availability::None,
            false,
            late,
            &stage(Stage::Scheduled),
        ),
        (
            "batch",
            Availability::None,
            true,
            early,
            &stage(Stage::Scheduled),
        ),
        (
            "flush",
            Availability::None,
            false,
            flush(early),
            &stage(Stage::Flush),
        ),
        (
            "shutdown",
            Availability::None,
            false,
            shutdown(early),
            &stage(Stage::Final),
        ),
        (
            "shutdown and flush",
            Availability::None,
            true,
            shutdown(flush(late)),
            &stage(Stage::Final),
        ),
        ("busy", Availability::None, false, busy(late), &awaits),
        ("closed queue", Availability::Closed, false, late, &opens),
        (
            "closed queue, busy",
            Availability::Closed,
            false,
            busy(late),
            &awaits,
        ),
    ];
    for (name, availability, is_notified, at, is_expected) in table {
        let mut state = state(Values::Sums, availability, start);
        state.handle(Event::Started { delay: MINUTE }, seen(start));
        let (_, operation) = state.handle(Event::Waited { is_notified }, at);
        assert!(is_expected(&operation), "{name}: {operation:?}");
    }
}

#[test]
fn while_the_receiver_is_unavailable_the_pipeline_rests_until_the_breaker_allows_an_attempt() {
    let start = Instant::now();
    let mut machine = Machine::new(Values::Sums, Availability::None, start, Vec::new());
    let mut waits = Vec::new();
    let mut event = Event::Started {
        delay: Duration::ZERO,
    };
    while waits.len() < 6 {
        let operation = machine.handle(event);
        event = match operation {
            Operation::Wait { until, for_batch } => {
                waits.push((
                    until.saturating_duration_since(machine.now).as_secs(),
                    for_batch,
                ));
                machine.now = machine.now.max(until);
                Event::Waited { is_notified: false }
            }
            Operation::Send { request, .. } => Event::Sent {
                request,
                delivery: undelivered(false),
            },
            operation => machine.perform(operation).unwrap(),
        };
    }
    let expected = [
        (0, true),
        (60, false),
        (120, false),
        (240, false),
        (300, false),
        (300, false),
    ];
    assert_eq!(waits, expected);
}

#[test]
fn a_delivered_request_that_is_not_removed_in_time_at_shutdown_is_exported_and_nothing_is_lost() {
    let start = Instant::now();
    let mut machine = Machine::new(Values::Events, Availability::Open(ITEMS), start, Vec::new());
    machine.account.produce(ITEMS);
    machine.queue.push_back(request());
    machine.deadline = Some(start + SECOND);
    let mut event = Event::Started {
        delay: Duration::ZERO,
    };
    loop {
        let operation = machine.handle(event);
        let is_removal = matches!(
            operation,
            Operation::Run {
                job: Job::RemoveOldest,
                ..
            }
        );
        let Some(result) = machine.perform(operation) else {
            break;
        };
        event = match result {
            Event::JobDone(Ok(result)) if is_removal => {
                machine.late = Some(result);
                Event::JobDone(Err(Busy))
            }
            result => result,
        };
    }
    let totals = machine.account.totals;
    assert_eq!((totals.produced, totals.exported), (ITEMS, ITEMS));
    assert!(machine.is_accounted);
}

#[test]
fn a_pipeline_that_panics_is_restarted_after_growing_pauses() {
    let start = Instant::now();
    let mut machine = Machine::new(Values::Sums, Availability::None, start, Vec::new());
    machine.handle(Event::Started {
        delay: Duration::ZERO,
    });
    let mut pauses = Vec::new();
    for _ in 0..11 {
        let Operation::Wait { until, for_batch } = machine.handle(Event::Panicked) else {
            panic!("no pause");
        };
        assert!(!for_batch);
        pauses.push((until - machine.now).as_secs());
        machine.handle(Event::Waited { is_notified: false });
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    // It ran for long without a panic.
    machine.now += 300 * SECOND;
    let operation = machine.handle(Event::Panicked);
    let first = machine.now + SECOND;
    assert!(matches!(operation, Operation::Wait { until, .. } if until == first));
}
