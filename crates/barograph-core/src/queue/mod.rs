//! A bounded queue between the threads that record and an exporter.
//!
//! A push never blocks and never allocates: a value without room is refused, counted and given back.
//!
//! # Protocol
//!
//! Values are stored in a ring of slots. Each slot has a sequence that tells whose turn it is: equal
//! to a position, the slot is free for the push of that position; one more, it is full for its pop; a
//! lap more, it is free for the next push. A push takes a position by advancing `tail`, writes the
//! value, and hands the slot over through its sequence. A pop does the same with `head`. So both ends
//! accept any number of threads. A thread that is stopped between the two steps delays those behind it
//! in the ring, but no thread waits: they find the queue full, or empty.
//!
//! The positions are the counts: `tail` is the number of values ever accepted, `head` the number taken.
//! A reader of both loads the head, the tail and the head again. A push is seen with the head that it
//! found, so the head read last is not behind the tail by more than the capacity; a pop is seen with
//! the pushes before it, so the tail is not older than the head.
//!
//! The highest bit of `tail` marks the queue as closed. It makes the swap of every push in progress
//! fail, so that nothing is accepted after [`Queue::close`].
//!
//! The alarm is a flag that is set by the push that crosses the limit, and cleared by a pop that sees a
//! smaller length, or that finds no value because the push of the first one is still in progress. A
//! push may come between that check and the clearing; so the pop then checks again, by a change of
//! `tail` that changes nothing: a push before it is seen by it, a push after it sees the cleared flag.
//! For the same reason an alarm can be set while other threads push.
//!
//! A push sets the flag some time after it has crossed the limit, and the values may have been taken by
//! then. That is why the consumer has to pop once more after each call of the alarm.

#![expect(
    unsafe_code,
    reason = "a slot is written by one end and read by the other"
)]

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use crate::sync::{AtomicBool, AtomicU64, Ordering, UnsafeCell};

/// A bounded queue for any number of threads at both ends.
pub(crate) struct Queue<T> {
    tail: Apart<AtomicU64>,
    head: Apart<AtomicU64>,
    ring: Box<[Slot<T>]>,
    capacity: u64,
    refused_full: AtomicU64,
    refused_closed: AtomicU64,
    alarm: OnceLock<Alarm>,
    /// True from a call of the alarm until a pop arms it again. Not part of the alarm, so that loom
    /// sees it created before the threads that use it.
    is_raised: AtomicBool,
}

/// The counts of everything that was pushed into a queue: accepted = taken + length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Pushes that were accepted.
    pub accepted: u64,
    /// Accepted values that were popped.
    pub taken: u64,
    /// Pushes that were refused because there was no room.
    pub refused_full: u64,
    /// Pushes that were refused because the queue was closed.
    pub refused_closed: u64,
}

impl Counts {
    /// Returns the number of pushes that were refused, for whatever reason.
    pub fn refused(&self) -> u64 {
        self.refused_full.saturating_add(self.refused_closed)
    }
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
    /// Returns the value.
    pub fn into_inner(self) -> T {
        match self {
            Refused::Full(value) | Refused::Closed(value) => value,
        }
    }
}

