//! The state of each thread: its block of cells, and its current trace context.
//!
//! Both are in one thread-local line without a destructor, so that they can be read for as long as the
//! thread runs, also in the destructors of other thread-locals. A second thread-local has only a
//! destructor: it gives the block back. Later recordings go to the cells that all threads share.
//!
//! `fast` is the block while a recording needs nothing else, and null otherwise: when the thread has no
//! block yet, or is inside a trace that is sampled or a tail-sampling candidate, where an exemplar may
//! be due. So the hot path makes one check for all of them.

#![expect(
    unsafe_code,
    reason = "the block is kept as a pointer, to be one load away"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use barograph_model::context::{Propagation, TraceContext, TraceFlags};

use crate::series::exemplar::Candidate;
use crate::sync::pool::{Barrier, Block, Pool};
use crate::sync::{AtomicU64, Ordering, Step, is_failed_model, is_left_out};

/// The pool of this process.
#[cfg(not(loom))]
pub(crate) static POOL: Pool = Pool::new();

/// The number of pins of threads that have no block.
#[cfg(not(loom))]
static ORPHAN_PINS: AtomicU64 = AtomicU64::new(0);

// The model checker begins each interleaving with new ones.
#[cfg(loom)]
loom::lazy_static! {
    pub(crate) static ref POOL: Pool = Pool::new();
    static ref ORPHAN_PINS: AtomicU64 = AtomicU64::new(0);
}

struct Local {
    fast: Cell<*const Block>,
    block: Cell<*const Block>,
    lease: Cell<Lease>,
    trace_high: Cell<u64>,
    trace_low: Cell<u64>,
    span: Cell<u64>,
    /// The flags of the trace, [`REMOTE`] and [`CANDIDATE`].
    flags: Cell<u64>,
    /// Data of the current context besides the trace. Never dropped here: a destructor would make every
    /// access slower.
    rest: ManuallyDrop<Cell<Option<Arc<Carried>>>>,
    /// The number of recordings that went to a shared cell.
    ticks: Cell<u32>,
    /// Marks of the exemplars that were recorded recently; see [`has_recorded_exemplar`].
    recorded_exemplars: [Cell<u64>; RECORDED_EXEMPLARS],
}

/// The number of places for marks of exemplars. Two keys in one place evict each other, which only costs
/// time.
const RECORDED_EXEMPLARS: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Lease {
    /// Nothing recorded yet.
    Unasked,
    /// There is a block, or none was available.
    Asked,
    /// The thread is ending and gave its block back.
    Over,
}

impl Local {
    const fn new() -> Self {
        Local {
            fast: Cell::new(std::ptr::null()),
            block: Cell::new(std::ptr::null()),
            lease: Cell::new(Lease::Unasked),
            trace_high: Cell::new(0),
            trace_low: Cell::new(0),
            span: Cell::new(0),
            flags: Cell::new(0),
            rest: ManuallyDrop::new(Cell::new(None)),
            ticks: Cell::new(0),
            recorded_exemplars: [const { Cell::new(0) }; RECORDED_EXEMPLARS],
        }
    }

    /// Ends the lease when the thread ends.
    #[cfg_attr(
        loom,
        allow(dead_code, reason = "models call it, the library alone does not")
    )]
    fn give_back(&self) {
        self.lease.set(Lease::Over);
        self.fast.set(std::ptr::null());
        let block = self.block.replace(std::ptr::null());
        // SAFETY: blocks are never freed.
        if let Some(block) = unsafe { block.as_ref() } {
            if block.is_pinned() {
                // A reference outlives the thread's end, in the destructor of another thread-local. Its
                // pin would be lost with the lease; so the lease continues, and the block is never
                // given to another thread.
                self.block.set(block);
            } else {
                POOL.give_back(block);
            }
        }
    }
}

#[cfg(not(loom))]
thread_local! {
    static LOCAL: Local = const { Local::new() };
    static GIVE_BACK: GiveBack = const { GiveBack };
}

