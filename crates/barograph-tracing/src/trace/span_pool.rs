//! The exported span records whose memory a thread reuses for new spans; see
//! [`recycled`](crate::recycled).

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;

use barograph_core::cache::expect_write;
use barograph_core::record_queue::Fanout;
use barograph_model::span::{SpanEvent, SpanKind, SpanRecord, Status};
use barograph_model::value::Attribute;

use crate::recycled::Recycled;

thread_local! {
    static POOL: RefCell<SpanPool> = const { RefCell::new(SpanPool::new()) };
}

/// Returns an exported record, reset to the state of a new one except for the values that the
/// caller sets for each span: its context, parent, tracestate, name, start and scope.
#[inline]
pub(super) fn record(queues: &Fanout<SpanRecord>) -> Option<Box<SpanRecord>> {
    // A thread that is exiting has no pool.
    let record = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.record(queues));
    record.ok().flatten()
}

/// Returns an empty text and an empty list, with the memory of an exported event if there is one.
#[inline]
pub(super) fn event() -> (String, Vec<Attribute>) {
    let event = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.events.pop());
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

/// The records that a thread has taken.
struct SpanPool {
    records: Recycled<SpanRecord>,
    /// The events of the record that was taken last.
    events: Vec<SpanEvent>,
}

impl SpanPool {
    const fn new() -> Self {
        SpanPool {
            records: Recycled::new(),
            events: Vec::new(),
        }
    }

    #[inline(always)]
    fn record(&mut self, queues: &Fanout<SpanRecord>) -> Option<Box<SpanRecord>> {
        let mut record = self.records.take(queues)?;
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
        let waiting = self.records.waiting();
        if let [.., after_next, _, _] = waiting {
            expect_write(&**after_next);
        }
        if let [.., next, _] = waiting {
            expect_write(&*next.events);
        }
        if let [.., record] = waiting {
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
    use barograph_core::record_queue::RecordQueue;
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
        let queue = RecordQueue::new(1);
        let queues = Fanout::from(queue.clone());
        assert_eq!(record(&queues), None);
        queue.recycle((0..5).map(|_| Box::new(full())), 0);
        for _ in 0..5 {
            let record = record(&queues).expect("there are five");
            let as_new = SpanRecord {
                start_unix_nano: 1,
                end_unix_nano: 7,
                scope: "scope".into(),
                ..SpanRecord::new(record.context, "name")
            };
            assert_eq!(*record, as_new);
            POOL.with_borrow(|pool| assert_eq!(pool.events.len(), 1));
        }
        assert_eq!(record(&queues), None);
        let (text, attributes) = event();
        assert!(text.is_empty() && attributes.is_empty());
        assert!(text.capacity() >= 5 && attributes.capacity() >= 1);
        assert_eq!(event(), Default::default());
    }
}
