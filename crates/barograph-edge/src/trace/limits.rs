//! How much a span may hold.

use barograph_model::span::{SpanEvent, SpanLink, SpanRecord};
use barograph_model::value::{AnyValue, Attribute, Text};

/// How much a span holds at most. What comes beyond is left out and counted in the span.
///
/// Source: OpenTelemetry 1.60, "Span limits" and "Attribute limits".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Attributes of the span; 128 unless set.
    pub attributes: usize,
    /// Events; 128 unless set.
    pub events: usize,
    /// Links; 128 unless set.
    pub links: usize,
    /// Attributes of each event; 128 unless set.
    pub event_attributes: usize,
    /// Attributes of each link; 128 unless set.
    pub link_attributes: usize,
    /// Characters of a text and bytes of other values; without end unless set.
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
    /// Cuts a value to the length that is allowed.
    #[inline]
    pub(super) fn cut(&self, mut value: AnyValue) -> AnyValue {
        if self.value_length != usize::MAX {
            value.truncate(self.value_length);
        }
        value
    }

    /// Whether an event has room for its level and its target as they are.
    #[inline]
    pub(super) fn takes_level_and_target(&self) -> bool {
        self.event_attributes >= 2 && self.value_length == usize::MAX
    }

    /// Adds an attribute of the span, or puts it in the place of the one with its key.
    pub(super) fn set(&self, record: &mut SpanRecord, key: Text, value: AnyValue) {
        let value = self.cut(value);
        put(
            &mut record.attributes,
            &mut record.dropped_attributes,
            self.attributes,
            Attribute { key, value },
        );
    }

    /// Adds an event, if there is room.
    #[inline(always)]
    pub(super) fn push_event(&self, record: &mut SpanRecord, event: impl FnOnce() -> SpanEvent) {
        if record.events.len() < self.events {
            // Mostly the only one.
            if record.events.capacity() == 0 {
                record.events.reserve_exact(1);
            }
            record.events.push(event());
        } else {
            record.dropped_events = record.dropped_events.saturating_add(1);
        }
    }

    /// Adds a link, if there is room, with as many attributes as it may have.
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

    /// As many of the attributes as there may be, each key once.
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

/// Adds an attribute, or puts it in the place of the one with its key; counts it when there is no room.
// Where values are made in place and not moved: a move waits until what was stored can be loaded.
#[inline(always)]
pub(super) fn put(
    attributes: &mut Vec<Attribute>,
    dropped: &mut u32,
    limit: usize,
    new: Attribute,
) {
    let is_same = |old: &&mut Attribute| {
        // Most keys differ in their length.
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
