//! Messages of the library itself, for example about ignored variables and unavailable receivers.
//! They go through `tracing`, and to stderr if no subscriber would print them.
//!
//! | subscriber when the message is logged | destination |
//! |---|---|
//! | this library's, which prints lines | a line; stderr if its filter drops warnings of `barograph` |
//! | this library's, without lines (`without_logs`) | an event for spans and log records, and stderr |
//! | the service's, set at any time | an event; also stderr if its filter drops warnings of `barograph` |
//! | none, or none yet (`without_subscriber`) | stderr |
//!
//! Messages printed on stderr are not repeated when a subscriber is set later. A subscriber of the
//! service that enables warnings is trusted to print them.

use std::cell::Cell;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use barograph_model::suppression;
use barograph_model::text::one_line;
use barograph_tracing::filter::Filter;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, dispatcher};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Context, Layer};

use crate::stderr::Stderr;

/// Logs a warning.
pub(crate) fn warn(message: &dyn Display) {
    if !is_shown(|| tracing::warn!(target: TARGET, "{message}")) {
        HAS_PRINTED.store(true, Ordering::Relaxed);
        print(message);
    }
}

/// Logs an error of the library itself.
pub(crate) fn error(message: &dyn Display) {
    if !is_shown(|| tracing::error!(target: TARGET, "{message}")) {
        HAS_PRINTED.store(true, Ordering::Relaxed);
        print(message);
    }
}

/// Logs a recovery, if the failure was logged.
#[cfg(feature = "otlp")]
pub(crate) fn info(message: &dyn Display) {
    let is_shown = is_shown(|| tracing::info!(target: TARGET, "{message}"));
    // A filter that drops only levels below warnings does so on purpose.
    if !is_shown && HAS_PRINTED.load(Ordering::Relaxed) {
        print(message);
    }
}

/// Logs a warning like [`warn`], from a thread that must not wait for stderr, such as one that records.
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

/// Waits up to `limit` until messages logged without waiting are written.
pub(crate) fn settle(limit: Duration) {
    // Messages that are not written in time are written later, or lost with the process.
    drop(PRINTED.wait_timeout_while(pending(), limit, |pending| *pending > 0));
}

/// The number of messages that other threads are about to write.
static PENDING: Mutex<usize> = Mutex::new(0);
static PRINTED: Condvar = Condvar::new();

fn pending() -> MutexGuard<'static, usize> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to stderr. Write errors are ignored.
pub(crate) fn print(message: &dyn Display) {
    let line = one_line(&message.to_string());
    let _ = Stderr::new().write_all(format!("barograph: {line}\n").as_bytes());
}

/// Emits an event, also on threads that suppress events. Returns true if it is shown.
fn is_shown(event: impl FnOnce()) -> bool {
    let _allowed = suppression::allow();
    WAS_SEEN.set(false);
    event();
    match is_ours() {
        // Another layer's filter enabling the event does not mean that the line was printed.
        true => WAS_SEEN.get(),
        false => tracing::enabled!(target: PROBE, Level::WARN),
    }
}

/// The target of the library's own messages.
const TARGET: &str = "barograph";

/// The target with which a subscriber of the service is probed; filters treat it like [`TARGET`].
const PROBE: &str = "barograph::probe";

/// Returns a filter for the library's layers in a subscriber of the service. These layers print
/// nothing, so the probe is hidden from them, and the result is that of the service's layers.
pub(crate) fn hide_probe() -> FilterFn {
    let is_other: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() != PROBE;
    filter_fn(is_other).with_max_level_hint(LevelFilter::TRACE)
}

/// Recognizes the global subscriber if this library has set it.
static IS_OURS: OnceLock<fn() -> bool> = OnceLock::new();

/// Records that this library has set the global subscriber, of this type.
pub(crate) fn set_ours<S: Subscriber>() {
    let is_ours = || dispatcher::get_default(|dispatch| dispatch.is::<S>());
    // It is set only once, by the first subscriber of the process.
    let _ = IS_OURS.set(is_ours);
}

/// Returns true if the subscriber of this thread is the one that this library has set globally.
pub(crate) fn is_ours() -> bool {
    IS_OURS.get().is_some_and(|is_ours| is_ours())
}

thread_local! {
    /// True if the last message of this thread reached a layer that prints it.
    static WAS_SEEN: Cell<bool> = const { Cell::new(false) };
}

/// A layer with the filter of the one that prints lines, which sees the same events.
pub(crate) struct Witness {
    filter: Filter,
}

impl Witness {
    pub(crate) fn new(filter: Filter) -> Self {
        Witness { filter }
    }
}

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == TARGET && self.filter.enables(event.metadata()) {
            WAS_SEEN.set(true);
        }
    }
}

/// True once a message was printed on stderr.
static HAS_PRINTED: AtomicBool = AtomicBool::new(false);
