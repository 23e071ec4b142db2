//! Loom models of the lock-free protocols: every interleaving of small cases, with the code that runs
//! in production. Removal and promotion are in [`removal`], the queue in `queue::models`. Each
//! guarantee has a negative control, a case without the protection, in which loom has to find the
//! fault.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p barograph-core --lib models`

#![expect(
    unsafe_code,
    reason = "the models stand in for the handles, which keep these promises"
)]

mod removal;

use loom::sync::Arc;
use loom::thread;

use crate::series::exemplar::Slot;
use crate::sync::pool::{Barrier, Block, Pool};
use crate::sync::row::{self, Row};
use crate::sync::table::Table;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Checks every interleaving with at most three preemptions: enough for every fault in the negative
/// controls, in seconds instead of hours.
fn model(case: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(case);
}

/// The first slot that has cells.
const SLOT: u32 = crate::sync::pool::CHUNK as u32;

fn sum(pool: &Pool, slot: u32) -> u64 {
    let blocks = pool.blocks();
    let cells = blocks.iter().filter_map(|block| block.cell(slot));
    cells.map(|cell| cell.load(Ordering::Relaxed)).sum()
}

fn add(pool: &Pool, block: &Block, slot: u32) {
    let cell = pool.make_cell(block, slot).expect("the budget is large");
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[test]
fn what_one_lessee_counted_the_next_one_continues() {
    model(|| {
        let pool = Arc::new(Pool::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let block = pool.lease().expect("there are four");
                    add(&pool, block, SLOT);
                    add(&pool, block, SLOT);
                    pool.give_back(block);
                })
            })
            .collect();
        let (first, second) = (sum(&pool, SLOT), sum(&pool, SLOT));
        assert!(first <= second && second <= 4, "a sum never goes back");
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(sum(&pool, SLOT), 4);
    });
}

#[test]
#[should_panic(expected = "an update was lost")]
fn negative_control_two_writers_of_one_block_lose_updates() {
    model(|| {
        let pool = Arc::new(Pool::new());
        let block = pool.lease().expect("there are four");
        add(&pool, block, SLOT);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || add(&pool, block, SLOT))
        };
        add(&pool, block, SLOT);
        other.join().expect("no panic");
        assert_eq!(sum(&pool, SLOT), 3, "an update was lost");
    });
}

struct SharedRow(*mut AtomicU64);
// SAFETY: a row consists of atomics.
unsafe impl Send for SharedRow {}
// SAFETY: as above.
unsafe impl Sync for SharedRow {}

impl SharedRow {
    fn new() -> Arc<Self> {
        Arc::new(SharedRow(row::alloc(row::words(1))))
    }

    fn row(&self) -> Row<'_> {
        // SAFETY: one bucket, freed when this is dropped.
        unsafe { Row::at(self.0, 1) }
    }

    fn total(&self) -> (u64, f64) {
        let mut buckets = [0];
        let sum = self.row().read(&mut buckets, &mut [0]);
        (buckets[0], sum)
    }
}

impl Drop for SharedRow {
    fn drop(&mut self) {
        // SAFETY: nothing refers to it any longer.
        unsafe { row::free(self.0, row::words(1)) };
    }
}

#[test]
fn a_reader_sees_an_owned_row_whole() {
    model(|| {
        let row = SharedRow::new();
        let writer = {
            let row = row.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    // SAFETY: the only writer; one bucket.
                    unsafe { row::observe_owned(row.0, 0, 5.0) };
                }
            })
        };
        let mut count = [0];
        if let Some(sum) = row.row().read_once(&mut count) {
            assert_eq!(sum, count[0] as f64 * 5.0);
        }
        writer.join().expect("no panic");
        assert_eq!(row.total(), (2, 10.0));
    });
}

#[test]
#[should_panic(expected = "a torn row")]
fn negative_control_a_reader_that_does_not_look_twice_sees_a_torn_row() {
    model(|| {
        let row = SharedRow::new();
        let writer = {
            let row = row.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    // SAFETY: the only writer; one bucket.
                    unsafe { row::observe_owned(row.0, 0, 5.0) };
                }
            })
        };
        // Without the sequence: the result of a reader that has given up retrying.
        let reader = {
            let row = row.clone();
            thread::spawn(move || {
                let mut count = [0];
                let sum = row.row().load(&mut count);
                assert_eq!(sum, count[0] as f64 * 5.0, "a torn row");
            })
        };
        writer.join().expect("no panic");
        reader.join().expect("no panic");
    });
}

