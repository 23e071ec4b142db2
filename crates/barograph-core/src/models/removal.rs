//! Loom models of removal: every interleaving of small cases, with the instruments and the registry
//! that run in production. Each has a negative control, in which a [`Step`] is left out.
//!
//! Loom remembers only the last access to each atomic. It does not see that accesses of two threads
//! might be reordered if a third lies between them; so a reader runs after a writer, if nothing comes
//! between. The negative controls show that the cases find the faults they are made for.
//!
//! Most of a case is the work of one thread, in the order that leads to the fault; the operation at
//! risk runs beside it. So a few preemptions are enough, and a model takes seconds.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use barograph_model::snapshot::{FamilyView, Source, Value};
use loom::thread::{self, JoinHandle};

use crate::clock::ManualClock;
use crate::instruments::counter::Counter;
use crate::instruments::family::Family;
use crate::instruments::gauge::Gauge;
use crate::registry::{Registry, set_thread_cell_budget};
use crate::series::exemplar::ExemplarFilter;
use crate::series::thread::end_lease;
use crate::sync::{Ordering, Step, leave_out};

const IDLE: Duration = Duration::from_secs(60);

struct World {
    registry: Registry,
    clock: ManualClock,
    counters: Family<Counter, [&'static str; 1]>,
}

fn model(case: impl Fn(&World) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Two preemptions find every fault in the negative controls; a third takes minutes.
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    let case = Arc::new(case);
    builder.check(move || {
        let case = case.clone();
        // Not on loom's first thread, whose thread-locals are dropped too late.
        let all = spawn(move || run(&*case));
        all.join().expect("no panic");
    });
}

/// Half a megabyte, in words.
const STACK: usize = 1 << 16;

/// Spawns a thread with enough stack for the instruments. Loom's own threads have 32 kilobytes.
fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = thread::Builder::new().stack_size(STACK);
    let thread = builder.spawn(move || {
        let result = f();
        end_lease();
        result
    });
    thread.expect("loom has room for five")
}

fn run(case: &dyn Fn(&World)) {
    let clock = ManualClock::at(0);
    let registry = Registry::builder().with_clock(clock.clone()).build();
    let registry = registry.expect("there are no constant labels");
    let counters = registry.counter("c").with_idle_time_to_live(IDLE);
    let counters = counters
        .build_with_label_names(["k"])
        .expect("the name is legal");
    // Not dropped if the case fails.
    let mut world = ManuallyDrop::new(World {
        registry,
        clock,
        counters,
    });
    case(&world);
    // SAFETY: it is not used again.
    unsafe { ManuallyDrop::drop(&mut world) };
}

/// Reads the labels and numbers that the views show.
fn read(views: &[Arc<dyn FamilyView>]) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for view in views {
        view.read(0, &mut |point| {
            let label = point.labels.iter().next().map_or("", |(_, value)| value);
            let value = match &point.value {
                Value::U64(n) => *n as f64,
                Value::F64(n) => *n,
                Value::Histogram(h) => h.count() as f64,
                _ => panic!("none of these is in the models"),
            };
            all.push((label.to_owned(), value));
        });
    }
    all
}

/// Returns the value of a label in a snapshot.
fn shown(page: &[(String, f64)], label: &str) -> Option<f64> {
    let mut values = page.iter().filter(|(shown, _)| shown == label);
    let value = values.next().map(|(_, value)| *value);
    assert!(values.next().is_none(), "a series stands twice");
    value
}

/// A series is revived while it is in limbo and removed again, and its place is reused for other labels
/// unless something prevents that. A reader reads at the same time.
fn removed_again(budget: u64, remove_again: fn(&World)) {
    model(move |world| {
        set_thread_cell_budget(budget);
        let held = world.counters.with(&["a"]);
        held.inc();
        assert!(world.counters.remove(&["a"]));
        // Moves the series to limbo, which waits for this thread.
        world.registry.collect();
        held.inc();
        let views = world.registry.collect();
        let reader = spawn(move || {
            for (label, value) in read(&views) {
                assert_eq!((&*label, value), ("a", 1.0));
            }
        });
        remove_again(world);
        drop(held);
        world.registry.collect();
        // Takes the place of the first series if that was released.
        world.counters.with(&["b"]).inc();
        reader.join().expect("no panic");
        let page = read(&world.registry.collect());
        assert_eq!(shown(&page, "b"), Some(1.0), "counted under other labels");
    });
}

const BUDGET: u64 = 1 << 20;

fn by_retain(world: &World) {
    world.counters.retain(|_| false);
}

fn by_expiry(world: &World) {
    world.registry.collect();
    world.clock.advance(IDLE);
    world.registry.collect();
}

#[test]
fn a_series_that_came_back_and_is_removed_again_waits_for_its_readers() {
    removed_again(BUDGET, by_retain);
}

