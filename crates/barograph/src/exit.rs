//! Exports and writes what is left when the process ends without an orderly shutdown.
//!
//! * **The process exits**: `main` returns, or the program calls `process::exit`, while the telemetry
//!   is in a `static`, was forgotten, or belongs to another thread. The C library then calls a hook,
//!   on the thread that exits. The thread-locals of that thread are destroyed, so it can neither park
//!   nor wait on a channel.
//! * **A panic aborts** (`panic = "abort"`): a panic hook runs after the one that prints the panic.
//!   Where panics unwind, spans close as the stack unwinds and the process exits.
//!
//! Both end open spans with their current state, export what is queued, and wait until all lines are
//! written. They do so on a separate thread, since the ending thread may hold any lock, also one that
//! is needed for this, and wait for it no longer than a limit.
//!
//! In the child of a `fork` nothing is done: its queues are a copy of what the parent exports, and
//! the exporting threads exist only in the parent.

use std::io::{self, Write as _};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use barograph_core::process;
use barograph_model::suppression;
use barograph_tracing::log::ConsoleLog;
use barograph_tracing::trace::TraceHandle;

use crate::push::Sender;
use crate::stderr::Stderr;

/// The time that an exit of the process waits, by default.
///
/// Log lines, and a receiver that answers, take some milliseconds. A receiver that does not answer is
/// tried for this long: enough for a slow request, and short enough that the process does not seem
/// stuck.
pub(crate) const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum exit timeout, so that a clock can always add it.
const MOST_EXIT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The time that a panic that aborts waits.
const PANIC_TIMEOUT: Duration = Duration::from_secs(1);

/// Written if what is left could not be exported in time.
const UNFINISHED: &[u8] =
    b"barograph: the process exits before all telemetry was exported; what is left \
    is lost, unless a persistent queue keeps it\n";

/// The time that other exit hooks of the process may take, where it is limited.
const REST_TIME: Duration = Duration::from_secs(1);

/// The time that a single line may take.
const A_LINE: Duration = Duration::from_millis(100);

/// The handles to export and write what is left before a process ends.
#[derive(Clone, Debug)]
pub(crate) struct PanicFlush {
    pub(crate) sender: Option<Sender>,
    pub(crate) spans: Option<TraceHandle>,
    pub(crate) terminal: Option<ConsoleLog>,
}

/// The telemetry to export and write if the process exits.
static PENDING: Mutex<Vec<(u64, PanicFlush)>> = Mutex::new(Vec::new());

/// The generation of the process in which anything is pending; 0 if nothing is.
static PENDING_IN: AtomicU64 = AtomicU64::new(0);

/// The number of milliseconds that an exit waits.
static TIMEOUT: AtomicU64 = AtomicU64::new(0);

/// A guard: until it is dropped, an exit of the process exports and writes what is left.
#[derive(Debug)]
pub(crate) struct AtExit {
    id: u64,
    generation: u64,
}

impl PanicFlush {
    /// Exports and writes it if the process exits before the returned guard is dropped. The exit
    /// waits for that no longer than `timeout`.
    pub(crate) fn at_exit(self, timeout: Duration) -> AtExit {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let generation = process::generation();
        let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        if PENDING_IN.swap(generation, Ordering::Relaxed) != generation {
            // The remaining entries belong to the parent of a fork, and must not be touched.
            let left = std::mem::take(&mut *pending);
            if !left.is_empty() {
                std::mem::forget(left);
            }
            TIMEOUT.store(0, Ordering::Relaxed);
        }
        pending.push((id, self));
        // A day of milliseconds fits.
        let millis = timeout.min(MOST_EXIT_TIMEOUT).as_millis() as u64;
        TIMEOUT.fetch_max(millis, Ordering::Relaxed);
        drop(pending);
        // It is set by the first call only. If it cannot be set, an exit loses what is left.
        process::on_exit(flush_at_exit);
        AtExit { id, generation }
    }

    /// Exports and writes it at every panic from now on; for programs in which each panic ends the
    /// process.
    pub(crate) fn at_panics(self) {
        if thread::panicking() {
            // A panicking thread must not change the hook.
            return;
        }
        let before = panic::take_hook();
        let generation = process::generation();
        panic::set_hook(Box::new(move |panic| {
            before(panic);
            if process::generation() == generation {
                let last = self.clone();
                // If no thread can be created, it is lost.
                let _ = within(PANIC_TIMEOUT, move || vec![last]);
            }
        }));
    }
}

impl Drop for AtExit {
    fn drop(&mut self) {
        // In a forked child the lock may be held forever.
        if self.generation != process::generation() {
            return;
        }
        let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|(id, _)| *id != self.id);
        if pending.is_empty() {
            PENDING_IN.store(0, Ordering::Relaxed);
            TIMEOUT.store(0, Ordering::Relaxed);
        }
    }
}

