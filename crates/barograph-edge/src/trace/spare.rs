//! The memory of records that were exported, for those that begin.
//!
//! A record is made by one thread and read by another, mostly on two processors. What one thread asks
//! of the allocator and another gives back costs both several times as much as what stays on a thread;
//! and a write to memory that another processor has looked at waits for it. Together that was more than
//! half of what a sampled span took. So who has read records gives them back here as they are, some at
//! a time. A thread that starts spans takes some at a time, too; it takes what is in them apart where
//! it came from, uses most of it again, and asks for the memory of the next ones before it needs it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;
use std::sync::LazyLock;

use barograph_core::cache::expect_write;
use barograph_core::queue::Queue;
use barograph_model::span::{SpanEvent, SpanKind, SpanRecord, Status};
use barograph_model::value::Attribute;

/// Records that wait here at most: two batches of an exporter, mostly 0.7 MB.
const MOST: usize = 1024;
/// Records that a thread takes at once, and may keep.
const SOME: usize = 32;
/// Records whose memory is on its way.
const AHEAD: usize = 4;
/// The length, as it is written, of a record whose memory is not kept: more than most are, and not so
/// much that [`MOST`] of them would be missed.
const LARGE: usize = 1024;

type Records = Vec<Box<SpanRecord>>;

static SPARE: LazyLock<Queue<Records>> = LazyLock::new(|| Queue::new(MOST / SOME));

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock::new()) };
}

/// Takes the records that came through a [`SpanSink`](super::SpanSink) and that nobody needs any more.
///
/// It is as if they were dropped, but spans that start later use the memory again. `bytes` is how long
/// they were together when they were written: of records that are large, the memory is not kept.
pub fn give_back(mut records: impl ExactSizeIterator<Item = Box<SpanRecord>>, bytes: usize) {
    // What they hold is not looked at: all that one processor reads, another waits for.
    if bytes > LARGE * records.len() {
        return;
    }
    while records.len() > 0 {
        let mut some = Vec::with_capacity(SOME + AHEAD);
        some.extend(records.by_ref().take(SOME));
        // What has no room is freed.
        let _ = SPARE.push(some);
    }
}

/// A record that was exported, as a new one is but for what is set of each: its context, parent,
/// tracestate, name, start and scope.
#[inline]
pub(super) fn record() -> Option<Box<SpanRecord>> {
    // A thread that ends has none.
    let record = STOCK.try_with(|stock| stock.try_borrow_mut().ok()?.record());
    record.ok().flatten()
}

/// An empty text and an empty list, with the memory of an event that was exported, if there is one.
#[inline]
pub(super) fn event() -> (String, Vec<Attribute>) {
    let event = STOCK.try_with(|stock| stock.try_borrow_mut().ok()?.events.pop());
    let Some(SpanEvent {
        name,
        mut attributes,
        ..
    }) = event.ok().flatten()
    else {
        return Default::default();
    };
    attributes.clear();
    let text = match name {
        Cow::Owned(mut text) => {
            text.clear();
            text
        }
        Cow::Borrowed(_) => String::new(),
    };
    (text, attributes)
}

/// What a thread has of it.
struct Stock {
    records: Records,
    /// The events of the record that was taken last.
    events: Vec<SpanEvent>,
}

impl Stock {
    const fn new() -> Self {
        Stock {
            records: Vec::new(),
            events: Vec::new(),
        }
    }

    #[inline(always)]
    fn record(&mut self) -> Option<Box<SpanRecord>> {
        if self.records.len() < AHEAD
            && let Some(mut more) = SPARE.pop()
        {
            more.append(&mut self.records);
            self.records = more;
        }
        let mut record = self.records.pop()?;
        self.expect_next();
        self.events.clear();
        mem::swap(&mut self.events, &mut record.events);
        record.kind = SpanKind::Internal;
        record.attributes.clear();
        record.dropped_attributes = 0;
        record.dropped_events = 0;
        record.links.clear();
        record.dropped_links = 0;
        record.status = Status::Unset;
        Some(record)
    }

    /// Asks for the memory of the records that are taken next, each time for what is known by then: the
    /// record itself, its events, what the first of these holds.
    #[inline(always)]
    fn expect_next(&self) {
        if let [.., after_next, _, _] = &self.records[..] {
            expect_write(&**after_next);
        }
        if let [.., next, _] = &self.records[..] {
            expect_write(&*next.events);
        }
        if let [.., record] = &self.records[..] {
            expect_write(&*record.attributes);
            if let Some(event) = record.events.first() {
                expect_write(&*event.name);
                expect_write(&*event.attributes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_core::ids;
    use barograph_model::context::TraceState;
    use barograph_model::span::SpanLink;

    use super::*;

    fn full() -> SpanRecord {
        SpanRecord {
            context: ids::new_trace(),
            parent: None,
            trace_state: TraceState::EMPTY,
            name: "name".to_owned().into(),
            kind: SpanKind::Server,
            start_unix_nano: 1,
            end_unix_nano: 7,
            scope: "scope".into(),
            attributes: vec![Attribute::new("secret", 1)],
            dropped_attributes: 1,
            events: vec![SpanEvent {
                name: "event".to_owned().into(),
                time_unix_nano: 1,
                attributes: vec![Attribute::new("secret", 2)],
                dropped_attributes: 0,
            }],
            dropped_events: 2,
            links: vec![SpanLink::new(ids::new_trace())],
            dropped_links: 3,
            status: Status::Ok,
        }
    }

    #[test]
    fn nothing_of_a_record_is_left_in_what_is_used_again() {
        let mut stock = Stock::new();
        for _ in 0..5 {
            stock.records.push(Box::new(full()));
        }
        for _ in 0..5 {
            let record = stock.record().expect("there are five");
            let as_new = SpanRecord {
                start_unix_nano: 1,
                end_unix_nano: 7,
                scope: "scope".into(),
                ..SpanRecord::new(record.context, "name")
            };
            assert_eq!(*record, as_new);
            assert_eq!(stock.events.len(), 1);
        }
        STOCK.with(|mine| *mine.borrow_mut() = stock);
        let (text, attributes) = event();
        assert!(text.is_empty() && attributes.is_empty());
        assert!(text.capacity() >= 5 && attributes.capacity() >= 1);
        assert_eq!(event(), Default::default());
    }

    #[test]
    fn what_is_given_back_comes_again_unless_it_is_large() {
        let named = |name: &'static str| {
            let records = (0..2 * SOME).map(|_| SpanRecord {
                name: name.into(),
                ..full()
            });
            records.map(Box::new).collect::<Vec<_>>().into_iter()
        };
        // Other tests may take what is here first, but hardly each time.
        let comes_again = (0..100).any(|_| {
            give_back(named("large"), 2 * SOME * LARGE + 1);
            give_back(named("small"), 2 * SOME * LARGE);
            let names: Vec<_> = std::iter::from_fn(record).map(|it| it.name).collect();
            assert!(names.iter().all(|name| name == "small"), "{names:?}");
            names.len() == 2 * SOME
        });
        assert!(comes_again);
    }
}
