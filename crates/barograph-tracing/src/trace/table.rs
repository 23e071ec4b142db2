//! The open spans of a layer, by their `tracing` id.
//!
//! A registry can store such data itself, behind two locks and a hash map for each span. Entering a
//! span that is not recorded must not cost that much, so this is a separate table, in which a few
//! loads find a span.
//!
//! # Protocol
//!
//! A slot is free while its id is 0. The thread that starts a span swaps the id into a free slot
//! near the home of the id, and fills the slot; the thread that closes the span empties the slot
//! and sets the id to 0 again. Between the two, only holders of a `tracing` handle reach the span,
//! and a handle gets to another thread in a way that makes earlier writes visible there. So loads
//! and stores of the words need no ordering of their own. Code that walks over all slots, without
//! handles, uses only the data behind the lock.
//!
//! There are levels, each twice as large as the one before; a span that finds no free slot near its
//! home in one level tries the next, which is allocated when it is needed and never freed. The ids
//! of a registry are places that are reused, so the same few cache lines serve the same thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use barograph_core::current::Current;
use barograph_model::context::{TraceContext, TraceFlags};

use super::open::Open;

/// The open spans of a layer.
pub(super) struct Table {
    first: Box<[Slot]>,
    rest: [OnceLock<Box<[Slot]>>; 11],
}

/// A place for one span.
#[repr(align(64))]
pub(super) struct Slot {
    id: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    span: AtomicU64,
    /// The trace flags, [`RECORDED`] and [`MORE`].
    flags: AtomicU64,
    body: Mutex<Body>,
}

/// Data of a span that is not always present.
#[derive(Default)]
pub(super) struct Body {
    /// The record of the span, while it is recorded.
    pub(super) open: Option<Open>,
    /// The current context inside of the span, if it is more than a trace context.
    more: Option<Current>,
}

/// The number of slots in the first level.
const FIRST: usize = 512;
/// The number of slots that are searched for a span in each level.
const WAYS: usize = 4;

const RECORDED: u64 = 1 << 8;
const MORE: u64 = 1 << 9;

impl Table {
    pub(super) fn new() -> Self {
        Table {
            first: slots(FIRST),
            rest: [const { OnceLock::new() }; 11],
        }
    }

    /// Returns the slot of a span, if this layer has seen the span start and not close.
    #[inline]
    pub(super) fn find(&self, id: u64) -> Option<&Slot> {
        let near = near(&self.first, id);
        let found = near.iter().find(|slot| slot.is(id));
        found.or_else(|| self.find_deeper(id))
    }

    #[cold]
    fn find_deeper(&self, id: u64) -> Option<&Slot> {
        let mut levels = self.rest.iter().map_while(|level| level.get());
        levels.find_map(|level| near(level, id).iter().find(|slot| slot.is(id)))
    }

    /// Puts a span into a free slot. Returns false if there is none. The current context inside of
    /// the span is `more`, or else `context`.
    #[inline(always)]
    pub(super) fn insert(
        &self,
        id: u64,
        context: TraceContext,
        more: Option<Current>,
        open: Option<Open>,
    ) -> bool {
        let near = near(&self.first, id);
        let found = near.iter().find(|slot| slot.take(id));
        let Some(slot) = found.or_else(|| self.grow(id)) else {
            return false;
        };
        slot.fill(context, more, open);
        true
    }

    #[cold]
    fn grow(&self, id: u64) -> Option<&Slot> {
        self.rest.iter().enumerate().find_map(|(at, level)| {
            let level = level.get_or_init(|| slots(FIRST << (at + 1)));
            near(level, id).iter().find(|slot| slot.take(id))
        })
    }

    /// Returns the slots of all spans that are recorded at this moment.
    pub(super) fn recorded(&self) -> impl Iterator<Item = &Slot> {
        self.levels().flatten().filter(|slot| slot.is_recorded())
    }

    #[inline]
    fn levels(&self) -> impl Iterator<Item = &[Slot]> {
        let rest = self.rest.iter().map_while(|level| level.get());
        std::iter::once(&*self.first).chain(rest.map(|level| &**level))
    }
}

fn slots(count: usize) -> Box<[Slot]> {
    (0..count).map(|_| Slot::new()).collect()
}

/// Returns the slots of a level that may hold a span with this id.
#[inline]
fn near(level: &[Slot], id: u64) -> &[Slot] {
    // In the id of a registry, the low bits are a place on a page of one thread, the bits from 38
    // on identify the thread, and the bits above them count the uses of the place.
    let home = id.wrapping_add((id >> 38 & 0x1fff).wrapping_mul(37)) as usize;
    // A power of two, like the length of every level.
    let sets = level.len() / WAYS;
    let first = (home & (sets - 1)) * WAYS;
    &level[first..first + WAYS]
}

impl Slot {
    fn new() -> Self {
        Slot {
            id: AtomicU64::new(0),
            trace_high: AtomicU64::new(0),
            trace_low: AtomicU64::new(0),
            span: AtomicU64::new(0),
            flags: AtomicU64::new(0),
            body: Mutex::default(),
        }
    }

    #[inline]
    fn is(&self, id: u64) -> bool {
        self.id.load(Ordering::Relaxed) == id
    }

