//! The buffer of lines between the threads that log and a writer that may be slow.
//!
//! Threads that log append to a text in memory; one thread takes all of it at once and writes it.
//! The two share a lock, which is held to copy one line or to swap two pointers, never while
//! something is written. So a terminal that blocks costs lines but no time: when the text has
//! reached its maximum length, lines are dropped and counted.
//!
//! *Why a lock and not a queue?* A queue needs an allocation for each line, freed by another
//! thread, which costs more than the lock does. Eight threads on two processors that do nothing but
//! log see the same times, up to the slowest in a thousand, whether they share a buffer or have one
//! each.
//!
//! The writer is woken when it sleeps. It sleeps only when no line has come for [`LINGER`], so that
//! a busy service does not pay for waking it at each line. An error is written at once: it may be
//! the last line of a process that aborts.

use std::io::{ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_core::process;
use barograph_model::text::counted;

/// The time that the writer waits for more lines after it has written some.
const LINGER: Duration = Duration::from_millis(2);

/// The pause before a write that would block is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// Counts of the lines of a terminal by outcome.
///
/// At every moment `offered` is the sum of the other counts except `cut`, which counts lines that
/// were truncated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleCounts {
    /// Lines that were logged.
    pub offered: u64,
    /// Lines that were written.
    pub written: u64,
    /// Lines that are buffered or being written.
    pub waiting: u64,
    /// Lines that were dropped because the buffer was full.
    pub dropped_full: u64,
    /// Lines that were dropped because the reader has closed, or after the shutdown.
    pub dropped_closed: u64,
    /// Lines that were dropped because a write failed.
    pub dropped_failed: u64,
    /// Lines that were dropped by the rate limit of their callsite.
    pub dropped_rate: u64,
    /// Lines that were truncated because they exceeded the maximum length of a line.
    pub cut: u64,
}

/// The error when lines were not written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// The number of lines.
    pub lines: u64,
}

impl std::fmt::Display for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = counted(self.lines, "log line was", "log lines were");
        write!(f, "{lines} not written in time")
    }
}

impl std::error::Error for Unwritten {}

#[derive(Debug)]
pub(super) struct Buffer {
    capacity: usize,
    /// The fork generation of the process that runs the writer. A forked child has another one.
    generation: u64,
    state: Mutex<State>,
    /// Notified when the writer has work.
    work: Condvar,
    /// Notified when lines were settled or the writer has ended.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    text: Vec<u8>,
    /// The number of lines in `text`.
    lines: u64,
    counts: ConsoleCounts,
    /// The number of lines that were ever accepted.
    taken: u64,
    phase: Phase,
    writer: Writer,
    /// The number of threads that wait until lines are settled.
    hurry: u32,
    /// Dropped lines that the writer has not reported yet.
    unreported: LeftOut,
    /// The number of lines dropped by the rate limit whose number a flush waits for.
    rate_awaited: u64,
    /// The number of lines dropped by the rate limit up to which all were reported.
    rate_reported: u64,
    /// True if a buffered line has to be written without waiting for more lines.
    is_urgent: bool,
    /// The time that a logging thread waits until its line is written, if it waits at all.
    patience: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// No more lines are accepted; buffered lines are still written.
    Closing,
    /// No more lines are written.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Busy,
    /// The writer sleeps and has to be woken.
    Asleep,
}

/// The urgency of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// The line may wait a moment, to be written together with others.
    Batched,
    /// The line is written at once.
    Urgent,
}

