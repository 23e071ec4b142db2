//! The state machine without a task: a table of decisions, and random histories.

use std::collections::VecDeque;
use std::vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ledger::{QueueOperation, Reason};
use crate::outcome::{Permanent, Retryable};
use crate::pipeline::blocking::{Busy, JobResult};
use crate::pipeline::queue_state::Contents;
use crate::pipeline::send::Delivery;
use crate::pipeline::store::StoreError;
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

fn state(values: Values, contents: Contents, now: Instant) -> PipelineState {
    let settings = PipelineSettings {
        interval: MINUTE,
        timeout: 30 * SECOND,
        batch: u64::MAX,
        is_superseded: values != Values::Events,
        resends_ambiguous: values == Values::Deltas,
    };
    let breaker = Breaker::new(&RetryPolicy::new(), MINUTE);
    PipelineState::new(settings, breaker, QueueState::new(contents, now), now)
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

/// The place of a request after it was sent.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Exported,
    Dropped(Reason),
    /// The source builds its items again.
    Rebuilt,
    /// In memory, to be sent again unchanged.
    InMemory,
    /// It is appended to the persistent queue.
    Stored,
}

/// Sends the first request of a cycle, and returns where it is afterwards.
fn place(values: Values, contents: Contents, delivery: Delivery) -> Place {
    let now = Instant::now();
    let mut state = state(values, contents, now);
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
        is_open: contents != Contents::None,
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
            Effect::Export(ITEMS) => return Place::Exported,
            Effect::Drop(ITEMS, reason) => return Place::Dropped(reason),
            _ => {}
        }
    }
    if let Operation::Run {
        job: Job::Append(_),
        ..
    } = operation
    {
        return Place::Stored;
    }
    match (&state.unacknowledged, state.superseded) {
        (Some(_), 0) => Place::InMemory,
        (None, ITEMS) => Place::Rebuilt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_place_of_a_request_follows_from_its_source_its_delivery_and_the_persistent_queue() {
    use Values::{Deltas, Events, Sums};
    let (none, open) = (Contents::None, Contents::Open(0));
    let unwritable = Contents::Full(0);
    let table = [
        (Sums, none, Delivery::Accepted(None), Place::Exported),
        (Sums, none, refused(), Place::Dropped(Reason::Rejected)),
        (
            Sums,
            none,
            Delivery::TooLarge,
            Place::Dropped(Reason::TooLarge),
        ),
        (
            Sums,
            none,
            Delivery::Panicked,
            Place::Dropped(Reason::Panicked),
        ),
        (Sums, none, undelivered(false), Place::Rebuilt),
        (Sums, none, undelivered(true), Place::Rebuilt),
        (Deltas, none, Delivery::Accepted(None), Place::Exported),
        (Deltas, none, undelivered(false), Place::Rebuilt),
        (Deltas, none, undelivered(true), Place::InMemory),
        (Events, none, Delivery::Accepted(None), Place::Exported),
        (Events, none, undelivered(false), Place::InMemory),
        (Events, none, undelivered(true), Place::InMemory),
        (Sums, open, Delivery::Accepted(None), Place::Exported),
        (Sums, open, refused(), Place::Dropped(Reason::Rejected)),
        (Sums, open, undelivered(false), Place::Stored),
        (Deltas, open, undelivered(true), Place::Stored),
        (Events, open, undelivered(true), Place::Stored),
        (Sums, unwritable, undelivered(false), Place::Rebuilt),
        (Deltas, unwritable, undelivered(true), Place::InMemory),
        (Events, unwritable, undelivered(false), Place::InMemory),
    ];
    for (values, contents, delivery, expected) in table {
        let row = format!("{values:?}, {contents:?}, {delivery:?}");
        assert_eq!(place(values, contents, delivery), expected, "{row}");
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
    let table: [(&str, Contents, bool, Observation, Check<'_>); 10] = [
        ("early", Contents::None, false, early, &waits),
        ("due", Contents::None, false, seen(due), &begins),
        (
            "late",
            Contents::None,
            false,
            late,
            &stage(Stage::Scheduled),
        ),
        (
            "batch",
            Contents::None,
            true,
            early,
            &stage(Stage::Scheduled),
        ),
        (
            "flush",
            Contents::None,
            false,
            flush(early),
            &stage(Stage::Flush),
        ),
        (
            "shutdown",
            Contents::None,
            false,
            shutdown(early),
            &stage(Stage::Final),
        ),
        (
            "shutdown and flush",
            Contents::None,
            true,
            shutdown(flush(late)),
            &stage(Stage::Final),
        ),
        ("busy", Contents::None, false, busy(late), &awaits),
        ("closed queue", Contents::Closed, false, late, &opens),
        (
            "closed queue, busy",
            Contents::Closed,
            false,
            busy(late),
            &awaits,
        ),
    ];
    for (name, contents, is_notified, at, is_expected) in table {
        let mut state = state(Values::Sums, contents, start);
        state.handle(Event::Started { delay: MINUTE }, seen(start));
        let (_, operation) = state.handle(Event::Waited { is_notified }, at);
        assert!(is_expected(&operation), "{name}: {operation:?}");
    }
}

#[test]
fn while_the_receiver_is_unavailable_the_pipeline_rests_until_the_breaker_allows_an_attempt() {
    let start = Instant::now();
    let mut machine = Machine::new(Values::Sums, Contents::None, start, Vec::new());
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
    let mut machine = Machine::new(Values::Events, Contents::Open(ITEMS), start, Vec::new());
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
    let mut machine = Machine::new(Values::Sums, Contents::None, start, Vec::new());
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

/// A simulated task, whose source, receiver, worker and persistent queue act at random.
struct Machine {
    state: PipelineState,
    now: Instant,
    account: Account,
    has_queue: bool,
    queue: VecDeque<Request>,
    /// The number of requests that fit into the queue.
    room: usize,
    /// True if the source has a request that is not acknowledged.
    is_open: bool,
    /// The number of requests that the source has left in this cycle.
    left: u8,
    late: Option<JobResult>,
    has_flush: bool,
    deadline: Option<Instant>,
    accepted: usize,
    is_accounted: bool,
    /// True once the account is closed: what was in memory is lost.
    is_closed: bool,
    choices: vec::IntoIter<u8>,
}

impl Machine {
    fn new(values: Values, contents: Contents, now: Instant, choices: Vec<u8>) -> Self {
        Machine {
            state: state(values, contents, now),
            now,
            account: Account::default(),
            has_queue: contents != Contents::None,
            queue: VecDeque::new(),
            room: 3,
            is_open: false,
            left: 0,
            late: None,
            has_flush: false,
            deadline: None,
            accepted: 0,
            is_accounted: true,
            is_closed: false,
            choices: choices.into_iter(),
        }
    }

    /// Returns true once in `n` random choices, and never when they are used up.
    fn chance(&mut self, n: u8) -> bool {
        self.choices
            .next()
            .is_some_and(|choice| choice % n == n - 1)
    }

    /// Passes an event to the state, and applies the effects.
    fn handle(&mut self, event: Event) -> Operation {
        let seen = Observation {
            now: self.now,
            account: self.account,
            flush: self.has_flush.then(|| self.now + 5 * SECOND),
            shutdown: self.deadline,
            is_busy: self.late.is_some(),
            is_notified: false,
        };
        let (effects, operation) = self.state.handle(event, seen);
        for effect in effects {
            match effect {
                Effect::Produce(items) => self.account.produce(items),
                Effect::Export(items) => self.account.export(items),
                Effect::Drop(items, reason) => self.account.drop_items(items, reason),
                Effect::Accept(CommandKind::Flush) => {
                    self.has_flush = false;
                    self.accepted += 1;
                }
                Effect::Accept(CommandKind::Shutdown) => self.accepted += 1,
                Effect::Answer { .. } => self.accepted = 0,
                Effect::FailCommands => (self.has_flush, self.accepted) = (false, 0),
                Effect::Report(report::Event::Unaccounted { .. }) => self.is_accounted = false,
                _ => {}
            }
        }
        operation
    }

    /// Performs an operation. Returns its result, or `None` at the end.
    fn perform(&mut self, operation: Operation) -> Option<Event> {
        Some(match operation {
            Operation::Wait { until, for_batch } => {
                self.has_flush |= self.chance(5);
                let is_notified = for_batch && self.chance(5);
                if !self.has_flush && !is_notified && self.deadline.is_none() {
                    self.now = self.now.max(until);
                }
                Event::Waited { is_notified }
            }
            // The request is lost.
            Operation::Send { .. } if self.chance(16) => Event::Panicked,
            Operation::Send { request, .. } => {
                self.now += SECOND;
                let delivery = match self.choices.next().unwrap_or_default() % 8 {
                    0..4 => Delivery::Accepted(None),
                    4 => undelivered(false),
                    5 => undelivered(true),
                    6 => refused(),
                    _ => Delivery::Panicked,
                };
                Event::Sent { request, delivery }
            }
            Operation::Run { ack, .. } if self.late.is_some() => {
                assert_eq!(ack, None, "an acknowledgement is lost");
                Event::JobDone(Err(Busy))
            }
            Operation::Run {
                job, ack, until, ..
            } => {
                let result = self.run(job, ack);
                let is_late = self.chance(8);
                if is_late || self.chance(16) {
                    self.late = Some(result);
                    match is_late {
                        true => self.now = self.now.max(until),
                        false => return Some(Event::Panicked),
                    }
                    return Some(Event::JobDone(Err(Busy)));
                }
                Event::JobDone(Ok(result))
            }
            Operation::AwaitJob { until, .. } => match self.late.take() {
                Some(late) if self.chance(4) => {
                    self.now = self.now.max(until);
                    self.late = Some(late);
                    Event::JobDone(Err(Busy))
                }
                late => Event::JobDone(late.ok_or(Busy)),
            },
            Operation::Close { stored } => {
                let lost = self.account.encoded().saturating_sub(stored);
                self.account.drop_items(lost, Reason::Shutdown);
                self.is_closed = true;
                Event::Closed { lost }
            }
            Operation::Stop => return None,
        })
    }

    fn run(&mut self, job: Job, ack: Option<Ack>) -> JobResult {
        if ack.is_some() {
            assert!(self.is_open, "nothing to acknowledge");
            self.is_open = false;
        }
        let mut result = JobResult {
            is_open: self.has_queue,
            ..JobResult::default()
        };
        match job {
            Job::Begin => {
                self.left = self.choices.next().unwrap_or(1) % 4;
                self.build(&mut result);
            }
            Job::Next => self.build(&mut result),
            Job::Append(_) if self.queue.len() >= self.room => result.refused = ITEMS,
            Job::Append(request) if self.chance(8) => {
                result.unwritten = Some(request);
                result.tried[QueueOperation::Write as usize] = Some(Err(StoreError {
                    operation: QueueOperation::Write,
                    error_type: "io",
                    message: "Input/output error".to_owned(),
                }));
            }
            Job::Append(request) => {
                self.queue.push_back(request);
                result.tried[QueueOperation::Write as usize] = Some(Ok(()));
            }
            Job::Oldest => result.request = self.queue.front().cloned(),
            Job::RemoveOldest => {
                self.queue.pop_front();
                result.request = self.queue.front().cloned();
            }
            Job::Sync | Job::Open => {}
        }
        result.pending = self.stored();
        result
    }

    fn build(&mut self, result: &mut JobResult) {
        assert!(
            !self.is_open,
            "a request is built before the last one is acknowledged"
        );
        result.is_new = true;
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.is_open = true;
            result.request = Some(request());
        }
    }

    fn stored(&self) -> u64 {
        self.queue.iter().map(|request| request.items).sum()
    }

    /// Checks the account against where the items are.
    fn check(&self, operation: &Operation) {
        let totals = self.account.totals;
        assert_eq!(totals.produced, totals.settled() + self.account.queued);
        if self.state.is_interrupted || self.late.is_some() {
            return;
        }
        let in_hand = match operation {
            // It is still in the persistent queue.
            Operation::Send { .. }
                if self.state.phase == Phase::Sending(Origin::PersistentQueue) =>
            {
                0
            }
            Operation::Send { request, .. } => request.items,
            Operation::Run {
                job: Job::Append(request),
                ..
            } => request.items,
            // It was delivered.
            Operation::Run {
                job: Job::RemoveOldest,
                ..
            } => return,
            _ => 0,
        };
        let unacknowledged = self.state.unacknowledged.as_ref();
        let in_memory = match self.is_closed {
            true => 0,
            false => unacknowledged.map_or(0, |request| request.items) + self.state.superseded,
        };
        let held = in_hand + in_memory + self.stored();
        assert_eq!(self.account.queued, held, "{operation:?}");
    }
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        Just(Values::Sums),
        Just(Values::Deltas),
        Just(Values::Events)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_account_is_exact_in_random_histories(
        values in values(),
        has_queue in any::<bool>(),
        choices in prop::collection::vec(any::<u8>(), 0..400),
        steps in 1..200_usize,
    ) {
        let contents = match has_queue {
            true => Contents::Open(0),
            false => Contents::None,
        };
        let mut machine = Machine::new(values, contents, Instant::now(), choices);
        let mut event = Event::Started { delay: SECOND };
        let mut step = 0;
        loop {
            let operation = machine.handle(event);
            machine.check(&operation);
            step += 1;
            if step == steps {
                machine.deadline = Some(machine.now + 5 * SECOND);
            }
            match machine.perform(operation) {
                Some(result) => event = result,
                None => break,
            }
            prop_assert!(step < steps + 1000, "it does not end");
        }
        prop_assert!(machine.is_accounted);
        prop_assert_eq!(machine.accepted, 0, "a command is not answered");
        if machine.late.is_none() {
            prop_assert_eq!(machine.account.queued, machine.stored());
        }
    }
}
