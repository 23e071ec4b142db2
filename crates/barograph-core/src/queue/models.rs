//! Loom models of the queue: every interleaving of small cases.

use loom::sync::Arc;
use loom::thread;

use super::{Counts, Queue, Refused};
use crate::sync::{AtomicU32, Ordering};

fn model(case: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(case);
}

/// Takes the values that are left after all threads are done.
fn rest<T>(queue: &Queue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn what_two_push_two_pop_once() {
    model(|| {
        let queue = Arc::new(Queue::new(2));
        let pushers: Vec<_> = (0..2)
            .map(|value| {
                let queue = queue.clone();
                thread::spawn(move || queue.push(Box::new(value)).expect("there is room"))
            })
            .collect();
        let popper = {
            let queue = queue.clone();
            thread::spawn(move || queue.pop())
        };
        for pusher in pushers {
            pusher.join().expect("no panic");
        }
        let mut values: Vec<_> = popper.join().expect("no panic").into_iter().collect();
        values.extend(rest(&queue));
        values.sort();
        assert_eq!(values, [Box::new(0), Box::new(1)]);
        assert_eq!((queue.counts().accepted, queue.counts().taken), (2, 2));
    });
}

#[test]
fn what_is_pushed_once_two_do_not_pop() {
    model(|| {
        let queue = Arc::new(Queue::new(2));
        queue.push(Box::new(0)).expect("there is room");
        queue.push(Box::new(1)).expect("there is room");
        let poppers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || queue.pop())
            })
            .collect();
        let mut values: Vec<_> = poppers
            .into_iter()
            .map(|popper| popper.join().expect("no panic").expect("there are two"))
            .collect();
        values.sort();
        assert_eq!(values, [Box::new(0), Box::new(1)]);
    });
}

#[test]
fn places_are_used_again_within_the_bound() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        queue.push(Box::new(0)).expect("there is room");
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || (1..3).filter(|n| queue.push(Box::new(*n)).is_ok()).count())
        };
        let popper = {
            let queue = queue.clone();
            thread::spawn(move || {
                let first = queue.pop();
                assert!(queue.len() <= 1);
                first.into_iter().chain(queue.pop()).collect::<Vec<_>>()
            })
        };
        let accepted = pusher.join().expect("no panic");
        let mut values = popper.join().expect("no panic");
        values.extend(rest(&queue));
        assert_eq!(values.len(), 1 + accepted);
        assert!(values.is_sorted(), "in the order in which they were pushed");
        let expected = Counts {
            accepted: 1 + accepted as u64,
            taken: 1 + accepted as u64,
            refused_full: 2 - accepted as u64,
            refused_closed: 0,
        };
        assert_eq!(queue.counts(), expected);
    });
}

/// A value is handed over with this ordering, while another thread pops it.
fn hand_over(order: Ordering) {
    model(move || {
        let queue = Arc::new(Queue::new(2));
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push_with(7, order).expect("there is room"))
        };
        let popper = thread::spawn({
            let queue = queue.clone();
            move || assert!(queue.pop().is_none_or(|value| value == 7))
        });
        pusher.join().expect("no panic");
        popper.join().expect("no panic");
    });
}

#[test]
fn a_value_is_there_when_its_place_is_full() {
    // Release: pairs with the Acquire in `pop`.
    hand_over(Ordering::Release);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn negative_control_a_value_handed_over_without_order_is_read_too_soon() {
    hand_over(Ordering::Relaxed);
}

#[test]
fn nothing_is_accepted_after_the_queue_was_closed() {
    model(|| {
        let queue = Arc::new(Queue::new(2));
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || matches!(queue.push(()), Err(Refused::Closed(()))))
        };
        let closer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.close();
                queue.counts().accepted
            })
        };
        let was_refused = pusher.join().expect("no panic");
        let accepted = closer.join().expect("no panic");
        let counts = queue.counts();
        assert_eq!(
            (counts.accepted, counts.accepted),
            (accepted, u64::from(!was_refused))
        );
        assert_eq!(counts.refused_closed, u64::from(was_refused));
    });
}

/// The limit of the alarm is left and crossed again, while the pop checks again with this ordering.
fn cross(look_again: Ordering) {
    model(move || {
        let raised = Arc::new(AtomicU32::new(0));
        let counted = raised.clone();
        let queue = Arc::new(Queue::new(4));
        queue.set_alarm(2, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        queue.push(()).expect("there is room");
        queue.push(()).expect("there is room");
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(()).expect("there is room"))
        };
        let popper = {
            let queue = queue.clone();
            thread::spawn(move || queue.pop_with(look_again))
        };
        pusher.join().expect("no panic");
        popper.join().expect("no panic");
        assert_eq!(queue.len(), 2);
        assert!(queue.is_raised.load(Ordering::Relaxed), "no alarm");
        // Once at first, and once more if a pop saw a smaller length.
        assert!((1..=2).contains(&raised.load(Ordering::Relaxed)));
    });
}

