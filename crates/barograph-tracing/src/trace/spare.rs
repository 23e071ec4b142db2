//! A pool of exported span records, whose memory is reused for new spans.
//!
//! A record is written by one thread and read by another, mostly on two different processors.
//! Memory that one thread allocates and another frees costs both several times as much as memory
//! that stays on one thread; and a write to memory that another processor has read waits for that
//! processor. Together that was more than half of the cost of a sampled span. So the exporter
//! returns records here unchanged, several at a time. A thread that starts spans also takes several
//! at a time; it takes the records apart on the processor that will use them, reuses most of their
//! memory, and prefetches the memory of the next records before it needs it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;
use std::sync::LazyLock;

use barograph_core::cache::expect_write;
use barograph_core::queue::Queue;
use barograph_model::span::{SpanEvent, SpanKind, SpanRecord, Status};
use barograph_model::value::Attribute;

/// The maximum number of records in the pool: two batches of an exporter, typically 0.7 MB.
const MOST: usize = 1024;
/// The number of records that a thread takes at once, and may keep.
const SOME: usize = 32;
/// The number of records that a thread keeps in reserve, so that it can prefetch their memory.
const AHEAD: usize = 4;
/// The encoded length, in bytes, above which the memory of a record is not reused. Most records are
/// shorter, and [`MOST`] records of this length are still a small amount of memory.
const LARGE: usize = 1024;

type Records = Vec<Box<SpanRecord>>;

static SPARE: LazyLock<Queue<Records>> = LazyLock::new(|| Queue::new(MOST / SOME));

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock::new()) };
}

/// Returns records that came through a [`SpanSink`](super::SpanSink) to the pool, after they were
/// exported.
///
/// The records are treated as dropped, but spans that start later reuse their memory. `bytes` is
/// their total encoded length: the memory of large records is not reused.
pub fn give_back(mut records: impl ExactSizeIterator<Item = Box<SpanRecord>>, bytes: usize) {
    // The content of the records is not read here, because memory that one processor reads makes
    // another one wait.
    if bytes > LARGE * records.len() {
        return;
    }
    while records.len() > 0 {
        let mut some = Vec::with_capacity(SOME + AHEAD);
        some.extend(records.by_ref().take(SOME));
        // If the pool is full, the records are freed.
        let _ = SPARE.push(some);
    }
}

/// Returns an exported record, reset to the state of a new one except for the values that the
/// caller sets for each span: its context, parent, tracestate, name, start and scope.
#[inline]
pub(super) fn record() -> Option<Box<SpanRecord>> {
    // A thread that is exiting has no pool.
    let record = STOCK.try_with(|stock| stock.try_borrow_mut().ok()?.record());
    record.ok().flatten()
}

/// Returns an empty text and an empty list, with the memory of an exported event if there is one.
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

/// The records that a thread has taken from the pool.
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

    /// Prefetches the memory of the records that are taken next, each time as far as its address is
    /// known: first the record, then its events, then the content of its first event.
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
        // Other tests may take the records first, but hardly each time.
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
