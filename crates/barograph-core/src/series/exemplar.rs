//! Exemplars: the filter for measurements, and the slots that hold them.
//!
//! # Protocol
//!
//! Each series that was ever measured inside a sampled trace has a slot for its exemplar; a histogram
//! has one for each bucket. A slot is a small seqlock: a writer takes it by swapping the sequence from
//! even to odd, and a writer that does not get it drops its exemplar, since another one is being
//! written at that moment. A reader that meets a change skips the slot.
//!
//! In front of the slots is a gate: a mask of the slots that were filled in this epoch. One exemplar
//! for each slot and epoch is enough. Each thread also remembers what it recently recorded (see
//! `thread`), so almost every measurement costs two loads and a comparison. An epoch begins with each
//! collection and with each call of [`advance`].

use std::sync::atomic::AtomicU64 as Epoch;

use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::exemplar::Exemplar;

use crate::sync::{AtomicU64, Ordering, fence};

/// The filter for measurements that may become exemplars.
///
/// Source: OpenTelemetry metrics SDK, "ExemplarFilter".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExemplarFilter {
    /// Measurements made inside a sampled trace.
    #[default]
    TraceBased,
    /// All measurements. Recording then always takes the slower path.
    AlwaysOn,
    /// No measurements, except exemplars that are passed explicitly.
    AlwaysOff,
}

/// A trace that is not sampled, but can still be exported.
///
/// A measurement inside it may become an exemplar only if the candidate agrees: an exemplar has to
/// refer to an exported trace.
pub trait Candidate: Send + Sync {
    /// Returns true if a measurement may become an exemplar that refers to this trace. The trace is
    /// then exported.
    ///
    /// Called on the thread that measures, rarely: about once for each series, bucket and collection.
    /// It must not record measurements.
    fn choose(&self) -> bool;
}

static EPOCH: Epoch = Epoch::new(1);

/// Begins a new epoch: every series and bucket may take an exemplar again.
///
/// Collections do so themselves. A service also calls this about once a second, for when it is scraped
/// rarely.
pub fn advance() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Returns the current epoch.
#[inline(always)]
pub(crate) fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// The exemplars of one series.
pub(crate) struct Exemplars {
    epoch: AtomicU64,
    filled: Box<[AtomicU64]>,
    slots: Box<[Slot]>,
}

impl Exemplars {
    pub(crate) fn new(slots: usize) -> Self {
        let masks = slots.div_ceil(64);
        Exemplars {
            epoch: AtomicU64::new(0),
            filled: (0..masks).map(|_| AtomicU64::new(0)).collect(),
            slots: (0..slots).map(|_| Slot::new()).collect(),
        }
    }

    /// Returns true if the slot accepts an exemplar in this epoch.
    #[inline]
    pub(crate) fn is_open(&self, slot: usize) -> bool {
        let bit = 1 << (slot % 64);
        self.filled.get(slot / 64).is_some_and(|filled| {
            self.epoch.load(Ordering::Relaxed) != epoch()
                || filled.load(Ordering::Relaxed) & bit == 0
        })
    }

    /// Returns true if the slot accepts an exemplar in this epoch, and closes it for the rest of the
    /// epoch.
    #[inline]
    pub(crate) fn close_gate(&self, slot: usize) -> bool {
        self.is_open(slot) && self.open(slot, epoch())
    }

    // Threads may do this at once. The worst outcome of a race is one exemplar too many or too few.
    #[cold]
    fn open(&self, slot: usize, epoch: u64) -> bool {
        if self.epoch.swap(epoch, Ordering::Relaxed) != epoch {
            for filled in &self.filled {
                filled.store(0, Ordering::Relaxed);
            }
        }
        self.filled[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
        true
    }

    /// Stores an exemplar.
    pub(crate) fn put(
        &self,
        slot: usize,
        value: f64,
        context: Option<TraceContext>,
        unix_nanos: u64,
    ) {
        if let Some(slot) = self.slots.get(slot) {
            slot.put(value, context, unix_nanos);
        }
    }

    /// Adds the stored exemplars to `all`, in the order of the slots.
    pub(crate) fn read(&self, all: &mut Vec<Exemplar>) {
        all.extend(self.slots.iter().filter_map(Slot::read));
    }

    /// Removes all exemplars.
    pub(crate) fn clear(&self) {
        for slot in &self.slots {
            slot.clear();
        }
        self.epoch.store(0, Ordering::Relaxed);
    }
}

/// Storage for one exemplar: a seqlock with words in the order of [`Slot::VALUE`] and the constants
/// below it.
pub(crate) struct Slot {
    sequence: AtomicU64,
    words: [AtomicU64; 6],
}

impl Slot {
    const VALUE: usize = 0;
    /// Nanoseconds since the Unix epoch; 0 while there is no exemplar.
    const TIME: usize = 1;
    const TRACE_HIGH: usize = 2;
    const TRACE_LOW: usize = 3;
    const SPAN: usize = 4;
    const FLAGS: usize = 5;

    pub(crate) fn new() -> Self {
        Slot {
            sequence: AtomicU64::new(0),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Writes the slot, unless another thread is writing it.
    pub(crate) fn put(&self, value: f64, context: Option<TraceContext>, unix_nanos: u64) {
        let (trace, span, flags) = context.map_or((0, 0, 0), |c| {
            (c.trace_id().get(), c.span_id().get(), c.flags().bits())
        });
        self.write([
            value.to_bits(),
            unix_nanos.max(1),
            (trace >> 64) as u64,
            trace as u64,
            span,
            u64::from(flags),
        ]);
    }

    fn clear(&self) {
        self.write([0; 6]);
    }

    /// Returns the words as they are at this moment, torn or not.
    pub(crate) fn words(&self) -> [u64; 6] {
        std::array::from_fn(|i| self.words[i].load(Ordering::Relaxed))
    }

    fn write(&self, words: [u64; 6]) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        // Acquire: pairs with the Release below, of the previous writer.
        let mine = sequence & 1 == 0
            && self
                .sequence
                .compare_exchange(
                    sequence,
                    sequence.wrapping_add(1),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok();
        if !mine {
            return;
        }
        // Release: pairs with the Acquire fence in `read`; a reader that sees a word sees the odd
        // sequence.
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `read` and in the swap above.
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Returns the exemplar, if there is one and no thread is writing it.
    pub(crate) fn read(&self) -> Option<Exemplar> {
        // Acquire: pairs with the Release that made the sequence even.
        let sequence = self.sequence.load(Ordering::Acquire);
        if sequence & 1 == 1 {
            return None;
        }
        let words = self.words();
        // Acquire: pairs with the Release fence in `write`.
        fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) != sequence || words[Self::TIME] == 0 {
            return None;
        }
        let trace = u128::from(words[Self::TRACE_HIGH]) << 64 | u128::from(words[Self::TRACE_LOW]);
        let flags = TraceFlags::from_bits(words[Self::FLAGS] as u8);
        Some(Exemplar {
            value: f64::from_bits(words[Self::VALUE]),
            time_unix_nano: Some(words[Self::TIME]),
            context: TraceContext::new(trace, words[Self::SPAN], flags),
            labels: Vec::new(),
        })
    }
}