#[test]
fn a_shared_row_is_whole_and_who_does_not_get_it_writes_another() {
    model(|| {
        let rows = [SharedRow::new(), SharedRow::new(), SharedRow::new()];
        let threads: Vec<_> = (1..3)
            .map(|own| {
                let (shared, own) = (rows[0].clone(), rows[own].clone());
                thread::spawn(move || {
                    if !shared.row().try_observe_shared(0, 3.0) {
                        // SAFETY: this thread is its only writer; one bucket.
                        unsafe { row::observe_owned(own.0, 0, 3.0) };
                    }
                })
            })
            .collect();
        let mut count = [0];
        if let Some(sum) = rows[0].row().read_once(&mut count) {
            assert_eq!(sum, count[0] as f64 * 3.0);
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
        let totals = rows.each_ref().map(|row| row.total());
        assert_eq!(totals.iter().map(|total| total.0).sum::<u64>(), 2);
        assert_eq!(totals.iter().map(|total| total.1).sum::<f64>(), 6.0);
    });
}

#[test]
fn a_shared_row_that_is_written_by_all_loses_nothing() {
    model(|| {
        let row = SharedRow::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let row = row.clone();
                thread::spawn(move || {
                    if !row.row().try_observe_shared(0, 3.0) {
                        row.row().add(0, 3.0);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(row.total(), (2, 6.0));
    });
}

/// An object with an address that tables accept.
#[repr(align(64))]
struct Thing {
    hash: u64,
    freed: AtomicU32,
}

fn thing(hash: u64) -> u64 {
    let thing = Box::leak(Box::new(Thing {
        hash,
        freed: AtomicU32::new(0),
    }));
    (&raw const *thing).expose_provenance() as u64
}

fn at(address: u64) -> &'static Thing {
    let thing = std::ptr::with_exposed_provenance::<Thing>(address as usize);
    // SAFETY: leaked above.
    unsafe { &*thing }
}

fn find(table: &Table, hash: u64) -> Option<&'static Thing> {
    let mut walk = table.walk(hash);
    walk.find_map(|address| Some(at(address)).filter(|thing| thing.hash == hash))
}

#[test]
fn a_table_that_grows_is_read_all_the_while() {
    const KEYS: [u64; 3] = [1 << 6, 2 << 6, 1 << 6 | 1 << 50];
    model(|| {
        let table = Arc::new(Table::new());
        assert!(table.reserve(|address| at(address).hash).is_none());
        table.insert(KEYS[0], thing(KEYS[0]));
        let writer = {
            let table = table.clone();
            thread::spawn(move || {
                let mut retired = Vec::new();
                for key in &KEYS[1..] {
                    retired.extend(table.reserve(|address| at(address).hash));
                    table.insert(*key, thing(*key));
                }
                retired
            })
        };
        assert!(find(&table, KEYS[0]).is_some(), "what is there is found");
        if let Some(found) = find(&table, KEYS[2]) {
            assert_eq!(found.hash, KEYS[2], "what is found is whole");
        }
        // Retired arrays are freed once no reader is left.
        let retired = writer.join().expect("no panic");
        assert!(!retired.is_empty(), "the table grew");
        assert!(KEYS.iter().all(|key| find(&table, *key).is_some()));
    });
}

/// A reader looks up an object and uses it, while a writer unlinks and frees it.
fn lookup_against_release(heavy: fn(), light: fn(&Block)) {
    const KEY: u64 = 1 << 6;
    model(move || {
        let pool = Arc::new(Pool::new());
        let table = Arc::new(Table::new());
        let address = thing(KEY);
        table.insert(KEY, address);
        let reader = {
            let (pool, table) = (pool.clone(), table.clone());
            thread::spawn(move || {
                let block = pool.lease().expect("there are four");
                light(block);
                if let Some(found) = find(&table, KEY) {
                    let freed = found.freed.load(Ordering::Relaxed);
                    assert_eq!(freed, 0, "used after it was freed");
                }
                block.unpin();
                pool.give_back(block);
            })
        };
        table.unlink(KEY, address);
        heavy();
        if !pool.blocks().iter().any(|block| block.is_pinned()) {
            at(address).freed.store(1, Ordering::Relaxed);
        }
        reader.join().expect("no panic");
    });
}

#[test]
fn nothing_is_freed_that_a_pinned_thread_found() {
    lookup_against_release(|| assert!(Barrier::heavy()), Block::pin);
}

#[test]
#[should_panic(expected = "used after it was freed")]
fn negative_control_without_the_barrier_it_is() {
    // Release: pairs with nothing that would help; that is the point.
    lookup_against_release(|| fence(Ordering::Release), Block::pin);
}

#[test]
#[should_panic(expected = "used after it was freed")]
fn negative_control_without_the_pin_it_is() {
    // Pinned only after the use would be no pin at all; the later `unpin` needs one to take back.
    lookup_against_release(
        || assert!(Barrier::heavy()),
        |block| {
            block.pin();
            block.unpin();
            block.unpin();
            block.pin();
        },
    );
}

#[test]
fn an_exemplar_is_read_whole_or_not_at_all() {
    model(|| {
        let slot = Arc::new(Slot::new());
        let threads: Vec<_> = [1.0, 2.0]
            .into_iter()
            .map(|value| {
                let slot = slot.clone();
                thread::spawn(move || slot.put(value, None, value as u64))
            })
            .collect();
        if let Some(exemplar) = slot.read() {
            assert_eq!(exemplar.time_unix_nano, Some(exemplar.value as u64));
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
        let exemplar = slot.read().expect("one of them stays");
        assert_eq!(exemplar.time_unix_nano, Some(exemplar.value as u64));
    });
}

#[test]
#[should_panic(expected = "a torn exemplar")]
fn negative_control_an_exemplar_read_without_the_sequence_is_torn() {
    model(|| {
        let slot = Arc::new(Slot::new());
        slot.put(1.0, None, 1);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || slot.put(2.0, None, 2))
        };
        let reader = thread::spawn(move || {
            let [value, time, ..] = slot.words();
            assert_eq!(f64::from_bits(value) as u64, time, "a torn exemplar");
        });
        writer.join().expect("no panic");
        reader.join().expect("no panic");
    });
}
