//! Keeps what the loop's own thread does out of what is traced: what is pushed must not make more to
//! push.
//!
//! On that thread nobody is the subscriber. Not an empty one: it would be asked about every place in
//! the program that traces, and since it wants none, all others would have to be asked each time.
//!
//! That leaves one trap. Where a process has one subscriber, a place that traces asks whoever is the
//! subscriber of the thread that comes by first, and keeps the answer for all threads. So a place in a
//! library that the loop uses, too, would stay silent for the service, if the loop came first. Where
//! there are two, all of them are asked. The second one is an [`Echo`]: it wants what is wanted on the
//! thread that asks, so that it changes no answer.

use std::cell::RefCell;

use tracing::dispatcher::{self, DefaultGuard};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Dispatch, Event, Metadata};

thread_local! {
    static SILENCE: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// From here on nobody hears what is traced on this thread.
pub(super) fn begin() {
    SILENCE.set(Some(dispatcher::set_default(&Dispatch::none())));
}

/// Lets somebody hear what is traced on this thread.
pub(super) fn end() {
    drop(SILENCE.take());
}

/// Makes a process one with two subscribers, as long as what is returned is there.
pub(super) fn echo() -> Dispatch {
    Dispatch::new(Echo)
}

/// A subscriber that is never set, and wants what the one of the thread wants.
struct Echo;

impl Subscriber for Echo {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        dispatcher::get_default(|heard| heard.register_callsite(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // It is not 0; nobody asks, since none is enabled.
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