/// Exits the process, and limits the time of the exit: other exit hooks may wait for a blocked
/// thread.
pub(crate) fn exit(status: i32) -> ! {
    let limit = Duration::from_millis(TIMEOUT.load(Ordering::Relaxed)) + REST_TIME;
    // If no thread can be created, the time is not limited.
    let _ = thread::Builder::new()
        .name("barograph-exit".into())
        .spawn(move || {
            thread::sleep(limit);
            std::process::abort();
        });
    std::process::exit(status);
}

/// Called by the C library.
fn flush_at_exit() {
    let timeout = Duration::from_millis(TIMEOUT.load(Ordering::Relaxed));
    if PENDING_IN.load(Ordering::Relaxed) != process::generation() || timeout.is_zero() {
        return;
    }
    let pending = || {
        let pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().map(|(_, last)| last.clone()).collect()
    };
    if within(timeout, pending).is_err() {
        // No thread can be created. Lines need none, unless this thread holds one of their locks.
        flush(&pending(), Instant::now() + timeout, Exporting::Never);
    }
}

/// Exports and writes everything on a separate thread, and waits for it until the timeout.
///
/// Not with a channel and not by parking: both need the handle of the current thread, which an
/// exiting thread no longer has.
fn within(
    timeout: Duration,
    pending: impl FnOnce() -> Vec<PanicFlush> + Send + 'static,
) -> io::Result<()> {
    // An exporting thread cannot wait for itself.
    let exporting = match suppression::is_suppressed() {
        true => Exporting::Never,
        false => Exporting::First,
    };
    let deadline = Instant::now() + timeout;
    let ended = Arc::new(Ended::default());
    let ends = EndsWhenDropped(Arc::clone(&ended));
    thread::Builder::new()
        .name("barograph-exit".into())
        .spawn(move || {
            // Also if this panics.
            let _ends = ends;
            flush(&pending(), deadline, exporting);
        })?;
    ended.wait(timeout);
    Ok(())
}

/// The order of work: telemetry is exported before lines are flushed, or not at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exporting {
    First,
    Never,
}

fn flush(pending: &[PanicFlush], deadline: Instant, exporting: Exporting) {
    let left = || deadline.saturating_duration_since(Instant::now());
    let terminals = || pending.iter().filter_map(|last| last.terminal.as_ref());
    // Lines logged from here on, while the process exits, are not flushed again.
    terminals().for_each(|terminal| terminal.write_through(A_LINE));
    let mut is_unfinished = false;
    if exporting == Exporting::First {
        for last in pending {
            if let Some(sender) = &last.sender {
                let sent = sender.send_all(last.spans.as_ref(), deadline);
                is_unfinished |= sent.is_err();
            }
        }
    }
    for terminal in terminals() {
        let limit = match exporting {
            Exporting::First => left(),
            // The exiting thread may be the one that writes the lines.
            Exporting::Never => left().min(A_LINE),
        };
        // Lines that are not written in time are lost with the process.
        let _ = terminal.flush(limit);
    }
    if is_unfinished {
        // This is the last chance to report it; a failure to write is ignored.
        let _ = Stderr::new().write_all(UNFINISHED);
    }
}

/// A flag that is set when the flushing thread has ended.
#[derive(Default)]
struct Ended {
    has_ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    fn wait(&self, timeout: Duration) {
        let has_ended = self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waits = |has_ended: &mut bool| !*has_ended;
        drop(self.changed.wait_timeout_while(has_ended, timeout, waits));
    }
}

struct EndsWhenDropped(Arc<Ended>);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        *self
            .0
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, unix, feature = "otlp"))]
mod tests {
    use std::process::{Command, abort};

    use super::*;
    use crate::Telemetry;

    const ENDS: &str = "BAROGRAPH_TEST_ENDS_BY_A_PANIC";

    /// In a separate process: it ends like one in which panics abort.
    #[test]
    fn open_spans_are_exported_at_a_panic_that_aborts() {
        if std::env::var_os(ENDS).is_some() {
            panic::set_hook(Box::new(|_| eprintln!("the hook of before")));
            let telemetry = Telemetry::builder("shop")
                .without_listener()
                .start()
                .expect("it needs no port");
            telemetry.last().at_panics();
            let follow = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                follow(panic);
                abort();
            }));
            let _open = tracing::info_span!("charge").entered();
            tracing::info!("the last line");
            panic!("no more");
        }
        let output = Command::new(std::env::current_exe().expect("it runs"))
            .args([
                "--exact",
                "exit::tests::open_spans_are_exported_at_a_panic_that_aborts",
            ])
            .args(["--nocapture", "--test-threads=1"])
            .env(ENDS, "1")
            .env("OTEL_TRACES_EXPORTER", "console")
            .output()
            .expect("it runs once more");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.code().is_none(), "aborted: {output:?}");
        assert!(out.contains(r#""name":"charge""#), "{out}");
        assert!(out.contains("barograph.span.unfinished"), "{out}");
        assert!(err.contains("the hook of before"), "{err}");
        assert!(err.contains("the last line"), "{err}");
    }
}
