use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use proptest::prelude::*;

use super::*;

#[test]
fn a_closed_queue_refuses_and_gives_what_it_has() {
    let queue = Queue::new(3);
    queue.push(1).unwrap();
    queue.close();
    assert_eq!(queue.push(2), Err(Refused::Closed(2)));
    assert!(!queue.is_empty());
    assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    assert_eq!(queue.counts().refused_closed, 1);
}

#[test]
fn what_was_not_taken_is_dropped_once() {
    let value = Arc::new(());
    let queue = Queue::new(4);
    for _ in 0..6 {
        let _ = queue.push(value.clone());
    }
    drop(queue.pop());
    assert_eq!(Arc::strong_count(&value), 4);
    drop(queue);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn the_alarm_is_raised_once_for_each_crossing() {
    let raised = Arc::new(AtomicUsize::new(0));
    let counted = raised.clone();
    let queue = Queue::new(4);
    queue.set_alarm(2, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut seen = Vec::new();
    for step in [
        "push", "push", "push", "pop", "push", "pop", "pop", "push", "push",
    ] {
        match step {
            "push" => queue.push(()).unwrap(),
            _ => drop(queue.pop()),
        }
        seen.push(raised.load(Ordering::Relaxed));
    }
    assert_eq!(seen, [0, 1, 1, 1, 1, 1, 1, 2, 2]);
}

proptest! {
    #[test]
    fn it_does_what_a_list_of_limited_length_does(
        capacity in 1_usize..9,
        at in 1_usize..9,
        steps in prop::collection::vec(prop::option::weighted(0.6, any::<u8>()), 0..200),
    ) {
        let raised = Arc::new(AtomicUsize::new(0));
        let counted = raised.clone();
        let queue = Queue::new(capacity);
        queue.set_alarm(at, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let (mut model, mut expected, mut alarms, mut is_raised) =
            (VecDeque::new(), Counts::default(), 0, false);
        for step in steps {
            match step {
                Some(value) if model.len() < capacity => {
                    prop_assert_eq!(queue.push(value), Ok(()));
                    model.push_back(value);
                    expected.accepted += 1;
                }
                Some(value) => {
                    prop_assert_eq!(queue.push(value), Err(Refused::Full(value)));
                    expected.refused_full += 1;
                }
                None => {
                    let value = model.pop_front();
                    expected.taken += u64::from(value.is_some());
                    prop_assert_eq!(queue.pop(), value);
                }
            }
            let is_over = model.len() >= at.min(capacity);
            alarms += usize::from(is_over && !is_raised);
            is_raised = is_over;
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.counts(), expected);
            prop_assert_eq!(raised.load(Ordering::Relaxed), alarms);
        }
    }
}

#[test]
fn a_storm_is_bounded_and_counted_to_the_last_concurrently() {
    const PUSHERS: u64 = 4;
    const EACH: u64 = 20_000;
    let queue = Queue::new(100);
    queue.set_alarm(64, || {});
    let done = AtomicUsize::new(0);
    let (refused, mut taken) = thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let (queue, done) = (&queue, &done);
                scope.spawn(move || {
                    let pushes = (0..EACH).map(|at| queue.push(Box::new(pusher * EACH + at)));
                    let refused = pushes.filter(Result::is_err).count() as u64;
                    done.fetch_add(1, Ordering::Release);
                    refused
                })
            })
            .collect();
        let poppers: Vec<_> = (0..2)
            .map(|_| {
                let (queue, done) = (&queue, &done);
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let is_last = done.load(Ordering::Acquire) == PUSHERS as usize;
                        assert!(queue.len() <= queue.capacity());
                        if queue.pop_into(&mut taken, 10) == 0 && is_last {
                            return taken;
                        }
                    }
                })
            })
            .collect();
        let refused: u64 = pushers.into_iter().map(|p| p.join().unwrap()).sum();
        let taken = poppers.into_iter().map(|p| p.join().unwrap());
        // The values that one thread pops are in the order in which each other thread pushed them.
        let taken: Vec<_> = taken
            .inspect(|taken| {
                for pusher in 0..PUSHERS {
                    let own = taken.iter().filter(|value| ***value / EACH == pusher);
                    assert!(own.is_sorted());
                }
            })
            .collect();
        (refused, taken.concat())
    });
    let counts = queue.counts();
    assert_eq!(
        (counts.accepted, counts.refused_full),
        (taken.len() as u64, refused)
    );
    assert_eq!(counts.accepted + counts.refused_full, PUSHERS * EACH);
    assert_eq!(counts.taken, counts.accepted);
    taken.sort();
    taken.dedup();
    assert_eq!(
        taken.len() as u64,
        counts.accepted,
        "a value was popped twice"
    );
}
