//! A bounded queue between those who record and the one who exports.
//!
//! Pushing never blocks and never allocates: what has no room is refused, counted and given back.
//!
//! # Protocol
//!
//! Values lie in a ring of places, each with a sequence that says whose turn it is: equal to a
//! position, the place is free for the push of that position; one more, it is full for its pop; a
//! lap more, it is free for the next one. Who pushes takes a position by moving `tail` on, writes,
//! and hands the place over by its sequence. Who pops does the same with `head`. So both ends take
//! any number of threads, and one that is stopped between the two steps delays those behind it in
//! the ring, but nobody waits: they find the queue full, or empty.
//!
//! The positions are the counts: `tail` is how many were ever accepted, `head` how many were taken.
//! Who looks at both reads the head, the tail and the head again. A push is seen with the head that it
//! found, so the head read last is not behind the tail by more than the capacity; a pop is seen with the
//! pushes before it, so the tail is not that of a moment before the head.
//!
//! The highest bit of `tail` says that the queue is closed. It makes the swap of every push that is
//! under way fail, so that after [`Queue::close`] nothing more is accepted.
//!
//! The alarm is a flag that the push which crosses the limit sets, and a pop that sees less takes
//! down. A push may come between that look and the taking down; so the pop then looks again, by a
//! change of `tail` that changes nothing: a push before it is seen by it, a push after it sees the
//! flag taken down.

#![expect(
    unsafe_code,
    reason = "a place is written by one end and read by the other"
)]

use std::fmt;
use std::mem::MaybeUninit;

use crate::sync::{AtomicBool, AtomicU64, Ordering, UnsafeCell};

/// A queue of bounded length for any number of threads at both ends.
///
/// ```
/// use barograph_core::queue::{Queue, Refused};
/// let queue = Queue::new(2);
/// assert!(queue.push("a").is_ok() && queue.push("b").is_ok());
/// assert_eq!(queue.push("c"), Err(Refused::Full("c")));
/// assert_eq!(queue.pop(), Some("a"));
/// assert_eq!((queue.counts().accepted, queue.counts().refused_full), (2, 1));
/// ```
pub struct Queue<T> {
    tail: Apart<AtomicU64>,
    head: Apart<AtomicU64>,
    ring: Box<[Place<T>]>,
    capacity: u64,
    refused_full: AtomicU64,
    refused_closed: AtomicU64,
    alarm: Option<Alarm>,
}

/// What became of everything that was pushed: accepted = taken + length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Pushes that were accepted.
    pub accepted: u64,
    /// Of these, how many were popped.
    pub taken: u64,
    /// Pushes that were refused because there was no room.
    pub refused_full: u64,
    /// Pushes that were refused because the queue was closed.
    pub refused_closed: u64,
}

/// A push that was not accepted, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// There was no room.
    Full(T),
    /// The queue was closed.
    Closed(T),
}

impl<T> Refused<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            Refused::Full(value) | Refused::Closed(value) => value,
        }
    }
}

