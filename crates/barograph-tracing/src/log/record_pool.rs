//! The exported log records whose memory a thread reuses for new ones; see
//! [`recycled`](crate::recycled).

use std::borrow::Cow;
use std::cell::RefCell;

use barograph_core::cache::expect_write;
use barograph_core::record_queue::Fanout;
use barograph_model::log::{LogRecord, Severity};
use barograph_model::value::AnyValue;

use crate::recycled::Recycled;

thread_local! {
    static POOL: RefCell<Recycled<LogRecord>> = const { RefCell::new(Recycled::new()) };
}

/// Returns an empty record with room for `attributes`, and an empty text for its body. Both have the
/// memory of an exported record, if there is one.
#[inline]
pub(super) fn record(queues: &Fanout<LogRecord>, attributes: usize) -> (Box<LogRecord>, String) {
    // A thread that is exiting has no pool.
    let exported = POOL.try_with(|pool| {
        let mut pool = pool.try_borrow_mut().ok()?;
        let record = pool.take(queues);
        expect_next(&pool);
        record
    });
    let Some(mut record) = exported.ok().flatten() else {
        return (Box::new(empty(attributes)), String::new());
    };
    let mut text = match record.body.take() {
        Some(AnyValue::Str(Cow::Owned(text))) => text,
        _ => String::new(),
    };
    text.clear();
    record.event_name = None;
    record.attributes.clear();
    record.attributes.reserve(attributes);
    record.dropped_attributes = 0;
    record.context = None;
    (record, text)
}

fn empty(attributes: usize) -> LogRecord {
    LogRecord {
        time_unix_nano: 0,
        observed_unix_nano: 0,
        severity: Severity::Info,
        event_name: None,
        body: None,
        scope: Cow::Borrowed(""),
        attributes: Vec::with_capacity(attributes),
        dropped_attributes: 0,
        context: None,
    }
}

/// Prefetches the memory of the records that are taken next, as far as its address is known: first the
/// record, then its content.
#[inline(always)]
fn expect_next(pool: &Recycled<LogRecord>) {
    let waiting = pool.waiting();
    if let [.., next, _] = waiting {
        expect_write(&**next);
    }
    if let [.., record] = waiting {
        expect_write(&*record.attributes);
        if let Some(AnyValue::Str(text)) = &record.body {
            expect_write(&**text);
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_core::ids;
    use barograph_core::record_queue::RecordQueue;
    use barograph_model::value::Attribute;

    use super::*;

    #[test]
    fn nothing_of_a_record_is_left_in_what_is_used_again() {
        let queue = RecordQueue::new(1);
        let queues = Fanout::from(queue.clone());
        let full = || LogRecord {
            event_name: Some("event".into()),
            body: Some(AnyValue::from("secret".to_owned())),
            attributes: vec![Attribute::new("secret", 1); 3],
            dropped_attributes: 2,
            context: Some(ids::new_trace()),
            ..empty(0)
        };
        assert_eq!(*record(&queues, 2).0, empty(2));
        queue.recycle((0..5).map(|_| Box::new(full())), 0);
        for _ in 0..5 {
            let (record, text) = record(&queues, 2);
            assert_eq!(*record, empty(2));
            assert!(text.is_empty());
            assert!(text.capacity() >= "secret".len() && record.attributes.capacity() >= 3);
        }
        assert_eq!(record(&queues, 2).1.capacity(), 0);
    }
}
