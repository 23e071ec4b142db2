//! Memory that one thread writes at a time: blocks of cells, leased to threads, and the slots in them.
//!
//! # Protocol
//!
//! * A **slot** is a number that a busy series is given. Every block has a place for every slot, so
//!   a thread finds its own cell of a series by the slot alone.
//! * A **block** is leased by one thread, and only the lessee writes its cells: plain loads and stores.
//!   A thread that ends gives its block back and the next lessee continues to add to it. Nothing is
//!   flushed, reset or freed on the way, so there is no moment at which a value is in two places or in
//!   none. The lock around the lists hands over: what the last lessee wrote, the next one sees.
//! * A **reader** adds up the cells of a slot over all blocks, with relaxed loads. Each cell only
//!   grows, so what one reader sees never goes back.
//! * Chunks of cells are made by the lessee on first touch and published once. They count against a
//!   **budget** of bytes for the whole process; past it a thread has no cell and adds to the cell that
//!   all threads share.
//! * **Pins** mark that a thread holds a reference which it found in a table and has not counted.
//!   Memory is reused only after it was unlinked, then every running thread has passed a barrier
//!   ([`Barrier`]), and then each block was seen without a pin. A thread that pins after the barrier
//!   sees the table without the entry; one that pinned before is seen.
//! * A slot is given back when no thread can write to it any longer. Its cells are set to zero then,
//!   under the lock that hands out slots.

#![expect(unsafe_code, reason = "cells are published by pointer and never freed")]

use std::sync::Arc;

use crate::sync::row;
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering, fence, lock};

/// The cells in a chunk: 4 KiB.
pub(crate) const CHUNK: usize = if cfg!(loom) { 2 } else { 512 };
const CELL_CHUNKS: usize = if cfg!(loom) { 2 } else { 128 };
const ROW_CHUNKS: usize = if cfg!(loom) { 2 } else { 8 };
const CHUNK_BYTES: usize = CHUNK * size_of::<u64>();

/// The cells and rows of one lease.
#[repr(align(64))]
pub(crate) struct Block {
    /// The number of uncounted references that the lessee holds at this moment. So wide that references
    /// which are forgotten, and not dropped, cannot make it wrap around.
    pins: AtomicU64,
    cells: [AtomicPtr<[AtomicU64; CHUNK]>; CELL_CHUNKS],
    rows: [AtomicPtr<[AtomicPtr<AtomicU64>; CHUNK]>; ROW_CHUNKS],
}

impl Block {
    fn new() -> Self {
        Block {
            pins: AtomicU64::new(0),
            cells: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            rows: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
        }
    }

    /// Returns the cell of a slot, if it was touched before. Slot 0 has none: it means "no slot".
    #[inline(always)]
    pub(crate) fn cell(&self, slot: u32) -> Option<&AtomicU64> {
        let slot = slot as usize;
        // Acquire: pairs with the Release in `make_cell`. On the lessee's own thread it costs
        // nothing on x86-64.
        let chunk = self.cells[(slot / CHUNK) % CELL_CHUNKS].load(Ordering::Acquire);
        // SAFETY: a chunk is published whole and lives as long as its block, which is for ever.
        unsafe { chunk.as_ref() }.map(|chunk| &chunk[slot % CHUNK])
    }

    /// Returns the row of a slot, if it was touched before.
    #[inline(always)]
    pub(crate) fn row(&self, slot: u32) -> Option<*const AtomicU64> {
        let slot = slot as usize;
        // Acquire: pairs with the Release in `make_row`.
        let chunk = self.rows[(slot / CHUNK) % ROW_CHUNKS].load(Ordering::Acquire);
        // SAFETY: as in `cell`.
        let chunk = unsafe { chunk.as_ref() }?;
        // Acquire: pairs with the Release in `make_row`.
        let row = chunk[slot % CHUNK].load(Ordering::Acquire);
        (!row.is_null()).then_some(row.cast_const())
    }

    /// Counts a reference that no handle counts.
    #[inline(always)]
    pub(crate) fn pin(&self) {
        let pins = self.pins.load(Ordering::Relaxed);
        self.pins.store(pins.wrapping_add(1), Ordering::Relaxed);
        Barrier::light();
    }

    /// Takes back one [`pin`](Self::pin).
    #[inline(always)]
    pub(crate) fn unpin(&self) {
        let pins = self.pins.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `is_pinned`; what was done under the pin is visible.
        self.pins.store(pins.wrapping_sub(1), Ordering::Release);
    }

    /// Returns true if the lessee holds a reference. Reliable only after [`Barrier::heavy`].
    pub(crate) fn is_pinned(&self) -> bool {
        // Acquire: pairs with the Release in `unpin`.
        self.pins.load(Ordering::Acquire) != 0
    }
}