/// Dropped lines by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Lines that were dropped because the buffer was full.
    pub(super) full: u64,
    /// Lines that were dropped because a write failed.
    pub(super) failed: u64,
}

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        process::watch_forks();
        Buffer {
            capacity,
            generation: process::generation(),
            state: Mutex::new(State {
                // All of it is allocated now, so that no line waits while it grows.
                text: Vec::with_capacity(capacity),
                lines: 0,
                counts: ConsoleCounts::default(),
                taken: 0,
                phase: Phase::Open,
                writer: Writer::Busy,
                hurry: 0,
                unreported: LeftOut::default(),
                rate_awaited: 0,
                rate_reported: 0,
                is_urgent: false,
                patience: None,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Returns true if this process is a fork of the process that runs the writer. In a fork
    /// nothing is written, and the lock may be held forever: no other method may be called.
    #[inline]
    pub(super) fn is_of_a_parent(&self) -> bool {
        self.generation != process::generation()
    }

    /// Appends a line, including its line end, or drops it.
    #[inline]
    pub(super) fn offer(&self, line: &str, is_cut: bool, urgency: Urgency) {
        let mut state = self.lock();
        state.counts.offered += 1;
        state.counts.cut += u64::from(is_cut);
        if state.phase != Phase::Open {
            state.counts.dropped_closed += 1;
            return;
        }
        let before = state.text.len();
        let after = before + line.len();
        if after > self.capacity {
            state.counts.dropped_full += 1;
            state.unreported.full += 1;
            return;
        }
        state.text.extend_from_slice(line.as_bytes());
        state.lines += 1;
        state.taken += 1;
        state.counts.waiting += 1;
        // A lingering writer is woken when the buffer is half full.
        let half = self.capacity / 2;
        let is_first_urgent = urgency == Urgency::Urgent && !state.is_urgent;
        state.is_urgent |= is_first_urgent;
        let wake =
            state.writer == Writer::Asleep || (before < half && after >= half) || is_first_urgent;
        let patience = state.patience;
        if wake {
            state.writer = Writer::Busy;
        }
        drop(state);
        if wake {
            self.work.notify_one();
        }
        if let Some(limit) = patience
            && self.flush(limit).is_err()
        {
            // If the writer blocks, later lines do not wait again.
            self.lock().patience = None;
        }
    }

    /// Makes each logging thread wait until its line is written, but no longer than `limit`.
    pub(super) fn write_through(&self, limit: Duration) {
        self.lock().patience = Some(limit);
    }

    /// Counts a line that the rate limit drops.
    pub(super) fn suppress(&self) {
        let mut state = self.lock();
        state.counts.offered += 1;
        state.counts.dropped_rate += 1;
    }

    /// Returns the counts. They are all zero in a forked child.
    pub(super) fn counts(&self) -> ConsoleCounts {
        match self.is_of_a_parent() {
            true => ConsoleCounts::default(),
            false => self.lock().counts,
        }
    }

    /// Waits until all lines accepted so far were written or dropped, and the number of those that the
    /// rate limit dropped is written.
    pub(super) fn flush(&self, limit: Duration) -> Result<(), Unwritten> {
        let mut state = self.lock();
        let taken = state.taken;
        state.hurry += 1;
        let dropped = state.counts.dropped_rate;
        state.rate_awaited = dropped;
        self.work.notify_all();
        state = self.wait(state, limit, |state| {
            let is_behind = state.settled() < taken || state.rate_reported < dropped;
            is_behind && state.phase != Phase::Closed
        });
        state.hurry -= 1;
        match taken.saturating_sub(state.settled()) {
            0 => Ok(()),
            lines => Err(Unwritten { lines }),
        }
    }

    /// Stops accepting lines, and waits until the lines accepted so far were written. The others
    /// are dropped.
    pub(super) fn shutdown(&self, limit: Duration) -> Result<(), Unwritten> {
        self.close();
        let mut state = self.lock();
        state = self.wait(state, limit, |state| state.phase != Phase::Closed);
        let unwritten = state.counts.waiting;
        state.abandon();
        match unwritten {
            0 => Ok(()),
            lines => Err(Unwritten { lines }),
        }
    }

    /// Stops accepting lines.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.work.notify_all();
    }

    /// Gives the writer all buffered lines in exchange for an empty text, and returns their number.
    /// Returns `None` when the buffer is closed and empty. After `idle` without a line it returns
    /// 0, so that the writer can do other work.
    pub(super) fn take(&self, empty: &mut Vec<u8>, idle: Option<Duration>) -> Option<u64> {
        let mut state = self.lock();
        if !state.has_work() {
            state.writer = Writer::Asleep;
            state = match idle {
                None => self
                    .work
                    .wait_while(state, |state| !state.has_work())
                    .unwrap_or_else(PoisonError::into_inner),
                Some(idle) => {
                    self.work
                        .wait_timeout_while(state, idle, |state| !state.has_work())
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            state.writer = Writer::Busy;
        }
        if state.text.is_empty() && state.phase != Phase::Open {
            return None;
        }
        std::mem::swap(&mut state.text, empty);
        state.is_urgent = false;
        Some(std::mem::take(&mut state.lines))
    }

    /// Returns the lines that were dropped since the last call.
    pub(super) fn take_left_out(&self) -> LeftOut {
        std::mem::take(&mut self.lock().unreported)
    }

    /// Returns the number of lines that the rate limit has dropped, if a flush waits until it is written.
    pub(super) fn awaited_suppressed(&self) -> Option<u64> {
        let state = self.lock();
        state
            .awaits_suppressed()
            .then_some(state.counts.dropped_rate)
    }

    /// Tells waiting flushes that the lines that the rate limit dropped, up to this number, were reported.
    pub(super) fn settle_suppressed(&self, dropped: u64) {
        self.lock().rate_reported = dropped;
        self.progress.notify_all();
    }

    /// Waits a moment for more lines, unless lines are urgent or a thread waits for them.
    pub(super) fn linger(&self) {
        let half = self.capacity / 2;
        let rests = |state: &mut State| {
            state.phase == Phase::Open
                && state.hurry == 0
                && !state.is_urgent
                && state.text.len() < half
        };
        let state = self.lock();
        drop(self.work.wait_timeout_while(state, LINGER, rests));
    }

    /// Counts the outcome of a batch of lines: `written` of them were written, and the others were
    /// lost because of `failure`.
    pub(super) fn settle(&self, lines: u64, written: u64, failure: Option<ErrorKind>) {
        let mut state = self.lock();
        let state = &mut *state;
        // Lines that were abandoned at shutdown are no longer counted as waiting.
        let lines = lines.min(state.counts.waiting);
        let written = written.min(lines);
        state.counts.waiting -= lines;
        state.counts.written += written;
        let lost = lines - written;
        match failure {
            Some(ErrorKind::BrokenPipe) => {
                state.counts.dropped_closed += lost;
                // The reader has closed.
                state.phase = Phase::Closed;
                state.abandon();
            }
            _ => {
                state.counts.dropped_failed += lost;
                state.unreported.failed += lost;
            }
        }
        if state.hurry > 0 || state.phase != Phase::Open {
            self.progress.notify_all();
        }
    }

    /// Closes the buffer, because the writer has ended.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.abandon();
        drop(state);
        self.progress.notify_all();
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Duration,
        goes_on: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.progress
            .wait_timeout_while(state, limit, |state| goes_on(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.text.is_empty() || self.phase != Phase::Open || self.awaits_suppressed()
    }

    fn awaits_suppressed(&self) -> bool {
        self.rate_reported < self.rate_awaited
    }

    /// Returns the number of accepted lines that were written or dropped.
    fn settled(&self) -> u64 {
        self.taken - self.counts.waiting
    }

    /// Drops the buffered lines.
    fn abandon(&mut self) {
        self.phase = Phase::Closed;
        self.counts.dropped_closed += std::mem::take(&mut self.counts.waiting);
        self.text.clear();
        self.lines = 0;
    }
}

/// Writes a text as far as possible. Returns the number of bytes written, and the error if that is
/// not all of the text.
///
/// A write that would block is retried without a time limit: only this thread waits.
pub(super) fn write_all(out: &mut dyn Write, text: &[u8]) -> (usize, Option<ErrorKind>) {
    let mut at = 0;
    loop {
        let done = match at < text.len() {
            true => out.write(&text[at..]),
            false => out.flush().map(|()| 0),
        };
        match done {
            Ok(_) if at == text.len() => return (at, None),
            Ok(0) => return (at, Some(ErrorKind::WriteZero)),
            Ok(written) => at = text.len().min(at + written),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                kind => return (at, Some(kind)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_urgent_line_does_not_wait_for_others() {
        let buffer = Buffer::new(1_000);
        let quickest = |urgency: Urgency| {
            let times = (0..20).map(|_| {
                buffer.offer("line\n", false, urgency);
                let began = Instant::now();
                buffer.linger();
                let took = began.elapsed();
                assert_eq!(buffer.take(&mut Vec::new(), None), Some(1));
                took
            });
            times.min()
        };
        assert!(quickest(Urgency::Batched) >= Some(LINGER));
        assert!(quickest(Urgency::Urgent) < Some(LINGER));
    }
}
