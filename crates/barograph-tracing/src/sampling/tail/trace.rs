//! The buffered spans of one local trace, until it is decided whether they are exported.
//!
//! The threads of a trace share it under a lock of its own, which is held to move a record, never
//! to create or to free one. State that traces share is atomic.

use std::fmt;
use std::mem::{self, size_of};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_core::clock::Clock;
use barograph_core::exemplar::Candidate;
use barograph_model::span::{SpanRecord, Status};
use barograph_model::value::Attribute;

use super::config::TailSamplingConfig;
use super::cost;
use super::counts::{Counting, Reason, TailSamplingCounts, add, sub};
use crate::sampling::bucket::Bucket;
use crate::sampling::threshold::without_threshold;

/// The state that all traces share.
pub(super) struct Shared {
    config: TailSamplingConfig,
    budget: Bucket,
    clock: Box<dyn Clock>,
    counting: Counting,
}

impl Shared {
    pub(super) fn new(config: TailSamplingConfig, clock: Box<dyn Clock>) -> Self {
        Shared {
            budget: config.bucket(),
            config,
            clock,
            counting: Counting::default(),
        }
    }

    pub(super) fn config(&self) -> &TailSamplingConfig {
        &self.config
    }

    pub(super) fn counts(&self) -> TailSamplingCounts {
        self.counting.read()
    }

    /// Reserves bytes of the memory that all traces share. Returns false if the limit would be
    /// exceeded.
    fn reserve(&self, bytes: usize) -> bool {
        let pending = &self.counting.buffered_bytes.0;
        let before = pending.fetch_add(bytes as u64, Ordering::Relaxed);
        let fits = before.saturating_add(bytes as u64) <= self.config.max_bytes as u64;
        if !fits {
            sub(pending, bytes);
        }
        fits
    }
}

/// A local trace that is not sampled. All clones are the same trace.
///
/// The root creates it, with [`TailSampling::begin`](super::TailSampling::begin), and its descendants in
/// this process share it. Their spans are handed in when they end.
#[derive(Clone)]
pub struct BufferedTrace(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

enum State {
    /// The root has not ended.
    Open(Pending),
    /// The spans of the trace are exported, with the reason.
    Kept(Reason),
    /// The spans of the trace are dropped.
    Dropped(Loss),
}

#[derive(Default)]
struct Pending {
    spans: Vec<SpanRecord>,
    /// The bytes that the buffered spans take.
    bytes: usize,
    /// The bytes of shared memory that are reserved for them.
    reserved: usize,
    /// The number of spans that were dropped because there was no room for them.
    missing: usize,
    has_failed: bool,
    /// True if the trace has already taken its place in the budget, because an exemplar refers to
    /// it.
    is_chosen: bool,
}

#[derive(Clone, Copy)]
enum Loss {
    NotInteresting,
    OverBudget,
}

impl BufferedTrace {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        add(&shared.counting.here().buffered_traces, 1);
        BufferedTrace(Arc::new(Inner {
            shared,
            state: Mutex::new(State::Open(Pending::default())),
        }))
    }

    /// Hands in a span that has ended and is not the root. Returns the span if it has to be
    /// exported now.
    ///
    /// A span with an error marks the whole trace as failed. A span that ends after the root is
    /// treated like the rest of the trace.
    pub fn add(&self, span: SpanRecord) -> Option<SpanRecord> {
        let Inner { shared, .. } = &*self.0;
        let heap = cost::of(&span);
        let mut state = self.0.lock();
        let pending = match &mut *state {
            State::Open(pending) => pending,
            State::Kept(reason) => {
                let reason = *reason;
                drop(state);
                return Some(self.0.export(span, reason));
            }
            State::Dropped(loss) => {
                let loss = *loss;
                drop(state);
                shared.lose(loss, 1);
                return None;
            }
        };
        pending.has_failed |= has_failed(&span);
        let why = match pending.make_room(heap, shared) {
            Ok(()) => {
                pending.spans.push(span);
                add(&shared.counting.here().buffered_spans, 1);
                return None;
            }
            Err(why) => why,
        };
        if pending.is_chosen {
            // The trace was chosen for an exemplar, so its spans must be exported.
            drop(state);
            return Some(self.0.export(span, Reason::Exemplar));
        }
        pending.missing += 1;
        drop(state);
        let count = match why {
            Full::Limit => &shared.counting.here().over_limit_spans,
            Full::Memory => &shared.counting.here().no_memory_spans,
        };
        add(count, 1);
        None
    }

    /// Hands in the ended root. Returns the spans that have to be exported, with the root last.
    pub fn end(&self, root: SpanRecord) -> Option<Vec<SpanRecord>> {
        let Inner { shared, .. } = &*self.0;
        let is_slow = shared.config.is_slow(&root);
        let mut state = self.0.lock();
        let State::Open(pending) = &mut *state else {
            drop(state);
            return self.add(root).map(|root| vec![root]);
        };
        let reason = if pending.has_failed || has_failed(&root) {
            Some(Reason::Error)
        } else if is_slow {
            Some(Reason::Slow)
        } else {
            pending.is_chosen.then_some(Reason::Exemplar)
        };
        let is_paid = pending.is_chosen;
        let outcome = match reason {
            None => Err(Loss::NotInteresting),
            Some(reason) if is_paid || shared.budget.take(shared.clock.unix_nanos()) => Ok(reason),
            Some(_) => Err(Loss::OverBudget),
        };
        let pending = mem::take(pending);
        *state = match outcome {
            Ok(reason) => State::Kept(reason),
            Err(loss) => State::Dropped(loss),
        };
        drop(state);
        pending.release(shared);
        let mut spans = pending.spans;
        match outcome {
            Err(loss) => {
                let traces = match loss {
                    Loss::NotInteresting => &shared.counting.here().not_interesting,
                    Loss::OverBudget => &shared.counting.here().over_budget,
                };
                add(traces, 1);
                shared.lose(loss, spans.len() + 1);
                None
            }
            Ok(reason) => {
                add(&shared.counting.here().sampled[reason as usize], 1);
                add(&shared.counting.here().exported_spans, spans.len() + 1);
                spans.push(root);
                for span in &mut spans {
                    set_reason(span, reason);
                }
                if pending.missing > 0
                    && let Some(root) = spans.last_mut()
                {
                    root.attributes
                        .push(Attribute::new(MISSING, pending.missing));
                }
                Some(spans)
            }
        }
    }

    /// Marks the trace as failed because of an error that no span shows.
    pub fn fail(&self) {
        if let State::Open(pending) = &mut *self.0.lock() {
            pending.has_failed = true;
        }
    }

    /// Returns the candidate that decides whether a measurement may become an exemplar that refers
    /// to this trace; for
    /// [`Current::with_candidate`](barograph_core::current::Current::with_candidate).
    pub fn candidate(&self) -> Arc<dyn Candidate> {
        self.0.clone()
    }
}

