//! Records that are taken from a queue: each of them once, whatever happens to the receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use barograph_core::record_queue::RecordQueue;
use barograph_model::snapshot::{Source as _, Value};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::harness::{Behavior, Harness, MINUTE, MemoryQueue, SECOND, Values};
use super::numbers::{BATCH, Ranges, arrived, pipeline, push};
use crate::pipeline::Store as _;
use crate::{Event, Ledger, LedgerSource, Reason, RecordSource, Schedule, Target, Unfinished};
use barograph_encode::otlp::Signal;

const MILLI: Duration = Duration::from_millis(1);

fn harness(script: impl FnMut(usize) -> Behavior + Send + 'static) -> Harness {
    Harness::new(Values::Events, script)
}

/// Returns a schedule whose regular cycles are a year apart.
fn rarely() -> Schedule {
    Schedule::new().with_interval(Duration::MAX)
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_is_sent_at_once_and_a_smaller_one_waits_for_the_cycle() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(100));
    let (handle, _task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    push(&queue, 9);
    sleep(MINUTE).await;
    assert_eq!(harness.attempts(), 0);
    assert_eq!(harness.ledger.queued(), 9);
    push(&queue, 1);
    sleep(10 * MILLI).await;
    assert_eq!(harness.texts(), ["0:0:0:10"]);
    // All of these are sent, including the last ones, which are less than a batch.
    push(&queue, 25);
    sleep(20 * MILLI).await;
    assert_eq!(
        harness.texts()[1..],
        ["10:0:10:20", "20:0:20:30", "30:0:30:35"]
    );
    push(&queue, 3);
    sleep(MINUTE).await;
    assert_eq!(harness.attempts(), 4);
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    assert_eq!(arrived(&harness).len(), 38);
    assert_eq!(harness.totals().exported, 38);
}