/// A barrier of two unequal halves: nothing on the side that pins, everything on the other.
///
/// On Linux the heavy half is `membarrier(2)`, which makes every running thread of the process pass
/// a full barrier. Elsewhere, and in the model checker, both halves are a fence.
pub(crate) struct Barrier;

impl Barrier {
    /// The half for a thread that pins.
    #[inline(always)]
    pub(crate) fn light() {
        // SeqCst: pairs with the system call in `heavy`, which is a fence on this thread; only the
        // compiler has to be restrained.
        #[cfg(all(target_os = "linux", not(loom)))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        // SeqCst: pairs with the fence in `heavy`.
        #[cfg(any(not(target_os = "linux"), loom))]
        fence(Ordering::SeqCst);
    }

    /// The half for a thread that unlinked something. Returns false if the system has no such barrier:
    /// then nothing may be reused.
    pub(crate) fn heavy() -> bool {
        // SeqCst: pairs with the fence in `light`, or orders the unlinking before the system call.
        fence(Ordering::SeqCst);
        #[cfg(all(target_os = "linux", not(loom)))]
        return membarrier();
        #[cfg(any(not(target_os = "linux"), loom))]
        true
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
fn membarrier() -> bool {
    use std::sync::OnceLock;
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let call = |command: libc::c_int| {
        // SAFETY: membarrier(2) takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    };
    *REGISTERED.get_or_init(|| call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
        && call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}

/// All blocks and slots. The process has one pool; a model makes its own.
pub(crate) struct Pool {
    blocks: Mutex<Blocks>,
    slots: Mutex<Slots>,
    /// The bytes in blocks, chunks and rows.
    used: AtomicU64,
    budget: AtomicU64,
}

struct Blocks {
    /// Shared with readers, which need not copy it for each batch. `None` before the first block.
    all: Option<Arc<Vec<&'static Block>>>,
    free: Vec<&'static Block>,
    limit: usize,
}

struct Slots {
    cells: SlotList,
    rows: SlotList,
}

/// Slots of one kind: those given back, and the first that was never taken.
struct SlotList {
    free: Vec<u32>,
    next: u32,
    end: u32,
}

impl SlotList {
    const fn new(chunks: usize) -> Self {
        SlotList {
            free: Vec::new(),
            // The first chunk stays empty, so that slot 0 finds no cell: one check less on each
            // addition.
            next: CHUNK as u32,
            end: (chunks * CHUNK) as u32,
        }
    }

    fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let slot = self.next;
            (slot < self.end).then(|| {
                self.next += 1;
                slot
            })
        })
    }
}

/// The default budget of a process.
pub(crate) const DEFAULT_BUDGET: u64 = 64 << 20;

impl Pool {
    /// Returns an empty pool. The first lease determines how many blocks it may lease.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Pool {
            blocks: Mutex::new(Blocks {
                all: None,
                free: Vec::new(),
                limit: 0,
            }),
            slots: Mutex::new(Slots {
                cells: SlotList::new(CELL_CHUNKS),
                rows: SlotList::new(ROW_CHUNKS),
            }),
            used: AtomicU64::new(0),
            budget: AtomicU64::new(DEFAULT_BUDGET),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Pool {
            blocks: Mutex::new(Blocks {
                all: None,
                free: Vec::new(),
                limit: 4,
            }),
            slots: Mutex::new(Slots {
                cells: SlotList::new(CELL_CHUNKS),
                rows: SlotList::new(ROW_CHUNKS),
            }),
            used: AtomicU64::new(0),
            budget: AtomicU64::new(DEFAULT_BUDGET),
        }
    }

