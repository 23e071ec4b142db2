//! Restarts the library's own threads when they fail.
//!
//! Such a thread ends when its work is over. A panic or a system error ends the work too early: this
//! is counted in `barograph.thread.restarts` and logged, and the work is restarted after a pause. The
//! pauses grow, so that a permanent fault costs little.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::diagnostics;

/// A thread of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervised {
    /// Serves the pages.
    Admin,
    /// Writes log lines.
    Lines,
    /// Exports.
    Push,
}

impl Supervised {
    pub(crate) const ALL: [Supervised; 3] =
        [Supervised::Admin, Supervised::Lines, Supervised::Push];

    /// The value of the label `thread`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Supervised::Admin => "admin",
            Supervised::Lines => "lines",
            Supervised::Push => "push",
        }
    }

    /// Returns the number of restarts of this thread in this process.
    pub(crate) fn restarts(self) -> u64 {
        RESTARTS[self as usize].load(Ordering::Relaxed)
    }
}

/// Threads outlive the telemetry that started them, so restarts are counted for the whole process.
static RESTARTS: [AtomicU64; Supervised::ALL.len()] =
    [const { AtomicU64::new(0) }; Supervised::ALL.len()];

/// Runs the work of a thread until it returns `Ok`. If it panics or fails, it is restarted after a
/// pause. Once `is_ending` is set, the pause ends and the work is restarted at most once more.
pub(crate) fn supervise(
    thread: Supervised,
    is_ending: &AtomicBool,
    mut work: impl FnMut() -> io::Result<()>,
) {
    let mut pause = FIRST_PAUSE;
    let mut last_reported: Option<(String, Instant)> = None;
    loop {
        let was_ending = is_ending.load(Ordering::Relaxed);
        let began = Instant::now();
        let cause = match catch_unwind(AssertUnwindSafe(&mut work)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("it panicked: {}", message(&*panic)),
        };
        RESTARTS[thread as usize].fetch_add(1, Ordering::Relaxed);
        let is_new = last_reported
            .as_ref()
            .is_none_or(|(before, at)| *before != cause || at.elapsed() >= AGAIN);
        if is_new {
            report(thread, &cause);
            last_reported = Some((cause, Instant::now()));
        }
        if was_ending {
            return;
        }
        if began.elapsed() >= STEADY {
            pause = FIRST_PAUSE;
        }
        wait(pause, is_ending);
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

fn report(thread: Supervised, cause: &str) {
    let thread = thread.as_str();
    let text = format!("the telemetry thread `{thread}` failed and is restarted: {cause}");
    // The subscriber may be the cause of the panic.
    let _ = catch_unwind(|| diagnostics::error(&text));
}

fn wait(pause: Duration, is_ending: &AtomicBool) {
    let began = Instant::now();
    while began.elapsed() < pause && !is_ending.load(Ordering::Relaxed) {
        sleep(pause.min(LOOK));
    }
}

/// Returns the message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it says nothing")
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Work that ran this long before it failed is restarted after the first pause again.
const STEADY: Duration = Duration::from_secs(300);
/// The time during which the same cause is not logged again.
const AGAIN: Duration = Duration::from_secs(3600);
/// The interval at which a pause checks `is_ending`.
const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    #[test]
    fn work_that_panics_or_fails_is_begun_again_and_counted() {
        let before = Supervised::Lines.restarts();
        let mut tries = 0;
        supervise(Supervised::Lines, &AtomicBool::new(false), || {
            tries += 1;
            match tries {
                1 => panic!("once"),
                2 => Err(io::Error::other("twice")),
                _ => Ok(()),
            }
        });
        assert_eq!(tries, 3);
        assert!(Supervised::Lines.restarts() >= before + 2);
    }

    #[test]
    fn work_that_always_panics_ends_in_time_when_it_is_to_end() {
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_ending);
        let tries = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&tries);
        let thread = std::thread::spawn(move || {
            supervise(Supervised::Lines, &ending, || {
                counting.fetch_add(1, Ordering::Relaxed);
                panic!("always");
            });
        });
        let began = Instant::now();
        while tries.load(Ordering::Relaxed) < 5 {
            assert!(began.elapsed() < Duration::from_secs(60));
            sleep(LOOK);
        }
        // The pause is now 1.6 s or longer.
        is_ending.store(true, Ordering::Relaxed);
        let ended = Instant::now();
        thread.join().unwrap();
        assert!(ended.elapsed() < Duration::from_secs(1), "{ended:?}");
        assert!(
            tries.load(Ordering::Relaxed) <= 7,
            "pauses grow, and work that is to end is tried once more"
        );
    }
}
