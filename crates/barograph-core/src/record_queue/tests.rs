use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn push_all(queue: &RecordQueue<u64>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        queue.push(Box::new(number)).expect("there is room");
    }
}

fn boxes(numbers: std::ops::Range<u64>) -> impl ExactSizeIterator<Item = Box<u64>> {
    numbers.map(Box::new).collect::<Vec<_>>().into_iter()
}

#[test]
fn closing_drops_the_records_and_keeps_the_counts() {
    let queue = RecordQueue::new(3);
    push_all(&queue, 0..3);
    let handle = queue.handle();
    handle.close();
    assert_eq!(queue.push(Box::new(3)), Err(Refused::Closed(Box::new(3))));
    assert_eq!(queue.pop(), None);
    let counts = handle.counts();
    assert_eq!(counts, queue.counts());
    assert_eq!((counts.accepted, counts.refused()), (3, 1));
    assert_eq!(handle.capacity(), 3);
}

#[test]
fn the_consumer_is_notified_of_a_batch_that_was_waiting_before() {
    let (queue, calls) = (RecordQueue::new(4), Arc::new(AtomicUsize::new(0)));
    push_all(&queue, 0..2);
    let counted = calls.clone();
    queue.handle().on_batch(2, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    queue.on_batch(1, || panic!("only the first call has an effect"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    push_all(&queue, 2..3);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(queue.pop_into(&mut Vec::new(), 2), 2);
    push_all(&queue, 3..4);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn no_batch_is_without_a_notification_concurrently() {
    const ALL: u64 = 100_000;
    const BATCH: usize = 8;
    let queue = RecordQueue::new(64);
    let consumer = thread::current();
    let mut taken = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..ALL / 2 {
                    while let Err(Refused::Full(_)) = queue.push(Box::new(number)) {
                        thread::yield_now();
                    }
                }
            });
        }
        // While records are pushed.
        queue.on_batch(BATCH, move || consumer.unpark());
        loop {
            while queue.pop_into(&mut taken, BATCH) == BATCH {}
            if queue.counts().accepted + BATCH as u64 > ALL {
                break;
            }
            // There will be another batch.
            let began = Instant::now();
            thread::park_timeout(MINUTE);
            if began.elapsed() >= MINUTE {
                queue.close(); // The producers would wait for room forever.
                panic!("a notification is lost");
            }
        }
    });
    queue.pop_into(&mut taken, usize::MAX);
    assert_eq!(taken.len() as u64, ALL);
}

#[test]
fn recycled_records_come_back_unless_they_are_large() {
    let queue = RecordQueue::new(1);
    queue.recycle(boxes(0..1), 0);
    assert_eq!(queue.take_recycled(), None, "nobody had asked for any");
    let records = 2 * CHUNK as u64;
    queue.recycle(boxes(0..records), 2 * CHUNK * LARGE + 1);
    assert_eq!(queue.take_recycled(), None);
    queue.recycle(boxes(0..records), 2 * CHUNK * LARGE);
    let taken = [(); 2].map(|()| queue.take_recycled().unwrap());
    assert!(taken.iter().all(|chunk| chunk.capacity() >= CHUNK + SLACK));
    assert!(taken.into_iter().flatten().map(|it| *it).eq(0..records));
}

#[test]
fn recycled_records_are_bounded() {
    let queue = RecordQueue::new(1);
    assert_eq!(queue.take_recycled(), None);
    for _ in 0..10 {
        queue.recycle(boxes(0..500), 0);
    }
    let taken = std::iter::from_fn(|| queue.take_recycled());
    let count = taken.flatten().count();
    assert!(
        (MOST_RECYCLED - CHUNK..=MOST_RECYCLED).contains(&count),
        "{count}"
    );
}

#[test]
fn a_fanout_gives_each_queue_every_record() {
    let queues = [RecordQueue::new(1), RecordQueue::new(2)];
    let fanout = Fanout::from_iter(queues.clone());
    assert!(fanout.has_room(Room::InEvery));
    fanout.push(Box::new("a"));
    assert!(!fanout.has_room(Room::InEvery) && fanout.has_room(Room::InAny));
    fanout.push(Box::new("b"));
    assert!(!fanout.has_room(Room::InAny));
    let counts = queues.each_ref().map(RecordQueue::counts);
    assert_eq!(counts.map(|counts| counts.accepted), [1, 2]);
    assert_eq!(counts.map(|counts| counts.refused_full), [1, 0]);
    assert_eq!(fanout.take_recycled(), None);
    queues[1].recycle([Box::new("a")].into_iter(), 0);
    assert_eq!(fanout.take_recycled(), Some(vec![Box::new("a")]));
    assert!(!fanout.is_empty() && Fanout::<u64>::default().is_empty());
}