#[test]
fn no_crossing_is_without_an_alarm() {
    // Acquire and Release: pairs with the swap of `tail` in `push`.
    cross(Ordering::AcqRel);
}

#[test]
#[should_panic(expected = "no alarm")]
fn negative_control_a_pop_that_looks_again_without_order_misses_one() {
    cross(Ordering::Relaxed);
}

/// Returns a queue for four values, with one in it, and the number of calls of its alarm at two.
fn queue_with_alarm() -> (Arc<Queue<()>>, Arc<AtomicU32>) {
    let (queue, calls) = (Arc::new(Queue::new(4)), Arc::new(AtomicU32::new(0)));
    let counted = calls.clone();
    queue.set_alarm(2, move || {
        // Release: pairs with the Acquire of the consumer, which is notified.
        counted.fetch_add(1, Ordering::Release);
    });
    queue.push(()).expect("there is room");
    (queue, calls)
}

#[test]
fn an_alarm_set_during_a_push_is_raised() {
    // Loom does not model the `OnceLock`: each push sees the alarm that was set before it. What it
    // checks is that a push before that is seen.
    model(|| {
        let calls = Arc::new(AtomicU32::new(0));
        let queue = Arc::new(Queue::new(4));
        queue.push(()).expect("there is room");
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(()).expect("there is room"))
        };
        let counted = calls.clone();
        queue.set_alarm(2, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        pusher.join().expect("no panic");
        // Twice if the push had raised it already.
        let calls = calls.load(Ordering::Relaxed);
        assert!((1..=2).contains(&calls), "no alarm");
    });
}

/// The values are taken while the push that crosses the limit is about to raise the alarm. The
/// consumer then pops this number of times more.
fn take_before_the_alarm(more: usize) {
    model(move || {
        let (queue, calls) = queue_with_alarm();
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(()).expect("there is room"))
        };
        while queue.pop().is_some() {}
        pusher.join().expect("no panic");
        for _ in 0..more {
            queue.pop();
        }
        let before = calls.load(Ordering::Relaxed);
        queue.push(()).expect("there is room");
        queue.push(()).expect("there is room");
        assert!(calls.load(Ordering::Relaxed) > before, "no alarm");
    });
}

#[test]
fn a_pop_after_a_late_alarm_arms_it_again() {
    take_before_the_alarm(1);
}

#[test]
#[should_panic(expected = "no alarm")]
fn negative_control_a_consumer_that_does_not_pop_after_a_late_alarm_gets_no_other() {
    take_before_the_alarm(0);
}

#[test]
fn a_consumer_that_found_a_push_in_progress_is_called_again() {
    model(|| {
        let (queue, calls) = queue_with_alarm();
        queue.pop();
        let pushers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || queue.push(()).expect("there is room"))
            })
            .collect();
        // Acquire: pairs with the Release of the alarm.
        let before = calls.load(Ordering::Acquire);
        let popped = queue.pop();
        for pusher in pushers {
            pusher.join().expect("no panic");
        }
        if popped.is_none() {
            assert!(calls.load(Ordering::Relaxed) > before, "no alarm");
        }
    });
}

/// Another thread takes a value and adds one, while this one reads the length.
fn look_at_the_length(order: Ordering) {
    model(move || {
        let queue = Arc::new(Queue::new(1));
        queue.push(0).expect("there is room");
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.pop();
                queue.push(1).expect("there is room");
            })
        };
        // Runs after the other thread, or in the middle of it.
        let reader = thread::spawn(move || {
            let (tail, head) = queue.positions_with(order);
            assert!(tail - head <= 1, "more than there is room for");
        });
        other.join().expect("no panic");
        reader.join().expect("no panic");
    });
}

#[test]
fn a_length_is_never_over_the_capacity() {
    // Acquire: pairs with the Release in `push` and `pop`.
    look_at_the_length(Ordering::Acquire);
}

#[test]
#[should_panic(expected = "more than there is room for")]
fn negative_control_a_length_read_without_order_is() {
    look_at_the_length(Ordering::Relaxed);
}

/// Another thread adds a value and takes one, while this one checks whether the queue is empty.
fn look_whether_it_is_empty(order: Ordering) {
    model(move || {
        let queue = Arc::new(Queue::new(2));
        queue.push(0).expect("there is room");
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1).expect("there is room");
                queue.pop();
            })
        };
        // Runs after the other thread, or in the middle of it.
        let reader = thread::spawn(move || {
            let (tail, head) = queue.positions_with(order);
            assert_ne!(tail, head, "it never was empty");
        });
        other.join().expect("no panic");
        reader.join().expect("no panic");
    });
}

#[test]
fn a_queue_that_never_was_empty_is_not_said_to_be() {
    // Acquire: pairs with the Release in `push` and `pop`.
    look_whether_it_is_empty(Ordering::Acquire);
}

#[test]
#[should_panic(expected = "it never was empty")]
fn negative_control_one_looked_at_without_order_is() {
    look_whether_it_is_empty(Ordering::Relaxed);
}