#[test]
fn a_series_that_came_back_and_expires_waits_for_its_readers() {
    removed_again(BUDGET, by_expiry);
}

#[test]
fn it_waits_for_readers_without_a_block() {
    removed_again(0, by_retain);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn negative_control_one_that_stays_in_limbo_does_not() {
    leave_out(Step::LeaveLimbo);
    removed_again(BUDGET, by_retain);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn negative_control_one_that_stays_in_limbo_and_expires_does_not() {
    leave_out(Step::LeaveLimbo);
    removed_again(BUDGET, by_expiry);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn negative_control_nothing_waits_for_a_reader_without_a_pin() {
    leave_out(Step::ReaderPin);
    removed_again(BUDGET, by_retain);
}

#[test]
#[should_panic(expected = "counted under other labels")]
fn negative_control_nothing_waits_for_threads_without_a_block_that_are_not_asked() {
    leave_out(Step::WaitForOrphans);
    removed_again(0, by_retain);
}

/// A thread looks up labels and records, while their series is removed and released and its place is
/// reused for other labels.
fn lookup_beside_release(budget: u64) {
    model(move |world| {
        set_thread_cell_budget(budget);
        // Two more series, so that the table grows before the lookup and not beside it.
        for label in ["a", "x", "y"] {
            world.counters.with(&[label]);
        }
        world.registry.collect();
        let recorder = {
            let counters = world.counters.clone();
            spawn(move || counters.with(&["a"]).inc())
        };
        let was_there = world.counters.remove(&["a"]);
        assert!(was_there);
        world.registry.collect();
        world.counters.with(&["b"]).inc();
        recorder.join().expect("no panic");
        let page = read(&world.registry.collect());
        assert_eq!(shown(&page, "b"), Some(1.0), "counted under other labels");
        // Counted before the removal, or after it.
        assert!(matches!(shown(&page, "a"), None | Some(1.0)));
    });
}

#[test]
fn a_lookup_beside_a_release_counts_under_its_own_labels() {
    lookup_beside_release(BUDGET);
}

#[test]
fn a_lookup_of_a_thread_without_a_block_does_so_too() {
    lookup_beside_release(0);
}

#[test]
#[should_panic(expected = "counted under other labels")]
fn negative_control_a_lookup_of_a_thread_without_a_block_that_is_not_asked_does_not() {
    leave_out(Step::WaitForOrphans);
    lookup_beside_release(0);
}

/// A thread looks up labels whose series is in limbo, while another thread still holds it.
fn asked_for_in_limbo() {
    model(|world| {
        let held = world.counters.with(&["a"]);
        assert!(world.counters.remove(&["a"]));
        world.registry.collect();
        let recorder = {
            let counters = world.counters.clone();
            spawn(move || counters.with(&["a"]).inc())
        };
        held.inc();
        drop(held);
        world.registry.collect();
        recorder.join().expect("no panic");
        let page = read(&world.registry.collect());
        assert_eq!(shown(&page, "a"), Some(2.0));
    });
}

#[test]
fn labels_in_limbo_have_one_series() {
    asked_for_in_limbo();
}

#[test]
#[should_panic(expected = "a series stands twice")]
fn negative_control_labels_that_are_not_looked_for_in_limbo_have_two() {
    leave_out(Step::Restore);
    asked_for_in_limbo();
}

/// The last handle of a series in limbo records and is dropped.
fn recorded_through_the_last_handle() {
    model(|world| {
        let held = world.counters.with(&["a"]);
        assert!(world.counters.remove(&["a"]));
        world.registry.collect();
        let last = held.clone();
        drop(held);
        let recorder = spawn(move || last.inc());
        world.registry.collect();
        recorder.join().expect("no panic");
        let page = read(&world.registry.collect());
        assert_eq!(shown(&page, "a"), Some(1.0), "an update was lost");
    });
}

#[test]
fn what_the_last_handle_recorded_is_kept() {
    recorded_through_the_last_handle();
}

#[test]
#[should_panic(expected = "an update was lost")]
fn negative_control_with_the_total_read_before_the_handles_it_is_not() {
    leave_out(Step::HandlesFirst);
    recorded_through_the_last_handle();
}

/// A thread records and another reads an earlier snapshot, while the series is removed.
fn removed_beside_a_reader() {
    model(|world| {
        let counter = world.counters.bind(&["a"]);
        counter.inc();
        let views = world.registry.collect();
        let recorder = spawn(move || counter.inc());
        let reader = spawn(move || shown(&read(&views), "a"));
        world.counters.remove(&["a"]);
        recorder.join().expect("no panic");
        let first = reader.join().expect("no panic").unwrap_or(0.0);
        let second = shown(&read(&world.registry.collect()), "a").unwrap_or(0.0);
        assert!(first + second <= 2.0, "shown in two lives");
    });
}

#[test]
fn no_update_is_shown_in_two_lives() {
    removed_beside_a_reader();
}

#[test]
#[should_panic(expected = "shown in two lives")]
fn negative_control_without_the_barrier_of_the_removal_one_is() {
    leave_out(Step::RemovalBarrier);
    removed_beside_a_reader();
}

#[test]
#[should_panic(expected = "shown in two lives")]
fn negative_control_without_a_second_look_at_the_state_one_is() {
    leave_out(Step::LookAgain);
    removed_beside_a_reader();
}

/// A thread records into a series that is expiring.
fn recorded_while_it_expires() {
    model(|world| {
        let gauges = world.registry.gauge("g").with_idle_time_to_live(IDLE);
        let gauges: Family<Gauge, [&str; 1]> = gauges
            .build_with_label_names(["k"])
            .expect("the name is legal");
        let (counter, gauge) = (world.counters.bind(&["a"]), gauges.bind(&["b"]));
        counter.add(5);
        gauge.set(5.0);
        world.registry.collect();
        world.clock.advance(IDLE);
        let recorder = spawn(move || {
            counter.inc();
            gauge.add(2.0);
        });
        world.registry.collect();
        recorder.join().expect("no panic");
        let page = read(&world.registry.collect());
        // Either the series expired first and was revived, or it was not idle.
        let counted = shown(&page, "a");
        assert!(matches!(counted, Some(1.0 | 6.0)), "an update was lost");
        let set = shown(&page, "b");
        assert!(matches!(set, Some(2.0 | 7.0)), "an update was lost");
    });
}

#[test]
fn what_is_recorded_while_a_series_expires_is_kept() {
    recorded_while_it_expires();
}

#[test]
#[should_panic(expected = "an update was lost")]
fn negative_control_with_the_total_not_compared_again_it_is_not() {
    leave_out(Step::CompareTotal);
    recorded_while_it_expires();
}

#[test]
fn a_series_is_promoted_while_others_add_and_a_reader_reads() {
    model(|world| {
        let counter = world.counters.bind(&["a"]);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                spawn(move || {
                    for _ in 0..3 {
                        counter.inc();
                    }
                })
            })
            .collect();
        let (first, second) = (counter.get(), counter.get());
        assert!(first <= second && second <= 6, "a sum never goes back");
        for thread in threads {
            thread.join().expect("no panic");
        }
        // A thread that found the lock taken did not promote.
        counter.add(1);
        counter.add(1);
        assert_eq!(counter.get(), 8);
        let slot = world.counters.slot_of(&["a"]);
        assert_ne!(slot, 0, "it was promoted");
    });
}

/// A series is promoted while the exemplar filter is opened.
fn promoted_while_it_is_watched() {
    model(|world| {
        let counter = world.counters.bind(&["a"]);
        let handle = counter.handle();
        let registry = world.registry.clone();
        let watcher = spawn(move || registry.set_exemplar_filter(ExemplarFilter::AlwaysOn));
        handle.storage().promote(handle.series());
        watcher.join().expect("no panic");
        let slot = handle.series().hot.load(Ordering::Relaxed);
        assert_eq!(slot, 0, "what is recorded is no exemplar");
    });
}

#[test]
fn a_series_that_is_promoted_while_the_filter_opens_has_exemplars() {
    promoted_while_it_is_watched();
}

#[test]
#[should_panic(expected = "what is recorded is no exemplar")]
fn negative_control_one_that_is_promoted_without_the_lock_has_none() {
    leave_out(Step::PromotionLock);
    promoted_while_it_is_watched();
}

/// A slot in whose cell this thread has counted is given back and taken by another series, into which
/// this thread then counts.
fn a_slot_used_again() {
    model(|world| {
        let b = world.counters.bind(&["b"]);
        for _ in 0..3 {
            world.counters.with(&["a"]).inc();
        }
        let slot = world.counters.slot_of(&["a"]);
        assert_ne!(slot, 0, "it was promoted");
        assert!(world.counters.remove(&["a"]));
        let other = {
            let (registry, b) = (world.registry.clone(), b.clone());
            spawn(move || {
                registry.collect();
                b.handle().storage().promote(b.handle().series());
            })
        };
        b.inc();
        other.join().expect("no panic");
        assert_eq!(world.counters.slot_of(&["b"]), slot);
        assert_eq!(b.get(), 1, "not from zero");
    });
}

#[test]
fn a_slot_that_is_given_back_begins_at_zero_for_its_next_series() {
    a_slot_used_again();
}

#[test]
#[should_panic(expected = "not from zero")]
fn negative_control_a_slot_published_without_order_does_not() {
    leave_out(Step::PublishSlot);
    a_slot_used_again();
}