// Loom runs the destructors of thread-locals when `LOCAL` and `POOL` may already be dropped: there the
// model ends the lease.
#[cfg(loom)]
loom::thread_local! {
    static LOCAL: Local = Local::new();
    static GIVE_BACK: () = ();
}

#[cfg(not(loom))]
struct GiveBack;

#[cfg(not(loom))]
impl Drop for GiveBack {
    fn drop(&mut self) {
        LOCAL.with(Local::give_back);
    }
}

/// Ends the lease of this thread, as a thread of a model does before it is joined.
#[cfg(all(test, loom))]
pub(crate) fn end_lease() {
    LOCAL.with(Local::give_back);
}

/// Returns the block of this thread, if a recording needs nothing but its cell.
#[inline(always)]
pub(crate) fn fast_block() -> Option<&'static Block> {
    // SAFETY: blocks are never freed.
    LOCAL.with(|local| unsafe { local.fast.get().as_ref() })
}

/// Returns the block of this thread, if it has one.
#[inline(always)]
pub(crate) fn leased_block() -> Option<&'static Block> {
    // SAFETY: blocks are never freed.
    LOCAL.with(|local| unsafe { local.block.get().as_ref() })
}

/// Returns the block of this thread, leased if needed. Returns `None` if none is available.
#[inline]
pub(crate) fn block() -> Option<&'static Block> {
    LOCAL.with(|local| {
        // SAFETY: blocks are never freed.
        match unsafe { local.block.get().as_ref() } {
            Some(block) => Some(block),
            None => lease(local),
        }
    })
}

#[cold]
fn lease(local: &Local) -> Option<&'static Block> {
    if local.lease.get() != Lease::Unasked {
        return None;
    }
    // Touching it registers the destructor; while the thread ends that can fail.
    if GIVE_BACK.try_with(|_| ()).is_err() {
        local.lease.set(Lease::Over);
        return None;
    }
    local.lease.set(Lease::Asked);
    let block = POOL.lease()?;
    local.block.set(block);
    refresh_fast(local);
    Some(block)
}

/// Returns true if the series whose shared cell this thread writes now is due to get its own cells.
///
/// It returns true once in a fixed number of calls, whatever the series is. A busy series is soon the
/// one that is written then, and an idle one hardly ever is: no count for each series is needed.
#[inline]
pub(crate) fn is_promotion_due() -> bool {
    const EVERY: u32 = if cfg!(loom) { 2 } else { 1024 };
    LOCAL.with(|local| {
        let ticks = local.ticks.get().wrapping_add(1);
        local.ticks.set(ticks);
        ticks % EVERY == 0
    })
}

fn refresh_fast(local: &Local) {
    let fast = if local.flags.get() & (SAMPLED | CANDIDATE) != 0 {
        std::ptr::null()
    } else {
        local.block.get()
    };
    local.fast.set(fast);
}

/// A reference that is not counted, for as long as this lives. It stays on its thread.
pub(crate) struct Pin {
    block: Option<&'static Block>,
    on_this_thread: PhantomData<*const ()>,
}

impl Pin {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let block = block();
        match block {
            Some(block) => block.pin(),
            None => pin_orphan(),
        }
        Pin {
            block,
            on_this_thread: PhantomData,
        }
    }
}

impl Drop for Pin {
    #[inline(always)]
    fn drop(&mut self) {
        if is_failed_model() {
            return;
        }
        match self.block {
            Some(block) => block.unpin(),
            None => unpin_orphan(),
        }
    }
}

#[cold]
fn pin_orphan() {
    // SeqCst: pairs with the load in `Quiescence::begin`, by way of the fence in `Barrier::heavy`.
    ORPHAN_PINS.fetch_add(1, Ordering::SeqCst);
    Barrier::light();
}

#[cold]
fn unpin_orphan() {
    // Release: pairs with the Acquire in `Quiescence::is_over`.
    ORPHAN_PINS.fetch_sub(1, Ordering::Release);
}

/// Waits, by polling, until all pins that existed at its beginning are released.
pub(crate) struct Quiescence {
    pinned: Vec<&'static Block>,
    orphans: bool,
}

