//! Generation of trace and span ids.
//!
//! Each thread has its own generator, seeded by the system: an id costs a few additions and rotations
//! and no lock. The generator is fast but not cryptographic: an observer of many ids can predict the
//! next ones, so they must not serve as tokens. After a `fork` the child reseeds; otherwise parent and
//! child would generate the same ids.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::SystemTime;

use barograph_model::context::{SpanId, TraceContext, TraceFlags, TraceId};

use crate::process;

/// Returns the context of a new trace, in its first span: random ids, with the flag for random trace
/// ids.
///
/// It is not sampled; the sampler adds that flag.
///
/// ```
/// use barograph_core::ids;
/// use barograph_model::context::TraceFlags;
/// let root = ids::new_trace();
/// assert_eq!(root.flags(), TraceFlags::RANDOM);
/// assert_ne!(root, ids::new_trace());
/// ```
#[inline]
pub fn new_trace() -> TraceContext {
    RANDOM.with(|random| {
        retry(|| {
            let trace = u128::from(random.next()) << 64 | u128::from(random.next());
            // Others may rely on the right-most 56 bits as the random ones, so they are never all zero.
            let trace = if trace << 72 == 0 { 0 } else { trace };
            TraceContext::new(trace, random.next(), TraceFlags::RANDOM)
        })
    })
}

/// Returns the context of a new span in the trace of its parent, with the flags of the parent.
///
/// It is made in this process, so it is not remote.
#[inline]
pub fn child_of(parent: TraceContext) -> TraceContext {
    let trace = parent.trace_id().get();
    RANDOM.with(|random| retry(|| TraceContext::new(trace, random.next(), parent.flags())))
}

/// Returns a new trace id. All of its 128 bits are random, so its trace has [`TraceFlags::RANDOM`].
///
/// Source: W3C Trace Context level 2, "Random Trace ID Flag".
#[inline]
pub fn trace_id() -> TraceId {
    new_trace().trace_id()
}

/// Returns a new span id.
#[inline]
pub fn span_id() -> SpanId {
    RANDOM.with(|random| retry(|| SpanId::new(random.next())))
}

/// Returns 64 random bits from the same generator.
#[inline]
pub fn random() -> u64 {
    RANDOM.with(Random::next)
}

thread_local! {
    static RANDOM: Random = const {
        Random {
            state: [const { Cell::new(0) }; 4],
            generation: Cell::new(0),
        }
    };
}

/// The generator xoshiro256++ of Blackman and Vigna: 256 bits of state, all of them random at first.
struct Random {
    state: [Cell<u64>; 4],
    /// The [generation](process::generation) of the process in which it was seeded; 0 before that.
    generation: Cell<u64>,
}

impl Random {
    #[inline]
    fn next(&self) -> u64 {
        let generation = process::generation();
        if self.generation.get() != generation {
            self.seed(generation);
        }
        let [mut a, mut b, mut c, mut d] = [0, 1, 2, 3].map(|at: usize| self.state[at].get());
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        c ^= shifted;
        d = d.rotate_left(45);
        for (cell, word) in self.state.iter().zip([a, b, c, d]) {
            cell.set(word);
        }
        result
    }

    /// Seeds the state from the keys that the system gives the hash maps of a thread. These are read
    /// once and then incremented, so time and process id are mixed in: a forked child would continue
    /// the same sequence.
    #[cold]
    fn seed(&self, generation: u64) {
        process::watch_forks();
        let now = SystemTime::UNIX_EPOCH.elapsed();
        let now = now.map_or(0, |since| since.as_nanos() as u64);
        for (at, word) in self.state.iter().enumerate() {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(now);
            hasher.write_u32(std::process::id());
            // Never all zero, a state that xoshiro cannot leave.
            word.set(hasher.finish() | u64::from(at == 0));
        }
        self.generation.set(generation);
    }
}

/// Calls `make` until it returns a value that is not zero. A second call is almost never needed.
#[inline]
fn retry<T>(mut make: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(made) = make() {
            return made;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_new_on_each_thread() {
        let ids = || {
            let contexts = std::iter::repeat_with(new_trace).take(1_000);
            contexts
                .map(|c| (c.trace_id(), c.span_id()))
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let mut all = ids();
        for thread in threads {
            all.extend(thread.join().expect("no panic"));
        }
        let traces: HashSet<_> = all.iter().map(|(trace, _)| *trace).collect();
        let spans: HashSet<_> = all.iter().map(|(_, span)| *span).collect();
        assert_eq!((traces.len(), spans.len()), (5_000, 5_000));
    }

    #[test]
    fn every_bit_is_as_often_set_as_not() {
        let mut set = [0_u32; 192];
        for _ in 0..10_000 {
            let context = new_trace();
            for (bit, count) in set.iter_mut().enumerate() {
                let word = match bit {
                    0..128 => (context.trace_id().get() >> bit) as u64,
                    _ => context.span_id().get() >> (bit - 128),
                };
                *count += (word & 1) as u32;
            }
        }
        // Eight standard deviations of 50.
        assert!(
            set.iter().all(|count| (4_600..5_400).contains(count)),
            "{set:?}"
        );
    }

    #[test]
    fn a_child_keeps_trace_and_flags() {
        let parent = new_trace().with_flags(TraceFlags::SAMPLED).as_remote();
        let child = child_of(parent);
        assert_eq!(
            (child.trace_id(), child.flags()),
            (parent.trace_id(), parent.flags())
        );
        assert!(child.span_id() != parent.span_id() && !child.is_remote());
    }

    #[test]
    fn a_generator_that_missed_a_fork_is_seeded_anew() {
        // The state of a process and of its child just after the fork.
        let random = |generation| Random {
            state: [1, 2, 3, 4].map(Cell::new),
            generation: Cell::new(generation),
        };
        let now = process::generation();
        assert_eq!(random(now).next(), random(now).next());
        assert_ne!(random(now - 1).next(), random(now).next());
    }
}
