//! What each thread has: its block of cells, and the trace context it is in.
//!
//! Both lie in one thread-local line without a destructor, so that they can be read for as long as
//! the thread runs, in the destructors of other thread-locals too. A second thread-local has a
//! destructor and nothing else: it gives the block back. What is recorded after that goes to the cells
//! that all threads share.
//!
//! `fast` is the block while nothing else is asked of a recording, and null while it is: when the
//! thread has no block yet, or is inside of a sampled trace, where an exemplar may be due. So the hot
//! path makes one check for both.

#![expect(
    unsafe_code,
    reason = "the block is kept as a pointer, to be one load away"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use barograph_model::context::{TraceContext, TraceFlags};

use crate::pool::{Barrier, Block, Pool};

/// The cells of this process.
pub(crate) static POOL: Pool = Pool::new();

/// Pins of threads that have no block.
static ORPHAN_PINS: AtomicU64 = AtomicU64::new(0);

struct Local {
    fast: Cell<*const Block>,
    block: Cell<*const Block>,
    lease: Cell<Lease>,
    trace_high: Cell<u64>,
    trace_low: Cell<u64>,
    span: Cell<u64>,
    flags: Cell<u8>,
    /// Recordings that went to a shared cell.
    ticks: Cell<u32>,
    /// What was offered as an exemplar lately; see [`offers_again`].
    offered: [Cell<u64>; OFFERED],
}

/// Places for what was offered. Two things in one place take turns, which costs time and no more.
const OFFERED: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Lease {
    /// Nothing recorded yet.
    Unasked,
    /// There is a block, or there was none to be had.
    Asked,
    /// The thread is dying and gave its block back.
    Over,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            fast: Cell::new(std::ptr::null()),
            block: Cell::new(std::ptr::null()),
            lease: Cell::new(Lease::Unasked),
            trace_high: Cell::new(0),
            trace_low: Cell::new(0),
            span: Cell::new(0),
            flags: Cell::new(0),
            ticks: Cell::new(0),
            offered: [const { Cell::new(0) }; OFFERED],
        }
    };
    static GIVE_BACK: GiveBack = const { GiveBack };
}

struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        LOCAL.with(|local| {
            local.lease.set(Lease::Over);
            local.fast.set(std::ptr::null());
            let block = local.block.replace(std::ptr::null());
            // SAFETY: blocks are never freed.
            if let Some(block) = unsafe { block.as_ref() } {
                if block.is_pinned() {
                    // A reference outlives the thread's end, in the destructor of another
                    // thread-local. Its pin would be lost with the lease; so the lease goes on, and
                    // the block is never given to another thread.
                    local.block.set(block);
                } else {
                    POOL.give_back(block);
                }
            }
        });
    }
}

/// The block of this thread, when a recording needs nothing but its cell.
#[inline(always)]
pub(crate) fn fast_block() -> Option<&'static Block> {
    // SAFETY: blocks are never freed.
    LOCAL.with(|local| unsafe { local.fast.get().as_ref() })
}

/// The block of this thread, when it has one.
#[inline(always)]
pub(crate) fn leased_block() -> Option<&'static Block> {
    // SAFETY: blocks are never freed.
    LOCAL.with(|local| unsafe { local.block.get().as_ref() })
}

/// The block of this thread, leased if need be. None when there is none to be had.
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
    // Touching it registers the destructor; while the thread dies that can fail.
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

/// Whether the series whose shared cell this thread writes now shall get cells of its own.
///
/// Every so many times it says yes, whatever series it is. A busy series is soon there when it does,
/// and an idle one hardly ever: no counting for each series.
#[inline]
pub(crate) fn is_promotion_due() -> bool {
    const EVERY: u32 = 1024;
    LOCAL.with(|local| {
        let ticks = local.ticks.get().wrapping_add(1);
        local.ticks.set(ticks);
        ticks % EVERY == 0
    })
}

fn refresh_fast(local: &Local) {
    let sampled = local.flags.get() & TraceFlags::SAMPLED.bits() != 0;
    let fast = if sampled {
        std::ptr::null()
    } else {
        local.block.get()
    };
    local.fast.set(fast);
}

/// A reference that is not counted, as long as this lives. It stays on its thread.
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

/// Waits, by asking now and then, until all pins that were there at its beginning are gone.
pub(crate) struct Quiescence {
    pinned: Vec<&'static Block>,
    orphans: bool,
}

impl Quiescence {
    /// Begins after something was unlinked. None where the system has no barrier for it.
    pub(crate) fn begin() -> Option<Self> {
        Barrier::heavy().then(|| Quiescence {
            pinned: POOL.blocks(),
            orphans: true,
        })
    }

    /// Whether each thread was seen without a pin since.
    pub(crate) fn is_over(&mut self) -> bool {
        self.pinned.retain(|block| block.is_pinned());
        // Acquire: pairs with the Release in `unpin_orphan`.
        self.orphans &= ORPHAN_PINS.load(Ordering::Acquire) != 0;
        self.pinned.is_empty() && !self.orphans
    }
}

/// The trace context of this thread.
#[inline]
pub(crate) fn context() -> Option<TraceContext> {
    LOCAL.with(|local| {
        let trace = u128::from(local.trace_high.get()) << 64 | u128::from(local.trace_low.get());
        TraceContext::new(
            trace,
            local.span.get(),
            TraceFlags::from_bits(local.flags.get()),
        )
    })
}

/// Whether this thread is inside of a sampled trace.
#[inline]
pub(crate) fn is_sampled() -> bool {
    LOCAL.with(|local| local.flags.get() & TraceFlags::SAMPLED.bits() != 0)
}

/// Whether this thread has offered an exemplar of this thing, told by a number, in this epoch
/// already. From now on it has.
#[inline(always)]
pub(crate) fn offers_again(thing: u64, epoch: u64) -> bool {
    LOCAL.with(|local| {
        let mark = thing ^ epoch.rotate_right(16);
        let place = &local.offered[(thing ^ thing >> 6) as usize % OFFERED];
        let again = place.get() == mark;
        if !again {
            place.set(mark);
        }
        again
    })
}

/// Sets the trace context of this thread.
#[inline]
pub(crate) fn set_context(context: Option<TraceContext>) {
    LOCAL.with(|local| {
        let (trace, span, flags) = context.map_or((0, 0, 0), |c| {
            (c.trace_id().get(), c.span_id().get(), c.flags().bits())
        });
        local.trace_high.set((trace >> 64) as u64);
        local.trace_low.set(trace as u64);
        local.span.set(span);
        local.flags.set(flags);
        refresh_fast(local);
    });
}