impl Quiescence {
    /// Begins after something was unlinked. Returns `None` if the system has no barrier for it.
    pub(crate) fn begin() -> Option<Self> {
        Barrier::heavy().then(|| Quiescence {
            pinned: POOL.blocks().to_vec(),
            orphans: !is_left_out(Step::WaitForOrphans),
        })
    }

    /// Returns true if each thread was seen without a pin since the beginning.
    pub(crate) fn is_over(&mut self) -> bool {
        self.pinned.retain(|block| block.is_pinned());
        // Acquire: pairs with the Release in `unpin_orphan`.
        self.orphans &= ORPHAN_PINS.load(Ordering::Acquire) != 0;
        self.pinned.is_empty() && !self.orphans
    }
}

/// Returns the trace context of this thread.
#[inline]
pub(crate) fn context() -> Option<TraceContext> {
    LOCAL.with(|local| Words::of(local).context())
}

/// Returns the current context of this thread.
pub(crate) fn capture() -> (Words, Option<Arc<Carried>>) {
    LOCAL.with(|local| {
        let rest = local.rest.take();
        let copy = rest.clone();
        local.rest.set(rest);
        (Words::of(local), copy)
    })
}

/// Returns true if anything is current besides the trace context.
#[inline]
pub(crate) fn has_rest() -> bool {
    LOCAL.with(|local| {
        let rest = local.rest.take();
        let has_rest = rest.is_some();
        local.rest.set(rest);
        has_rest
    })
}

/// The data of a current context besides the trace context.
#[derive(Clone, Default)]
pub(crate) struct Carried {
    /// Propagated data that a trace context does not hold; its trace is not used.
    pub(crate) propagation: Propagation,
    /// The candidate to ask if the trace is not sampled; see [`CANDIDATE`].
    pub(crate) candidate: Option<Arc<dyn Candidate>>,
}

/// Replaces the current context of this thread, and returns the previous one.
#[inline(always)]
pub(crate) fn replace(words: Words, rest: Option<Arc<Carried>>) -> (Words, Option<Arc<Carried>>) {
    LOCAL.with(|local| {
        let before = Words::of(local);
        words.store(local);
        (before, local.rest.replace(rest))
    })
}

/// Replaces the current context of this thread, and drops the previous one.
#[inline(always)]
pub(crate) fn restore(words: Words, rest: Option<Arc<Carried>>) {
    LOCAL.with(|local| {
        words.store(local);
        drop(local.rest.replace(rest));
    });
}

/// A trace context in words, all zero if there is no context.
#[derive(Clone, Copy, Default)]
pub(crate) struct Words {
    trace_high: u64,
    trace_low: u64,
    span: u64,
    flags: u64,
}

const SAMPLED: u64 = TraceFlags::SAMPLED.bits() as u64;

/// Loads one word, and no two at once: a wide load that follows two narrow stores waits until both have
/// left the store buffer. Entering a context is mostly followed by leaving it: together they would take
/// 10 ns instead of 6.
#[inline(always)]
fn load(word: &Cell<u64>) -> u64 {
    // SAFETY: the pointer comes from a reference; a cell is not shared between threads.
    unsafe { word.as_ptr().read_volatile() }
}

/// Stores one word, and no two at once, for the same reason.
#[inline(always)]
fn store(word: &Cell<u64>, value: u64) {
    // SAFETY: as in `load`; nothing holds a reference to what is in a cell.
    unsafe { word.as_ptr().write_volatile(value) }
}

/// The context came from another process.
const REMOTE: u64 = 1 << 8;

/// The trace is not sampled, but there is a tail-sampling candidate to ask.
const CANDIDATE: u64 = 1 << 9;

impl Words {
    pub(crate) const NONE: Words = Words {
        trace_high: 0,
        trace_low: 0,
        span: 0,
        flags: 0,
    };

    #[inline(always)]
    fn of(local: &Local) -> Self {
        Words {
            trace_high: load(&local.trace_high),
            trace_low: load(&local.trace_low),
            span: load(&local.span),
            flags: load(&local.flags),
        }
    }