#[tokio::test(start_paused = true)]
async fn records_that_arrive_during_a_cycle_are_sent() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(100));
    let (_handle, _task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    // A request takes 5 ms.
    for _ in 0..400 {
        push(&queue, 1);
        sleep(MILLI / 3).await;
    }
    sleep(SECOND).await;
    assert!(queue.len() < BATCH, "{} wait", queue.len());
    assert_eq!(queue.counts().refused(), 0);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn batches_that_never_cease_to_wait_are_sent_one_after_the_other() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(60));
    let (_handle, _task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    // One notification is enough: from then on, more than a batch waits at all times, for a second.
    for _ in 0..200 {
        push(&queue, if queue.len() < 30 { 30 } else { 0 });
        sleep(5 * MILLI).await;
    }
    assert!(harness.totals().exported > 1000, "{:?}", harness.totals());
    sleep(SECOND).await;
    assert!(queue.len() < BATCH);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_day_drops_only_what_exceeds_the_queue() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let harness = harness(move |_| match up.load(Ordering::Relaxed) {
        true => Behavior::Accept,
        false => Behavior::Retryable(None),
    });
    let (queue, mut most) = (RecordQueue::new(200), 0);
    let schedule = Schedule::new().with_interval(5 * SECOND);
    let (handle, task) = harness.run(pipeline(&harness, &queue).with_schedule(schedule));
    for _ in 0..24 * 3600 {
        push(&queue, 3);
        most = most.max(queue.len());
        sleep(SECOND).await;
        harness.totals();
    }
    // There is an attempt every five minutes: notifications do not cause any.
    assert!(
        (280..310).contains(&harness.attempts()),
        "{}",
        harness.attempts()
    );
    assert_eq!(most, 200);
    let accepted = queue.counts().accepted;
    assert!(
        accepted <= 200 + 2 * BATCH as u64,
        "{accepted} were taken in"
    );
    assert_eq!(harness.ledger.queued(), accepted);
    assert_eq!(harness.dropped(Reason::QueueFull), 3 * 24 * 3600 - accepted);
    is_up.store(true, Ordering::Relaxed);
    sleep(6 * MINUTE).await;
    assert_eq!(arrived(&harness), Vec::from_iter(0..accepted));
    let dropped = harness.totals().dropped_in_all();
    assert_eq!(dropped, harness.dropped(Reason::QueueFull));
    let events = harness.events();
    let [
        Event::Unavailable { .. },
        Event::QueueFull { .. },
        Event::Recovered {
            dropped: reported, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(*reported, dropped);
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert_eq!(harness.totals().produced, 3 * 24 * 3600);
}

#[tokio::test(start_paused = true)]
async fn a_flush_under_load_brings_what_was_there_and_ends() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(500));
    let (handle, _task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    let load = tokio::spawn({
        let queue = queue.clone();
        async move {
            loop {
                push(&queue, 2);
                sleep(MILLI).await;
            }
        }
    });
    for _ in 0..20 {
        sleep(33 * MILLI).await;
        let before = queue.counts().accepted;
        let began = Instant::now();
        assert_eq!(handle.flush_async(10 * SECOND).await, Ok(()));
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
        let arrived = arrived(&harness);
        assert!(arrived.len() as u64 >= before, "{before} were there");
        harness.totals();
    }
    load.abort();
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_complete_though_the_queue_was_full() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(30));
    let (handle, _task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    push(&queue, 50);
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    assert_eq!(harness.totals().exported, 30);
    assert_eq!(harness.dropped(Reason::QueueFull), 20);
    let expected = Event::QueueFull {
        items: 20,
        total: 20,
    };
    assert_eq!(harness.events(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_reports_the_records_dropped_since_the_last_report() {
    let full = |items, total| Event::QueueFull { items, total };
    for (then, at_the_end, expected) in [
        (0, 0, vec![full(20, 20)]),
        (45, 0, vec![full(20, 20), full(15, 35)]),
        (0, 37, vec![full(20, 20), full(7, 27)]),
        (45, 37, vec![full(20, 20), full(22, 42)]),
    ] {
        let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(30));
        let (handle, task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
        for count in [50, then] {
            push(&queue, count);
            assert_eq!(handle.flush_async(SECOND).await, Ok(()));
        }
        push(&queue, at_the_end);
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        assert_eq!(harness.events(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_was_first_full_at_shutdown_is_reported_once() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(30));
    let (handle, task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    push(&queue, 50);
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let expected = Event::QueueFull {
        items: 20,
        total: 20,
    };
    assert_eq!(harness.events(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_all_that_waits() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(100));
    let (handle, task) = harness.run(pipeline(&harness, &queue).with_schedule(rarely()));
    push(&queue, 95);
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert_eq!(harness.totals().exported, 95);
    assert_eq!(harness.events(), []);
    // These come after the shutdown.
    push(&queue, 5);
    assert_eq!(harness.totals().produced, 100);
    assert_eq!(harness.dropped(Reason::Shutdown), 5);
    assert_eq!(harness.dropped(Reason::QueueFull), 0);
}

#[tokio::test(start_paused = true)]
async fn records_left_in_the_queue_at_shutdown_are_accounted_for() {
    for (behavior, expected) in [
        (Behavior::Hang, "no response"),
        (Behavior::Retryable(None), "busy"),
    ] {
        let harness = harness(move |_| behavior.clone());
        let queue = RecordQueue::new(100);
        let (handle, task) = harness.run(pipeline(&harness, &queue));
        push(&queue, 95);
        let began = Instant::now();
        assert_eq!(
            handle.shutdown_async(2 * SECOND).await,
            Err(Unfinished::Undelivered)
        );
        assert!(began.elapsed() <= 2 * SECOND);
        task.await.unwrap();
        assert_eq!(harness.ledger.queued(), 0);
        assert_eq!(harness.dropped(Reason::Shutdown), 95);
        assert_eq!(queue.len(), 0, "the queue is closed and empty");
        let events = harness.events();
        let Some(Event::LostAtShutdown { items: 95, message }) = events.last() else {
            panic!("{events:?}")
        };
        assert!(message.contains(expected), "{message}");
        push(&queue, 1);
        assert_eq!(harness.totals().produced, 96);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_persistent_queue_an_outage_costs_no_record() {
    let harness = harness(|_| Behavior::Retryable(None));
    // The queue has room for what arrives during the time limit of a request.
    let (queue, memory) = (RecordQueue::new(150), MemoryQueue::default());
    let pipeline = pipeline(&harness, &queue).with_store(Box::new(memory.clone()));
    let schedule = Schedule::new().with_interval(5 * SECOND);
    let (handle, task) = harness.run(pipeline.with_schedule(schedule));
    for _ in 0..3600 {
        push(&queue, 12);
        sleep(SECOND).await;
    }
    assert_eq!(queue.counts().refused(), 0);
    // Notifications cause writes to the persistent queue, not attempts to send.
    assert!(harness.attempts() < 30, "{}", harness.attempts());
    assert!(memory.lock().requests.len() > 3600);
    harness.totals();
    memory.check();
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert_eq!(arrived(&harness), Vec::from_iter(0..12 * 3600));
    assert_eq!(harness.totals().dropped_in_all(), 0);
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn a_record_too_large_is_dropped_alone() {
    let (harness, queue) = (harness(|_| Behavior::Accept), RecordQueue::new(100));
    let source = RecordSource::new(queue.clone(), Ranges { too_large: 15 });
    let (handle, _task) = harness.run(harness.pipeline_of(source).with_schedule(rarely()));
    push(&queue, 35);
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (35, 32));
    assert_eq!(harness.dropped(Reason::TooLarge), 3);
    assert!(matches!(
        harness.events()[..],
        [Event::TooLarge { bytes: 5000, .. }]
    ));
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Wait(u64),
    Flush(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..60_u64).prop_map(Step::Push),
        3 => (1..90_000_u64).prop_map(Step::Wait),
        1 => (1..30_u64).prop_map(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_record_has_one_fate_whatever_the_receiver_does(
        behaviors in prop::collection::vec(super::random_histories::behavior(), 1..40),
        steps in prop::collection::vec(step(), 1..30),
        capacity in 1..80_usize,
        persistent_queue in prop::option::of(0..6_usize),
        too_large in prop_oneof![3 => Just(0), 1 => 7..40_u64],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(behaviors, steps, capacity, persistent_queue, too_large));
    }
}

async fn check(
    behaviors: Vec<Behavior>,
    steps: Vec<Step>,
    capacity: usize,
    room: Option<usize>,
    too_large: u64,
) {
    let script = behaviors.clone();
    let harness = harness(move |nth| script.get(nth).cloned().unwrap_or(Behavior::Accept));
    let (queue, memory) = (RecordQueue::new(capacity), MemoryQueue::default());
    let source = RecordSource::new(queue.clone(), Ranges { too_large });
    let schedule = Schedule::new().with_interval(5 * SECOND);
    let mut pipeline = harness.pipeline_of(source).with_schedule(schedule);
    if let Some(room) = room {
        memory.lock().room = room;
        pipeline = pipeline.with_store(Box::new(memory.clone()));
    }
    let (handle, task) = harness.run(pipeline);
    let mut pushed = 0;
    for step in steps {
        match step {
            Step::Push(count) => {
                push(&queue, count);
                pushed += count;
            }
            Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
            Step::Flush(limit) => {
                let _ = handle.flush_async(Duration::from_secs(limit)).await;
            }
        }
        assert_eq!(harness.totals().produced, pushed);
    }
    let _ = handle.shutdown_async(5 * SECOND).await;
    task.await.unwrap();
    let totals = harness.totals();
    memory.check();
    assert_eq!(harness.ledger.queued(), memory.contents().pending);
    assert_eq!(harness.dropped(Reason::QueueFull), queue.counts().refused());
    assert_eq!(harness.dropped(Reason::Superseded), 0);
    let events = harness.events();
    let reported = events.iter().map(|event| match event {
        Event::QueueFull { items, .. } => *items,
        _ => 0,
    });
    assert_eq!(reported.sum::<u64>(), queue.counts().refused());
    let is_unaccounted = |event: &Event| matches!(event, Event::Unaccounted { .. });
    assert!(!events.iter().any(is_unaccounted), "{events:?}");
    // A request may arrive without an answer, and then is not exported. No record is in two requests.
    let arrived = arrived(&harness).len() as u64;
    assert!(arrived >= totals.exported, "{totals:?}");
}

#[test]
fn the_account_balances_at_every_moment_concurrently() {
    let ledger = Ledger::new(Signal::Traces, "test", &Target::default());
    let queue = RecordQueue::new(64);
    ledger.attach(queue.handle());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| push(&queue, 20_000)))
            .collect();
        scope.spawn(|| {
            let mut taken = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                queue.pop_into(&mut taken, 10);
                let items = taken.drain(..).count() as u64;
                ledger.produce(items);
                ledger.export(items / 2);
                ledger.drop(items - items / 2, Reason::Rejected);
            }
        });
        scope.spawn(|| {
            let mut before = 0;
            while !is_over.load(Ordering::Relaxed) {
                let (totals, queued) = ledger.balance();
                assert_eq!(totals.produced, totals.settled() + queued);
                assert!(totals.produced >= before);
                before = totals.produced;
            }
        });
        for pusher in pushers {
            pusher.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    ledger.end(0);
    let (totals, queued) = ledger.balance();
    assert_eq!((totals.produced, queued), (40_000, 0));
    assert_eq!(totals.settled(), 40_000);
}

/// Returns the values of a family, by the value of `error.type`.
fn shown(ledger: &Ledger, name: &str) -> Vec<(String, u64)> {
    let mut shown = Vec::new();
    for family in LedgerSource::new([ledger.clone()]).collect() {
        if &*family.descriptor().name != name {
            continue;
        }
        family.read(0, &mut |point| {
            let error = point.labels.iter().find(|(name, _)| *name == "error.type");
            let Value::U64(value) = point.value else {
                panic!("{:?}", point.value);
            };
            shown.push((error.map_or("", |(_, error)| error).to_owned(), value));
        });
    }
    shown
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_shown_as_the_conventions_name_it() {
    let target = Target {
        component_type: "otlp_http_span_exporter",
        ..Target::default()
    };
    let ledger = Ledger::new(Signal::Traces, "test", &target);
    let queue = RecordQueue::new(30);
    ledger.attach(queue.handle());
    push(&queue, 35);
    let mut taken = Vec::new();
    queue.pop_into(&mut taken, 10);
    ledger.produce(10);
    let of = |name: &str| shown(&ledger, &format!("otel.sdk.processor.span.{name}"));
    let row = |error: &str, value| (error.to_owned(), value);
    assert_eq!(of("queue.size"), [row("", 20)]);
    assert_eq!(of("queue.capacity"), [row("", 30)]);
    let processed = [
        row("", 10),
        row("queue_full", 5),
        row("already_shutdown", 0),
    ];
    assert_eq!(of("processed"), processed);
    assert_eq!(ledger.end(0), 30);
    let processed = [
        row("", 10),
        row("queue_full", 5),
        row("already_shutdown", 20),
    ];
    assert_eq!(of("processed"), processed);
    assert_eq!(of("queue.size"), [row("", 0)]);
    // Collection is measured for metric readers only.
    let collection = "otel.sdk.metric_reader.collection.duration";
    assert_eq!(shown(&ledger, collection), []);
}
