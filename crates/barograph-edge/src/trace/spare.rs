//! The memory of records that were exported, for those that begin.
//!
//! A record is made by one thread and taken by another. What one thread asks of the allocator and
//! another gives back costs both several times as much as what stays on a thread; most of what a span
//! took was that. So who takes a record gives its memory back here, and spans that start look here
//! first.

use std::sync::LazyLock;

use barograph_core::queue::Queue;
use barograph_model::context::{TraceContext, TraceFlags, TraceState};
use barograph_model::span::{SpanKind, SpanRecord, Status};
use barograph_model::value::Text;

/// As many as two batches, 0.7 MB.
const MOST: usize = 1024;

static SPARE: LazyLock<Queue<Box<SpanRecord>>> = LazyLock::new(|| Queue::new(MOST));

/// Takes a record out of the box in which it came through a [`SpanSink`](super::SpanSink).
///
/// It is what `*record` is, but spans that start later use the memory again.
pub fn unbox(mut record: Box<SpanRecord>) -> SpanRecord {
    let Some(nothing) = nothing() else {
        return *record;
    };
    let taken = std::mem::replace(&mut *record, nothing);
    // What has no room is freed.
    let _ = SPARE.push(record);
    taken
}

/// A record that was exported, with nothing in it.
#[inline]
pub(super) fn spare() -> Option<Box<SpanRecord>> {
    SPARE.pop()
}

/// A record of nothing.
fn nothing() -> Option<SpanRecord> {
    Some(SpanRecord {
        context: TraceContext::new(1, 1, TraceFlags::default())?,
        parent: None,
        trace_state: TraceState::EMPTY,
        name: Text::Borrowed(""),
        kind: SpanKind::Internal,
        start_unix_nano: 0,
        end_unix_nano: 0,
        scope: Text::Borrowed(""),
        attributes: Vec::new(),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        dropped_links: 0,
        status: Status::Unset,
    })
}

#[cfg(test)]
mod tests {
    use barograph_core::ids;
    use barograph_model::span::{SpanEvent, SpanLink};
    use barograph_model::value::Attribute;

    use super::*;

    #[test]
    fn nothing_of_a_record_is_left_in_its_box() {
        let nothing = nothing().expect("its ids are not zero");
        let full = SpanRecord {
            context: ids::new_trace(),
            name: "name".to_owned().into(),
            kind: SpanKind::Server,
            end_unix_nano: 7,
            attributes: vec![Attribute::new("secret", 1)],
            dropped_attributes: 1,
            events: vec![SpanEvent {
                name: "event".into(),
                time_unix_nano: 1,
                attributes: Vec::new(),
                dropped_attributes: 0,
            }],
            dropped_events: 2,
            links: vec![SpanLink::new(ids::new_trace())],
            dropped_links: 3,
            status: Status::Ok,
            ..nothing.clone()
        };
        assert_eq!(unbox(Box::new(full.clone())), full);
        // Other tests may take it first; what they leave is the same.
        assert!(spare().is_none_or(|record| *record == nothing));
    }
}