    #[inline(always)]
    fn store(self, local: &Local) {
        store(&local.trace_high, self.trace_high);
        store(&local.trace_low, self.trace_low);
        store(&local.span, self.span);
        store(&local.flags, self.flags);
        refresh_fast(local);
    }

    #[inline]
    pub(crate) fn context(self) -> Option<TraceContext> {
        let trace = u128::from(self.trace_high) << 64 | u128::from(self.trace_low);
        let context = TraceContext::new(trace, self.span, TraceFlags::from_bits(self.flags as u8))?;
        Some(match self.flags & REMOTE {
            0 => context,
            _ => context.as_remote(),
        })
    }
}

impl Words {
    /// Marks the trace as a tail-sampling candidate, unless it is sampled.
    pub(crate) fn as_candidate(mut self) -> Self {
        if self.flags & SAMPLED == 0 {
            self.flags |= CANDIDATE;
        }
        self
    }

    /// Replaces the span; in the same trace the candidate stays.
    #[inline]
    pub(crate) fn with_trace(self, context: TraceContext) -> Self {
        let new = Words::from(context);
        let is_same = (self.trace_high, self.trace_low) == (new.trace_high, new.trace_low);
        if is_same && self.flags & CANDIDATE != 0 {
            new.as_candidate()
        } else {
            new
        }
    }
}

impl From<TraceContext> for Words {
    #[inline]
    fn from(context: TraceContext) -> Self {
        let trace = context.trace_id().get();
        let remote = if context.is_remote() { REMOTE } else { 0 };
        Words {
            trace_high: (trace >> 64) as u64,
            trace_low: trace as u64,
            span: context.span_id().get(),
            flags: u64::from(context.flags().bits()) | remote,
        }
    }
}

/// Returns true if this thread is inside a trace that is sampled or a tail-sampling candidate.
#[inline]
pub(crate) fn may_record_exemplar() -> bool {
    LOCAL.with(|local| local.flags.get() & (SAMPLED | CANDIDATE) != 0)
}

/// Returns true if the trace that this thread is inside of is exported: because it is sampled, or
/// because its candidate agrees.
#[cold]
pub(crate) fn is_exported() -> bool {
    let (words, rest) = capture();
    let candidate = match words.flags & (SAMPLED | CANDIDATE) {
        CANDIDATE => rest.as_ref().and_then(|rest| rest.candidate.as_ref()),
        flags => return flags & SAMPLED != 0,
    };
    candidate.is_some_and(|candidate| candidate.choose())
}

/// Returns true if this thread has already tried to record an exemplar with this key in this epoch.
#[inline(always)]
pub(crate) fn has_recorded_exemplar(key: u64, epoch: u64) -> bool {
    LOCAL.with(|local| place_of(local, key).get() == mark(key, epoch))
}

/// Notes that it tries to record one now. Returns false for a tail-sampling candidate that was already
/// refused in this epoch.
pub(crate) fn begin_exemplar(key: u64, epoch: u64) -> bool {
    LOCAL.with(|local| {
        let (place, mark) = (place_of(local, key), mark(key, epoch));
        let is_sampled = local.flags.get() & SAMPLED != 0;
        let is_allowed = is_sampled || place.get() != mark ^ REFUSED;
        if is_allowed {
            place.set(mark);
        }
        is_allowed
    })
}

/// Notes that the exemplar was refused. Sampled traces may still record one.
pub(crate) fn note_refused_exemplar(key: u64, epoch: u64) {
    LOCAL.with(|local| place_of(local, key).set(mark(key, epoch) ^ REFUSED));
}

/// A bit that makes another mark. Two keys that differ only in this bit have different places.
const REFUSED: u64 = 1 << 9;

#[inline(always)]
fn mark(key: u64, epoch: u64) -> u64 {
    key ^ epoch.rotate_right(16)
}

#[inline(always)]
fn place_of(local: &Local, key: u64) -> &Cell<u64> {
    &local.recorded_exemplars[(key ^ key >> 6) as usize % RECORDED_EXEMPLARS]
}
