//! Lines on their way to somebody who may be slow.
//!
//! Threads that log append to a text in memory; one thread takes all of it at once and writes. The
//! two share a lock, held to copy one line or to exchange two pointers, never while something is
//! written. So a terminal that stands still costs lines and no time: when the text is as long as it
//! may get, lines are left out and counted.
//!
//! *Why a lock and not a queue?* A queue needs an allocation for each line, freed by another thread,
//! which costs more than the lock does. Eight threads on two processors that do nothing but log see
//! the same times, up to the slowest in a thousand, whether they share a buffer or have one each.
//!
//! The writer is woken when it sleeps. It sleeps only when nothing has come for [`LINGER`], so that
//! a busy service does not pay for waking it at each line. An error is written at once: it may be the
//! last line of a process that aborts.

use std::io::{ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_core::process;
use barograph_model::text::counted;

/// How long the writer waits for more after it has written something.
const LINGER: Duration = Duration::from_millis(2);

/// The pause before a writer that was busy is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of the lines of a terminal.
///
/// At every moment, `offered` is the sum of the others but for `cut`, which counts lines of which the
/// beginning was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TerminalCounts {
    /// Lines that were to be written.
    pub offered: u64,
    /// Lines that were written.
    pub written: u64,
    /// Lines that wait, or are being written.
    pub waiting: u64,
    /// Lines left out because those before them were not written fast enough.
    pub dropped_full: u64,
    /// Lines left out because the reader is gone, or after the shutdown.
    pub dropped_closed: u64,
    /// Lines left out because writing them failed.
    pub dropped_failed: u64,
    /// Lines left out because too many were like them.
    pub dropped_rate: u64,
    /// Lines that were longer than a line may be.
    pub cut: u64,
}

/// Lines that were not written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// How many.
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
    /// The process in which the writer is, and not a fork of it.
    generation: u64,
    state: Mutex<State>,
    /// There is something to do for the writer.
    work: Condvar,
    /// Lines were settled, or the writer has ended.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    text: Vec<u8>,
    /// Lines in `text`.
    lines: u64,
    counts: TerminalCounts,
    /// Lines that were ever taken.
    taken: u64,
    phase: Phase,
    writer: Writer,
    /// How many wait until lines are settled.
    hurry: u32,
    /// Lines left out of which the writer has not told.
    untold: LeftOut,
    /// Whether a line waits that is not to wait for others.
    is_urgent: bool,
    /// How long whoever brings a line waits for it to be written, if at all.
    patience: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// What is there is still written.
    Closing,
    /// Nothing will be written any more.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Busy,
    /// It has to be woken.
    Asleep,
}

/// Whether a line waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It is written with those that come within a moment.
    Batched,
    /// It is written at once.
    Urgent,
}

/// Lines that were left out, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// They came faster than they were written.
    pub(super) full: u64,
    /// They could not be written.
    pub(super) failed: u64,
}

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        process::watch_forks();
        Buffer {
            capacity,
            generation: process::generation(),
            state: Mutex::new(State {
                // All of it now, so that no line waits while it grows.
                text: Vec::with_capacity(capacity),
                lines: 0,
                counts: TerminalCounts::default(),
                taken: 0,
                phase: Phase::Open,
                writer: Writer::Busy,
                hurry: 0,
                untold: LeftOut::default(),
                is_urgent: false,
                patience: None,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Whether this process is a fork of the one in which the writer is. Then nothing is written, and
    /// the lock may be held for good: nothing else may be called.
    #[inline]
    pub(super) fn is_of_a_parent(&self) -> bool {
        self.generation != process::generation()
    }

    /// Takes a line, with its end, or leaves it out.
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
            state.untold.full += 1;
            return;
        }
        state.text.extend_from_slice(line.as_bytes());
        state.lines += 1;
        state.taken += 1;
        state.counts.waiting += 1;
        // A writer that lingers is told when half of the room is gone.
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
            // A writer that stands still is not waited for again and again.
            self.lock().patience = None;
        }
    }

    /// Makes everybody who brings a line wait until it is written, but no longer than this.
    pub(super) fn write_through(&self, limit: Duration) {
        self.lock().patience = Some(limit);
    }

    /// Counts a line that is left out because too many were like it.
    pub(super) fn suppress(&self) {
        let mut state = self.lock();
        state.counts.offered += 1;
        state.counts.dropped_rate += 1;
    }

    /// All zero in the child of a fork.
    pub(super) fn counts(&self) -> TerminalCounts {
        match self.is_of_a_parent() {
            true => TerminalCounts::default(),
            false => self.lock().counts,
        }
    }

    /// Waits until the lines of before were written or left out.
    pub(super) fn flush(&self, limit: Duration) -> Result<(), Unwritten> {
        let mut state = self.lock();
        let taken = state.taken;
        state.hurry += 1;
        self.work.notify_all();
        state = self.wait(state, limit, |state| {
            state.settled() < taken && state.phase != Phase::Closed
        });
        state.hurry -= 1;
        match taken.saturating_sub(state.settled()) {
            0 => Ok(()),
            lines => Err(Unwritten { lines }),
        }
    }

    /// Takes no more lines, and waits until those of before were written. What is not is left out.
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

    /// Takes no more lines.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.work.notify_all();
    }

    /// Gives the writer all lines there are, in exchange for an empty text, and says how many. None at
    /// the end. After `idle` it gives nothing, so that the writer can look after other things.
    pub(super) fn take(&self, empty: &mut Vec<u8>, idle: Option<Duration>) -> Option<u64> {
        let mut state = self.lock();
        if state.text.is_empty() && state.phase == Phase::Open {
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

    /// The lines that were left out since this was asked last.
    pub(super) fn take_left_out(&self) -> LeftOut {
        std::mem::take(&mut self.lock().untold)
    }

    /// Waits a moment for more lines, unless there is a hurry.
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

    /// Counts what became of a batch: of its lines so many were written, the others not because of
    /// this.
    pub(super) fn settle(&self, lines: u64, written: u64, failure: Option<ErrorKind>) {
        let mut state = self.lock();
        let state = &mut *state;
        // Nothing waits any more of what was given up at shutdown.
        let lines = lines.min(state.counts.waiting);
        let written = written.min(lines);
        state.counts.waiting -= lines;
        state.counts.written += written;
        let lost = lines - written;
        match failure {
            Some(ErrorKind::BrokenPipe) => {
                state.counts.dropped_closed += lost;
                // Nobody reads any more.
                state.phase = Phase::Closed;
                state.abandon();
            }
            _ => {
                state.counts.dropped_failed += lost;
                state.untold.failed += lost;
            }
        }
        if state.hurry > 0 || state.phase != Phase::Open {
            self.progress.notify_all();
        }
    }

    /// The writer has ended.
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
        !self.text.is_empty() || self.phase != Phase::Open
    }

    /// Of the lines that were taken, those of which it is known what became of them.
    fn settled(&self) -> u64 {
        self.taken - self.counts.waiting
    }

    /// Gives up what waits.
    fn abandon(&mut self) {
        self.phase = Phase::Closed;
        self.counts.dropped_closed += std::mem::take(&mut self.counts.waiting);
        self.text.clear();
        self.lines = 0;
    }
}

/// Writes a text as far as it goes: how many bytes went out, and why not all.
///
/// A writer that is not ready is tried again for as long as it takes: only this thread waits.
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
