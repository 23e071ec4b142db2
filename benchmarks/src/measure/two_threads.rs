//! Nanoseconds of thread CPU time per operation while two threads run it at the same time.
//!
//! Each round starts two threads, each pinned to its own CPU. They warm up, wait for each other and
//! record for a fixed time. The round counts only if both had their CPU for nearly all of it: a
//! thread that runs alone has no contention, which would flatter libraries with shared cells. The
//! figure is the harmonic mean of both threads, that is, the throughput of the pair.

use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::{allowed_cpus, pin_to, thread_cpu_ns};
use crate::measure::{Done, Plan, Subject, Work};

/// Runs work on two threads at the same time.
pub(crate) struct TwoThreads<W> {
    work: W,
    done: Done,
    /// The number of the next round's first operation.
    next: u64,
    cpus: Vec<usize>,
}

impl<W: Work> TwoThreads<W> {
    pub(crate) fn new(work: W) -> Self {
        Self {
            work,
            done: Done::default(),
            next: 0,
            cpus: allowed_cpus(),
        }
    }

    fn attempt(&mut self, window: Duration) -> Option<f64> {
        let [first, second, ..] = self.cpus[..] else {
            return None;
        };
        let (gate, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        // The second thread starts elsewhere in the tables: concurrent requests are rarely equal.
        let starts = [(first, self.next), (second, self.next + 7_919)];
        let runs: Vec<Run> = thread::scope(|scope| {
            let (work, gate, stop) = (&self.work, &gate, &stop);
            let threads: Vec<_> = starts
                .map(|(cpu, from)| {
                    scope.spawn(move || one_of_two(work, cpu, from, window, gate, stop))
                })
                .into_iter()
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a library panicked while recording"))
                .collect()
        });
        let counts = runs.iter().all(|run| run.share > CO_RUN);
        let rate: f64 = runs.iter().map(|run| 1.0 / run.nanos).sum();
        self.next = runs
            .iter()
            .map(|run| run.range.end)
            .max()
            .unwrap_or(self.next);
        self.done.0.extend(runs.iter().map(|run| run.range.clone()));
        counts.then_some(runs.len() as f64 / rate)
    }
}

impl<W: Work> Subject for TwoThreads<W> {
    fn warm(&mut self, plan: Plan) {
        self.attempt(plan.slice);
    }

    fn round(&mut self, plan: Plan) -> Option<f64> {
        (0..ATTEMPTS).find_map(|_| self.attempt(plan.slice))
    }

    fn check(&mut self) -> Result<(), String> {
        self.work.check(&self.done)
    }
}

/// The result of one of the two threads.
struct Run {
    range: Range<u64>,
    /// The CPU time per operation, in nanoseconds.
    nanos: f64,
    /// The fraction of the window in which the thread had its CPU.
    share: f64,
}

fn one_of_two(
    work: &impl Work,
    cpu: usize,
    from: u64,
    window: Duration,
    gate: &AtomicUsize,
    stop: &AtomicBool,
) -> Run {
    // A failure to pin shows in the thread's share of the CPU.
    let _ = pin_to(cpu);
    let mut next = from;
    let mut advance = |operations: u64| {
        work.run(next..next + operations);
        next += operations;
        next
    };
    let warmed = advance(WARM_UP);
    // The gate orders time, not data, so the strength of SeqCst does not matter. The gate spins: a
    // sleeping gate would wake one thread long after the other.
    gate.fetch_add(1, Ordering::SeqCst);
    while gate.load(Ordering::SeqCst) < 2 {
        spin_loop();
    }
    let (cpu_start, start) = (thread_cpu_ns(), Instant::now());
    let mut end = warmed;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..BATCHES {
            end = advance(BATCH);
        }
        if start.elapsed() > window {
            stop.store(true, Ordering::Relaxed);
        }
    }
    let cpu_ns = (thread_cpu_ns() - cpu_start) as f64;
    let wall_ns = start.elapsed().as_nanos() as f64;
    Run {
        range: from..end,
        nanos: cpu_ns / (end - warmed) as f64,
        share: cpu_ns / wall_ns,
    }
}

const WARM_UP: u64 = 2_000;
const BATCH: u64 = 500;
/// The number of batches between two reads of the clock.
const BATCHES: u64 = 4;
/// The fraction of the window in which each thread must have had its CPU.
const CO_RUN: f64 = 0.93;
/// The number of attempts before a round is given up.
const ATTEMPTS: usize = 20;