    #[inline]
    fn take(&self, id: u64) -> bool {
        // Acquire: pairs with the Release in `empty`.
        let swap = |id| {
            self.id
                .compare_exchange(0, id, Ordering::Acquire, Ordering::Relaxed)
        };
        self.is(0) && swap(id).is_ok()
    }

    #[inline(always)]
    fn fill(&self, context: TraceContext, more: Option<Current>, open: Option<Open>) {
        let more = more.filter(Current::has_more);
        let mut marks = 0;
        if open.is_some() || more.is_some() {
            let mut body = self.body();
            if open.is_some() {
                marks |= RECORDED;
                body.open = open;
            }
            if more.is_some() {
                marks |= MORE;
                body.more = more;
            }
        }
        self.store(context, marks);
    }

    /// Replaces the current context inside of the span.
    pub(super) fn set(&self, body: &mut Body, current: Current) {
        let recorded = self.flags.load(Ordering::Relaxed) & RECORDED;
        let more = if current.has_more() { MORE } else { 0 };
        if let Some(context) = current.context() {
            self.store(context, recorded | more);
        }
        body.more = (more != 0).then_some(current);
    }

    #[inline]
    fn store(&self, context: TraceContext, marks: u64) {
        let trace = context.trace_id().get();
        let flags = u64::from(context.flags().bits()) | marks;
        for (word, value) in [
            (&self.trace_high, (trace >> 64) as u64),
            (&self.trace_low, trace as u64),
            (&self.span, context.span_id().get()),
            (&self.flags, flags),
        ] {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Returns the trace context of the span.
    #[inline]
    pub(super) fn context(&self) -> Option<TraceContext> {
        let [high, low, span, flags] = [&self.trace_high, &self.trace_low, &self.span, &self.flags]
            .map(|word| word.load(Ordering::Relaxed));
        let trace = u128::from(high) << 64 | u128::from(low);
        TraceContext::new(trace, span, TraceFlags::from_bits(flags as u8))
    }

    /// Returns the current context inside of the span.
    #[inline]
    pub(super) fn current(&self) -> Current {
        if self.has_more()
            && let Some(current) = &self.body().more
        {
            return current.clone();
        }
        self.context().map(Current::from).unwrap_or_default()
    }

    /// Returns true if the current context inside of the span is more than a trace context.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & MORE != 0
    }

    /// Returns true if the span is recorded.
    #[inline]
    pub(super) fn is_recorded(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & RECORDED != 0
    }

    /// Starts recording the span.
    pub(super) fn record(&self, body: &mut Body, open: Open) {
        body.open = Some(open);
        self.flags.fetch_or(RECORDED, Ordering::Relaxed);
    }

    /// Stops recording the span, and returns its record.
    pub(super) fn stop_recording(&self) -> Option<Open> {
        // Under the lock: after the span is closed, the slot may be reused for another span.
        let mut body = self.body();
        let open = body.open.take();
        if open.is_some() {
            self.flags.fetch_and(!RECORDED, Ordering::Relaxed);
        }
        open
    }

    /// Locks the data that is not always present. No foreign code runs while it is locked.
    #[inline]
    pub(super) fn body(&self) -> MutexGuard<'_, Body> {
        // A panic cannot leave it in an inconsistent state, so poisoning is ignored.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees the slot, and returns the record of the span.
    #[inline]
    pub(super) fn empty(&self) -> Option<Open> {
        let marks = self.flags.load(Ordering::Relaxed) & (RECORDED | MORE);
        let mut body = Body::default();
        if marks != 0 {
            body = std::mem::take(&mut *self.body());
        }
        self.flags.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `take`.
        self.id.store(0, Ordering::Release);
        body.open
    }
}

#[cfg(test)]
mod tests {
    use barograph_core::ids;

    use super::*;

    #[test]
    fn spans_are_found_until_they_are_gone() {
        let table = Table::new();
        // Ids as a registry makes them: pages of several threads, used several times.
        let ids: Vec<u64> = (0..40_000)
            .map(|at| 1 + at % 5_000 + ((at / 5_000) << 38) + ((at % 7) << 51))
            .collect();
        let contexts: Vec<_> = ids.iter().map(|_| ids::new_trace()).collect();
        for (id, context) in ids.iter().zip(&contexts) {
            assert!(table.insert(*id, *context, None, None));
        }
        for (id, context) in ids.iter().zip(&contexts) {
            let slot = table.find(*id).expect("it is there");
            assert_eq!(slot.context(), Some(*context));
        }
        for id in &ids {
            assert!(table.find(*id).expect("it is there").empty().is_none());
            assert!(table.find(*id).is_none());
        }
        assert!(table.insert(7, contexts[0], None, None));
        assert!(
            table.first.iter().any(|slot| slot.is(7)),
            "a slot is used again"
        );
    }

    #[test]
    fn spans_without_a_slot_are_refused() {
        let table = Table::new();
        let context = ids::new_trace();
        // All of these ids have the same home on every level.
        let ids = (0..).map(|at| 1 + (at << 51));
        let taken = ids.take_while(|id| table.insert(*id, context, None, None));
        assert_eq!(taken.count(), WAYS * 12);
    }
}
