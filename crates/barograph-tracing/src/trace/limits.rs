//! Limits of the size of a span.

use barograph_model::span::{SpanEvent, SpanLink, SpanRecord};
use barograph_model::value::{AnyValue, Attribute, Text};

/// The limits of the size of a span. Data beyond a limit is dropped and counted in the span.
///
/// Source: OpenTelemetry 1.60, "Span limits" and "Attribute limits".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// The maximum number of attributes of the span, 128 by default.
    pub attributes: usize,
    /// The maximum number of events, 128 by default.
    pub events: usize,
    /// The maximum number of links, 128 by default.
    pub links: usize,
    /// The maximum number of attributes of each event, 128 by default.
    pub event_attributes: usize,
    /// The maximum number of attributes of each link, 128 by default.
    pub link_attributes: usize,
    /// The maximum length of a value, in characters for text and in bytes for other values;
    /// unlimited by default.
    pub value_length: usize,
}

impl Default for SpanLimits {
    fn default() -> Self {
        SpanLimits {
            attributes: 128,
            events: 128,
            links: 128,
            event_attributes: 128,
            link_attributes: 128,
            value_length: usize::MAX,
        }
    }
}

impl SpanLimits {
    /// Truncates a value to the maximum length.
    #[inline]
    pub(super) fn cut(&self, mut value: AnyValue) -> AnyValue {
        if self.value_length != usize::MAX {
            value.truncate(self.value_length);
        }
        value
    }

    /// Returns true if the limits of an event allow its level and its target unchanged.
    #[inline]
    pub(super) fn takes_level_and_target(&self) -> bool {
        self.event_attributes >= 2 && self.value_length == usize::MAX
    }

    /// Sets an attribute of the span, and replaces the value if the key exists.
    pub(super) fn set(&self, record: &mut SpanRecord, key: Text, value: AnyValue) {
        let value = self.cut(value);
        put(
            &mut record.attributes,
            &mut record.dropped_attributes,
            self.attributes,
            Attribute { key, value },
        );
    }

    /// Adds an event, or counts it as dropped if there is no room.
    #[inline(always)]
    pub(super) fn push_event(&self, record: &mut SpanRecord, event: impl FnOnce() -> SpanEvent) {
        if record.events.len() < self.events {
            // Most spans with events have exactly one.
            if record.events.capacity() == 0 {
                record.events.reserve_exact(1);
            }
            record.events.push(event());
        } else {
            record.dropped_events = record.dropped_events.saturating_add(1);
        }
    }

    /// Adds a link with at most the allowed number of attributes, or counts it as dropped if there
    /// is no room.
    pub(super) fn push_link(&self, record: &mut SpanRecord, mut link: SpanLink) {
        if record.links.len() >= self.links {
            record.dropped_links = record.dropped_links.saturating_add(1);
            return;
        }
        link.attributes = self.fit(
            link.attributes,
            self.link_attributes,
            &mut link.dropped_attributes,
        );
        record.links.push(link);
    }

    /// Returns the attributes that fit into the limit, with each key once. The others are counted
    /// in `dropped`.
    pub(super) fn fit(
        &self,
        attributes: Vec<Attribute>,
        limit: usize,
        dropped: &mut u32,
    ) -> Vec<Attribute> {
        let mut fitting = Vec::with_capacity(attributes.len().min(limit));
        for mut attribute in attributes {
            attribute.value = self.cut(attribute.value);
            put(&mut fitting, dropped, limit, attribute);
        }
        fitting
    }
}

/// Sets an attribute, and replaces the value if the key exists. Counts it as dropped if there is no
/// room.
// Inlined so that values are built in place: a move would wait until the values just stored can be
// loaded.
#[inline(always)]
pub(super) fn put(
    attributes: &mut Vec<Attribute>,
    dropped: &mut u32,
    limit: usize,
    new: Attribute,
) {
    let is_same = |old: &&mut Attribute| {
        // Most keys differ in length.
        let (old, new) = (&*old.key, &*new.key);
        old.len() == new.len() && old == new
    };
    if let Some(old) = attributes.iter_mut().find(is_same) {
        old.value = new.value;
    } else if attributes.len() < limit {
        attributes.push(new);
    } else {
        *dropped = dropped.saturating_add(1);
    }
}