/// Takes a place in the budget at once, so that the answer stays true. Half of the budget is
/// reserved for traces that failed or were slow.
impl Candidate for Inner {
    fn choose(&self) -> bool {
        let Shared {
            budget,
            clock,
            counting,
            ..
        } = &*self.shared;
        let is_chosen = match &mut *self.lock() {
            State::Open(pending) => {
                pending.is_chosen = pending.is_chosen || budget.take_of_half(clock.unix_nanos());
                pending.is_chosen
            }
            State::Kept(_) => true,
            State::Dropped(_) => false,
        };
        if !is_chosen {
            add(&counting.here().refused_exemplars, 1);
        }
        is_chosen
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks and counts a span that is exported on its own.
    fn export(&self, mut span: SpanRecord, reason: Reason) -> SpanRecord {
        add(&self.shared.counting.here().exported_spans, 1);
        set_reason(&mut span, reason);
        span
    }
}

/// Counts the spans of a trace whose root was dropped without having ended, because they can no
/// longer be exported.
impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(pending) = state {
            pending.release(&self.shared);
            add(
                &self.shared.counting.here().unended_spans,
                pending.spans.len(),
            );
        }
    }
}

impl Pending {
    /// Reserves room for a span that holds `heap` bytes in addition to its own size.
    fn make_room(&mut self, heap: usize, shared: &Shared) -> Result<(), Full> {
        let (length, capacity) = (self.spans.len(), self.spans.capacity());
        if length >= shared.config.max_spans {
            return Err(Full::Limit);
        }
        let more = match capacity - length {
            0 => capacity.max(4).min(shared.config.max_spans - length),
            _ => 0,
        };
        let bytes = self.bytes + heap + more * size_of::<SpanRecord>();
        if bytes > self.reserved {
            let step = (bytes - self.reserved).next_multiple_of(STEP);
            if !shared.reserve(step) {
                return Err(Full::Memory);
            }
            self.reserved += step;
        }
        self.bytes = bytes;
        self.spans.reserve_exact(more);
        Ok(())
    }

    /// Releases the reserved shared memory.
    fn release(&self, shared: &Shared) {
        sub(&shared.counting.here().buffered_spans, self.spans.len());
        if self.reserved > 0 {
            sub(&shared.counting.buffered_bytes.0, self.reserved);
        }
        sub(&shared.counting.here().buffered_traces, 1);
    }
}

impl Shared {
    fn lose(&self, loss: Loss, spans: usize) {
        let count = match loss {
            Loss::NotInteresting => &self.counting.here().not_interesting_spans,
            Loss::OverBudget => &self.counting.here().over_budget_spans,
        };
        add(count, spans);
    }
}

/// The bytes of shared memory that are reserved at once, so that threads rarely contend for the
/// counter.
const STEP: usize = 2048;

/// The limit that leaves no room for a span.
enum Full {
    Limit,
    Memory,
}

fn has_failed(span: &SpanRecord) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// Adds the reason to a span that is exported, and removes the `th`, because its adjusted count is
/// unknown.
fn set_reason(span: &mut SpanRecord, reason: Reason) {
    span.attributes.push(Attribute::new(KEPT, reason.as_str()));
    if !span.trace_state.is_empty()
        && let Some(without) = without_threshold(&span.trace_state)
    {
        span.trace_state = without;
    }
}

/// The attribute with the reason why a span that was not sampled is exported.
const KEPT: &str = "barograph.tail_sampling.reason";
/// The attribute of a kept root with the number of spans that there was no room for.
const MISSING: &str = "barograph.tail_sampling.missing_spans";

impl fmt::Debug for BufferedTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.0.lock() {
            State::Open(pending) => format!("open, {} spans", pending.spans.len()),
            State::Kept(reason) => format!("kept, {}", reason.as_str()),
            State::Dropped(Loss::NotInteresting) => "not_interesting".to_owned(),
            State::Dropped(Loss::OverBudget) => "over budget".to_owned(),
        };
        write!(f, "BufferedTrace({state})")
    }
}
