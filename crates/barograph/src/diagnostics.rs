//! Messages of the library itself: about variables that are ignored, receivers that are away and the
//! like. They go through `tracing`, and to stderr where no subscriber would show them.
//!
//! | who is the subscriber when it is said | where it goes |
//! |---|---|
//! | ours, which prints lines | a line, unless the filter drops warnings of the target `barograph`; then stderr |
//! | ours, without lines (`without_logs`) | an event for spans and log records, and stderr |
//! | the service's, set at any time | an event; on stderr too where its filter drops warnings of `barograph` |
//! | nobody, or not yet (`without_subscriber`) | stderr |
//!
//! What was said on stderr is not said again when a subscriber is set later. A subscriber of the service
//! that says that it takes warnings is trusted to show them.

use std::cell::Cell;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use barograph_model::suppression;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, dispatcher};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Context, Layer};

use crate::stderr::Stderr;

/// Says something that a person should look at.
pub(crate) fn warn(message: &dyn Display) {
    if !is_shown(|| tracing::warn!(target: TARGET, "{message}")) {
        HAS_PRINTED.store(true, Ordering::Relaxed);
        print(message);
    }
}

/// Says that something of the library itself has failed.
pub(crate) fn error(message: &dyn Display) {
    if !is_shown(|| tracing::error!(target: TARGET, "{message}")) {
        HAS_PRINTED.store(true, Ordering::Relaxed);
        print(message);
    }
}

/// Says that something is well again, where the trouble was said.
#[cfg(feature = "otlp")]
pub(crate) fn info(message: &dyn Display) {
    let is_shown = is_shown(|| tracing::info!(target: TARGET, "{message}"));
    // A filter that drops only what is less than a warning was meant so.
    if !is_shown && HAS_PRINTED.load(Ordering::Relaxed) {
        print(message);
    }
}

/// As [`warn`], from a thread that must not wait for stderr, such as one that records.
pub(crate) fn warn_without_waiting(message: &str) {
    if is_shown(|| tracing::warn!(target: TARGET, "{message}")) {
        return;
    }
    let owned = message.to_owned();
    *pending() += 1;
    let spawned = thread::Builder::new()
        .name("barograph-report".into())
        .spawn(move || {
            print(&owned);
            *pending() -= 1;
            PRINTED.notify_all();
        });
    if spawned.is_err() {
        print(&message);
        *pending() -= 1;
    }
}

/// Waits a moment until what was said without waiting is written.
pub(crate) fn settle(limit: Duration) {
    // What is not written in time is written later, or lost with the process.
    drop(PRINTED.wait_timeout_while(pending(), limit, |pending| *pending > 0));
}

/// Messages that other threads are about to write.
static PENDING: Mutex<usize> = Mutex::new(0);
static PRINTED: Condvar = Condvar::new();

fn pending() -> MutexGuard<'static, usize> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to stderr. One that cannot be written is no reason to fail.
pub(crate) fn print(message: &dyn Display) {
    let line = one_line(&message.to_string());
    let _ = Stderr::new().write_all(format!("barograph: {line}\n").as_bytes());
}

/// Makes an event, on threads that export as well. Returns whether it is shown.
fn is_shown(event: impl FnOnce()) -> bool {
    let _allowed = suppression::allow();
    WAS_SEEN.set(false);
    event();
    match is_ours() {
        // A filter of one of our layers that takes it says nothing about the others.
        true => WAS_SEEN.get(),
        false => tracing::enabled!(target: PROBE, Level::WARN),
    }
}

/// The target of what the library itself says.
const TARGET: &str = "barograph";

/// The target by which a subscriber of the service is asked, for which filters decide as for [`TARGET`].
const PROBE: &str = "barograph::probe";

/// A filter for our layers in a subscriber of the service, which show nothing to people: it hides the
/// question from them, so that the answer is that of the service's layers.
pub(crate) fn hide_probe() -> FilterFn {
    let is_other: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() != PROBE;
    filter_fn(is_other).with_max_level_hint(LevelFilter::TRACE)
}

/// Tells the subscriber of the process from others, where it is ours.
static IS_OURS: OnceLock<fn() -> bool> = OnceLock::new();

/// Says that the subscriber of the process is ours, and of this type.
pub(crate) fn set_ours<S: Subscriber>() {
    let is_ours = || dispatcher::get_default(|heard| heard.is::<S>());
    // Only the first subscriber of a process is one.
    let _ = IS_OURS.set(is_ours);
}

/// Whether the subscriber of this thread is the one that we made that of the process.
pub(crate) fn is_ours() -> bool {
    IS_OURS.get().is_some_and(|is_ours| is_ours())
}

thread_local! {
    /// Whether what this thread said last came to a layer that shows it.
    static WAS_SEEN: Cell<bool> = const { Cell::new(false) };
}

/// Stands beside a layer that prints lines, behind the same filter, and sees what that prints.
pub(crate) struct Witness;

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            WAS_SEEN.set(true);
        }
    }
}

/// Whether something was said on stderr.
static HAS_PRINTED: AtomicBool = AtomicBool::new(false);

/// Text in one line, whatever is in it: on a terminal control characters would be obeyed.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\'' | '\\' => line.push(char),
            char => line.extend(char.escape_debug()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let line = one_line("a\"b\\'\n\u{1b}[31m\u{202e}é");
        assert_eq!(line, r#"a"b\'\n\u{1b}[31m\u{202e}é"#);
    }
}
