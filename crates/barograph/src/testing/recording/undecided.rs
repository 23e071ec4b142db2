//! Subscribers that keep every callsite of `tracing` open to captures.

use std::sync::OnceLock;

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Makes `tracing` ask the subscriber of the thread about each span and event, from now on.
///
/// `tracing` remembers for each callsite whether any subscriber wants it. While there is only one, it
/// asks that of the thread which comes first: a thread without a capture would turn the callsite off
/// for the captures of all others. So there are two subscribers, forever, that want to be asked.
pub(super) fn ask_each_time() {
    static FOREVER: OnceLock<[Dispatch; 2]> = OnceLock::new();
    FOREVER.get_or_init(|| [Dispatch::new(Undecided), Dispatch::new(Undecided)]);
}

/// A subscriber that is never current.
struct Undecided;

impl Subscriber for Undecided {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