impl<T> Queue<T> {
    /// A queue for so many values, at least one.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        // With one place, "full for this pop" and "free for the next push" would be one number.
        let places = capacity.max(2).next_power_of_two() as u64;
        Queue {
            tail: Apart(AtomicU64::new(0)),
            head: Apart(AtomicU64::new(0)),
            ring: (0..places).map(Place::new).collect(),
            capacity: capacity as u64,
            refused_full: AtomicU64::new(0),
            refused_closed: AtomicU64::new(0),
            alarm: None,
        }
    }

    /// Calls `alarm` when the length reaches `at`; again only after values were taken and the length
    /// was less.
    ///
    /// It is called by the thread that pushed, so it must not block. Whoever it wakes has to pop
    /// until there is less, or nothing: that is what arms it again.
    #[must_use]
    pub fn with_alarm(mut self, at: usize, alarm: impl Fn() + Send + Sync + 'static) -> Self {
        self.alarm = Some(Alarm {
            at: (at as u64).clamp(1, self.capacity),
            is_raised: AtomicBool::new(false),
            call: Box::new(alarm),
        });
        self
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// [`Refused`] when there is no room, or the queue is closed; both are counted.
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Refused<T>> {
        // Release: pairs with the Acquire in `pop`.
        self.push_with(value, Ordering::Release)
    }

    /// Pushes, and hands the value over in this order; any but Release is for the models.
    #[inline(always)]
    pub(crate) fn push_with(&self, value: T, hand_over: Ordering) -> Result<(), Refused<T>> {
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        loop {
            if tail & CLOSED != 0 {
                self.refused_closed.fetch_add(1, Ordering::Relaxed);
                return Err(Refused::Closed(value));
            }
            let place = self.place(tail);
            // Acquire: pairs with the Release in `pop`, which emptied the place.
            let sequence = place.sequence.load(Ordering::Acquire);
            // A tail that is behind the head is an old one; the swap would fail.
            let length = tail.saturating_sub(self.head.0.load(Ordering::Relaxed));
            if length >= self.capacity || sequence < tail {
                let now = self.tail.0.load(Ordering::Relaxed);
                if now == tail {
                    self.refused_full.fetch_add(1, Ordering::Relaxed);
                    return Err(Refused::Full(value));
                }
                tail = now;
                continue;
            }
            // Acquire and Release: pairs with the change of `tail` that `pop` asks for.
            match self.tail.0.compare_exchange_weak(
                tail,
                tail + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // SAFETY: the sequence said that the place is free for this position, and the
                    // swap gave the position to this thread alone.
                    place.value.with_mut(|at| unsafe { (*at).write(value) });
                    place.sequence.store(tail + 1, hand_over);
                    if let Some(alarm) = &self.alarm
                        && length + 1 >= alarm.at
                    {
                        alarm.raise();
                    }
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
    }

    /// Takes the first value; none when there is none, or its push is still under way.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        // Acquire and Release: pairs with the swap of `tail` in `push`.
        self.pop_with(Ordering::AcqRel)
    }

    /// Pops, and looks again for the alarm in this order; any but AcqRel is for the models.
    #[inline(always)]
    pub(crate) fn pop_with(&self, look_again: Ordering) -> Option<T> {
        let mut head = self.head.0.load(Ordering::Relaxed);
        loop {
            let place = self.place(head);
            // Acquire: pairs with the Release in `push`, which filled the place.
            let sequence = place.sequence.load(Ordering::Acquire);
            if sequence <= head {
                self.calm(look_again);
                return None;
            }
            if sequence > head + 1 {
                head = self.head.0.load(Ordering::Relaxed);
                continue;
            }
            // Release: pairs with the Acquire load of the head in `positions`.
            match self.head.0.compare_exchange_weak(
                head,
                head + 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let value = place.value.with_mut(|at| {
                        // SAFETY: the sequence said that the place is full for this position, and
                        // the swap gave the position to this thread alone.
                        let value = unsafe { &*at };
                        // SAFETY: it is full, and will be written before it is read again.
                        unsafe { value.assume_init_read() }
                    });
                    let next_lap = head + self.ring.len() as u64;
                    // Release: pairs with the Acquire in `push`, which fills the place again.
                    place.sequence.store(next_lap, Ordering::Release);
                    self.calm(look_again);
                    return Some(value);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Moves the first values to the end of `values`, no more than so many, and says how many.
    pub fn pop_into(&self, values: &mut Vec<T>, at_most: usize) -> usize {
        let before = values.len();
        values.extend(std::iter::from_fn(|| self.pop()).take(at_most));
        values.len() - before
    }

    /// Values that were accepted and not taken, those included whose push is still under way.
    #[inline]
    pub fn len(&self) -> usize {
        let (accepted, taken) = self.positions();
        usize::try_from(accepted - taken).unwrap_or(usize::MAX)
    }

    /// Whether everything that was accepted was taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values it may hold.
    pub fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    /// What became of everything that was pushed.
    pub fn counts(&self) -> Counts {
        let (accepted, taken) = self.positions();
        Counts {
            accepted,
            taken,
            refused_full: self.refused_full.load(Ordering::Relaxed),
            refused_closed: self.refused_closed.load(Ordering::Relaxed),
        }
    }

    /// Refuses every push from now on; what is there can still be taken.
    pub fn close(&self) {
        self.tail.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.tail.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// How many were accepted and how many of these taken, at one moment.
    fn positions(&self) -> (u64, u64) {
        // Acquire: pairs with the Release of `head` in `pop` and that of `tail` in `push`.
        self.positions_with(Ordering::Acquire)
    }

    /// The same with this order for all loads; any but Acquire is for the models.
    #[inline(always)]
    pub(crate) fn positions_with(&self, order: Ordering) -> (u64, u64) {
        let mut head = self.head.0.load(order);
        loop {
            let tail = self.tail.0.load(order) & !CLOSED;
            let now = self.head.0.load(order);
            // Seen twice around it, the head was this when the tail was that.
            if now == head && head <= tail {
                return (tail, head);
            }
            head = now;
        }
    }

    #[inline(always)]
    fn place(&self, position: u64) -> &Place<T> {
        &self.ring[(position & (self.ring.len() as u64 - 1)) as usize]
    }

    /// Takes the alarm down when there is less than its limit.
    #[inline(always)]
    fn calm(&self, look_again: Ordering) {
        if let Some(alarm) = &self.alarm
            && alarm.is_raised.load(Ordering::Relaxed)
            && self.len() < alarm.at as usize
        {
            self.look_again(alarm, look_again);
        }
    }

    #[cold]
    fn look_again(&self, alarm: &Alarm, order: Ordering) {
        alarm.is_raised.store(false, Ordering::Relaxed);
        // A swap of `tail` before this is seen here; one after it sees the alarm taken down.
        let tail = self.tail.0.fetch_or(0, order) & !CLOSED;
        let length = tail.saturating_sub(self.head.0.load(Ordering::Relaxed));
        if length >= alarm.at {
            alarm.raise();
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("capacity", &self.capacity)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

// SAFETY: values move from the thread that pushes to the one that pops; no two threads reach one at
// the same time.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; a shared queue gives out no reference to a value.
unsafe impl<T: Send> Sync for Queue<T> {}

/// Says in `tail` that the queue is closed. So many pushes are never done.
const CLOSED: u64 = 1 << 63;

struct Place<T> {
    sequence: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Place<T> {
    fn new(position: u64) -> Self {
        Place {
            sequence: AtomicU64::new(position),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

struct Alarm {
    at: u64,
    is_raised: AtomicBool,
    call: Box<dyn Fn() + Send + Sync>,
}

impl Alarm {
    #[inline]
    fn raise(&self) {
        if !self.is_raised.load(Ordering::Relaxed) && !self.is_raised.swap(true, Ordering::Relaxed)
        {
            (self.call)();
        }
    }
}

/// A value on cache lines of its own, so that the ends do not disturb each other.
#[repr(align(128))]
struct Apart<T>(T);

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