    /// Leases a block to this thread: one that a thread gave back, or a new one. Returns `None` if
    /// there are already as many blocks as readers can be expected to add up, or the budget is spent.
    pub(crate) fn lease(&self) -> Option<&'static Block> {
        let mut blocks = lock(&self.blocks);
        if let Some(block) = blocks.free.pop() {
            return Some(block);
        }
        if blocks.limit == 0 {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            blocks.limit = (4 * cores).max(64);
        }
        let count = blocks.all.as_ref().map_or(0, |all| all.len());
        if count >= blocks.limit || !self.spend(size_of::<Block>()) {
            return None;
        }
        let block = &*Box::leak(Box::new(Block::new()));
        Arc::make_mut(blocks.all.get_or_insert_default()).push(block);
        Some(block)
    }

    /// Takes a block back from its lessee, with its values.
    pub(crate) fn give_back(&self, block: &'static Block) {
        lock(&self.blocks).free.push(block);
    }

    /// Returns all blocks ever made, leased or not.
    pub(crate) fn blocks(&self) -> Arc<Vec<&'static Block>> {
        Arc::clone(lock(&self.blocks).all.get_or_insert_default())
    }

    /// Returns the cell of a slot in the block that this thread leases, made if needed. Returns `None`
    /// past the budget.
    pub(crate) fn make_cell<'a>(&self, block: &'a Block, slot: u32) -> Option<&'a AtomicU64> {
        if let Some(cell) = block.cell(slot) {
            return Some(cell);
        }
        if !self.spend(CHUNK_BYTES) {
            return None;
        }
        let chunk: Box<[AtomicU64; CHUNK]> = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        // Release: pairs with the Acquire in `cell`.
        block.cells[slot as usize / CHUNK].store(Box::into_raw(chunk), Ordering::Release);
        block.cell(slot)
    }

    /// Returns the row of a slot in the block that this thread leases, made if needed. Returns `None`
    /// past the budget.
    pub(crate) fn make_row(
        &self,
        block: &Block,
        slot: u32,
        buckets: usize,
    ) -> Option<*const AtomicU64> {
        if let Some(row) = block.row(slot) {
            return Some(row);
        }
        let index = slot as usize;
        // Acquire: pairs with the Release below, of an earlier lessee.
        if block.rows[index / CHUNK].load(Ordering::Acquire).is_null() {
            if !self.spend(CHUNK_BYTES) {
                return None;
            }
            let chunk: Box<[AtomicPtr<AtomicU64>; CHUNK]> =
                Box::new(std::array::from_fn(
                    |_| AtomicPtr::new(std::ptr::null_mut()),
                ));
            // Release: pairs with the Acquire in `row`.
            block.rows[index / CHUNK].store(Box::into_raw(chunk), Ordering::Release);
        }
        let words = row::words(buckets);
        if !self.spend(words * size_of::<u64>()) {
            return None;
        }
        // Acquire: as above.
        let chunk = block.rows[index / CHUNK].load(Ordering::Acquire);
        // SAFETY: not null, see above; a chunk lives as long as its block.
        let chunk = unsafe { &*chunk };
        let row = row::alloc(words);
        // Release: pairs with the Acquire in `row`.
        chunk[index % CHUNK].store(row, Ordering::Release);
        Some(row.cast_const())
    }

    /// Spends this many bytes of the budget. Returns false, and spends nothing, if they do not fit.
    fn spend(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let budget = self.budget.load(Ordering::Relaxed);
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= budget;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Sets the budget in bytes. Memory that is already spent stays in use.
    pub(crate) fn set_budget(&self, bytes: u64) {
        self.budget.store(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes in blocks, chunks and rows.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes a slot for a series of cells. Returns `None` if all are taken: the series stays shared.
    pub(crate) fn take_cell_slot(&self) -> Option<u32> {
        lock(&self.slots).cells.take()
    }

    /// Takes a slot for a series of rows. Returns `None` if all are taken.
    pub(crate) fn take_row_slot(&self) -> Option<u32> {
        lock(&self.slots).rows.take()
    }

    /// Takes back a slot that no thread can write to any longer.
    pub(crate) fn give_back_cell_slot(&self, slot: u32) {
        // The lock makes the thread that takes the slot next see the zeros.
        let mut slots = lock(&self.slots);
        for block in self.blocks().iter() {
            if let Some(cell) = block.cell(slot) {
                cell.store(0, Ordering::Relaxed);
            }
        }
        slots.cells.free.push(slot);
    }

    /// Takes back a slot of rows that no thread can write to or read any longer.
    ///
    /// # Safety
    /// The rows of the slot were made with as many `buckets`, and nothing refers to one of them.
    pub(crate) unsafe fn give_back_row_slot(&self, slot: u32, buckets: usize) {
        let mut slots = lock(&self.slots);
        let (words, index) = (row::words(buckets), slot as usize);
        for block in self.blocks().iter() {
            // Acquire: pairs with the Release in `make_row`.
            let chunk = block.rows[index / CHUNK].load(Ordering::Acquire);
            // SAFETY: a chunk lives as long as its block.
            let Some(chunk) = (unsafe { chunk.as_ref() }) else {
                continue;
            };
            // Acquire: pairs with the Release in `make_row`.
            let row = chunk[index % CHUNK].swap(std::ptr::null_mut(), Ordering::Acquire);
            if !row.is_null() {
                // SAFETY: the caller's promise; `make_row` allocated as many words.
                unsafe { row::free(row, words) };
                let bytes = (words * size_of::<u64>()) as u64;
                self.used.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
        slots.rows.free.push(slot);
    }
}