impl<T> Queue<T> {
    /// Returns a queue for `capacity` values, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        // With one slot, "full for this pop" and "free for the next push" would be one number.
        let slots = capacity.max(2).next_power_of_two() as u64;
        Queue {
            tail: Apart(AtomicU64::new(0)),
            head: Apart(AtomicU64::new(0)),
            ring: (0..slots).map(Slot::new).collect(),
            capacity: capacity as u64,
            refused_full: AtomicU64::new(0),
            refused_closed: AtomicU64::new(0),
            alarm: OnceLock::new(),
            is_raised: AtomicBool::new(false),
        }
    }

    /// Calls `alarm` when the length reaches `at`, or already has; again only after a pop that left
    /// less than that, or found nothing. Only the first call has an effect.
    ///
    /// It is called by the thread that pushed, so it must not block. After each call the consumer has
    /// to pop, and to go on until the length is less than `at` or a pop returns `None`: that arms the
    /// alarm again. It has to do so even if the length is less than `at` already.
    pub(crate) fn set_alarm(&self, at: usize, alarm: impl Fn() + Send + Sync + 'static) {
        let alarm = Alarm {
            at: (at as u64).clamp(1, self.capacity),
            call: Box::new(alarm),
        };
        if self.alarm.set(alarm).is_ok()
            && let Some(alarm) = self.alarm.get()
        {
            // Acquire and Release: pairs with the swap of `tail` in `push`. A push before this is seen
            // here; one after it sees the alarm.
            self.look_again(alarm, Ordering::AcqRel);
        }
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// [`Refused`] if there is no room, or the queue is closed; both are counted.
    #[inline]
    pub(crate) fn push(&self, value: T) -> Result<(), Refused<T>> {
        // Release: pairs with the Acquire in `pop`.
        self.push_with(value, Ordering::Release)
    }

    /// Pushes, and hands the value over with this ordering; any but Release is for the models.
    #[inline(always)]
    pub(crate) fn push_with(&self, value: T, hand_over: Ordering) -> Result<(), Refused<T>> {
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        loop {
            if tail & CLOSED != 0 {
                self.refused_closed.fetch_add(1, Ordering::Relaxed);
                return Err(Refused::Closed(value));
            }
            let slot = self.slot(tail);
            // Acquire: pairs with the Release in `pop`, which emptied the slot.
            let sequence = slot.sequence.load(Ordering::Acquire);
            // A tail behind the head is outdated; the swap would fail.
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
                    // SAFETY: the sequence said that the slot is free for this position, and the
                    // swap gave the position to this thread alone.
                    slot.value.with_mut(|at| unsafe { (*at).write(value) });
                    slot.sequence.store(tail + 1, hand_over);
                    if let Some(alarm) = self.alarm.get()
                        && length + 1 >= alarm.at
                    {
                        self.raise(alarm);
                    }
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
    }

    /// Takes the first value. Returns `None` if there is none, or its push is still in progress.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        // Acquire and Release: pairs with the swap of `tail` in `push`.
        self.pop_with(Ordering::AcqRel)
    }

    /// Pops, and checks the alarm again with this ordering; any but AcqRel is for the models.
    #[inline(always)]
    pub(crate) fn pop_with(&self, look_again: Ordering) -> Option<T> {
        let mut head = self.head.0.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(head);
            // Acquire: pairs with the Release in `push`, which filled the slot.
            let sequence = slot.sequence.load(Ordering::Acquire);
            if sequence <= head {
                self.calm(Popped::Nothing, look_again);
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
                    let value = slot.value.with_mut(|at| {
                        // SAFETY: the sequence said that the slot is full for this position, and
                        // the swap gave the position to this thread alone.
                        let value = unsafe { &*at };
                        // SAFETY: it is full, and will be written before it is read again.
                        unsafe { value.assume_init_read() }
                    });
                    let next_lap = head + self.ring.len() as u64;
                    // Release: pairs with the Acquire in `push`, which fills the slot again.
                    slot.sequence.store(next_lap, Ordering::Release);
                    self.calm(Popped::Value, look_again);
                    return Some(value);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Moves the first values, at most `at_most`, to the end of `values`, and returns their number.
    pub(crate) fn pop_into(&self, values: &mut Vec<T>, at_most: usize) -> usize {
        let before = values.len();
        values.extend(std::iter::from_fn(|| self.pop()).take(at_most));
        values.len() - before
    }

    /// Returns the number of values accepted and not taken, including those whose push is still in
    /// progress.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let (accepted, taken) = self.positions();
        usize::try_from(accepted - taken).unwrap_or(usize::MAX)
    }

    /// Returns true if every accepted value was taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of values that it can hold.
    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    /// Returns the counts of everything that was pushed.
    pub(crate) fn counts(&self) -> Counts {
        let (accepted, taken) = self.positions();
        Counts {
            accepted,
            taken,
            refused_full: self.refused_full.load(Ordering::Relaxed),
            refused_closed: self.refused_closed.load(Ordering::Relaxed),
        }
    }

    /// Refuses every push from now on; values in the queue can still be taken.
    pub(crate) fn close(&self) {
        self.tail.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Returns the number of accepted values and of taken ones, at one moment.
    fn positions(&self) -> (u64, u64) {
        // Acquire: pairs with the Release of `head` in `pop` and that of `tail` in `push`.
        self.positions_with(Ordering::Acquire)
    }

    /// Returns the positions, loaded with this ordering; any but Acquire is for the models.
    #[inline(always)]
    pub(crate) fn positions_with(&self, order: Ordering) -> (u64, u64) {
        let mut head = self.head.0.load(order);
        loop {
            let tail = self.tail.0.load(order) & !CLOSED;
            let now = self.head.0.load(order);
            // Read before and after the tail, the head had this value when the tail had that one.
            if now == head && head <= tail {
                return (tail, head);
            }
            head = now;
        }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &Slot<T> {
        &self.ring[(position & (self.ring.len() as u64 - 1)) as usize]
    }

    #[inline]
    fn raise(&self, alarm: &Alarm) {
        if !self.is_raised.load(Ordering::Relaxed) && !self.is_raised.swap(true, Ordering::Relaxed)
        {
            (alarm.call)();
        }
    }

    /// Clears the alarm after a pop, if the length is below its limit or the pop found nothing.
    #[inline(always)]
    fn calm(&self, popped: Popped, look_again: Ordering) {
        if self.is_raised.load(Ordering::Relaxed)
            && let Some(alarm) = self.alarm.get()
            && (popped == Popped::Nothing || self.len() < alarm.at as usize)
        {
            self.look_again(alarm, look_again);
        }
    }

    #[cold]
    fn look_again(&self, alarm: &Alarm, order: Ordering) {
        self.is_raised.store(false, Ordering::Relaxed);
        // A swap of `tail` before this is seen here; one after it sees the cleared alarm.
        let tail = self.tail.0.fetch_or(0, order) & !CLOSED;
        let length = tail.saturating_sub(self.head.0.load(Ordering::Relaxed));
        if length >= alarm.at {
            self.raise(alarm);
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

// SAFETY: values move from the thread that pushes to the one that pops; no two threads reach one at
// the same time.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; a shared queue gives out no reference to a value.
unsafe impl<T: Send> Sync for Queue<T> {}

/// The bit in `tail` that marks the queue as closed. No queue reaches that many pushes.
const CLOSED: u64 = 1 << 63;

struct Slot<T> {
    sequence: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    fn new(position: u64) -> Self {
        Slot {
            sequence: AtomicU64::new(position),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

struct Alarm {
    at: u64,
    call: Box<dyn Fn() + Send + Sync>,
}

/// The result of a pop, as far as the alarm is concerned.
#[derive(Clone, Copy, PartialEq)]
enum Popped {
    Value,
    /// The queue is empty, or the push of its first value is still in progress.
    Nothing,
}

/// A value on its own cache lines, so that the two ends do not disturb each other.
#[repr(align(128))]
struct Apart<T>(T);

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
