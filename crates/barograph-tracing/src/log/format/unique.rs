//! Detection of names that occur more than once in a JSON object.
//!
//! A callsite may name a field twice: `info!(a = 1, a = 2)`. The last one is kept, as for
//! attributes of spans and as in most JSON parsers. Source: RFC 8259, 4.
//!
//! Few callsites do so. All others are remembered, so that an event costs one load.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Event;
use tracing::field::{Field, FieldSet, Visit};

use super::MESSAGE;

/// The name of a field in the object: its prefix, and the rest.
pub(super) type Name = (&'static str, &'static str);

/// A set of fields of an event, by their index; fields from the 129th on are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Indices(u128);

impl Indices {
    #[inline]
    pub(super) fn has(&self, field: &Field) -> bool {
        self.0 != 0 && self.has_index(field.index())
    }

    fn has_index(&self, index: usize) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    fn insert(&mut self, index: usize) {
        if index < 128 {
            self.0 |= 1 << index;
        }
    }
}

/// The order of a field relative to the first message of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    /// A message precedes the field.
    Further,
}

/// The callsites that are known to have no two fields with the same name in this format, by the
/// addresses of their metadata.
pub(super) struct UniqueCallsites([AtomicUsize; 256]);

impl UniqueCallsites {
    pub(super) const fn new() -> Self {
        UniqueCallsites([const { AtomicUsize::new(0) }; 256])
    }

    /// Returns the fields of an event that are replaced by a later one with the same name.
    #[inline]
    pub(super) fn superseded(
        &self,
        event: &Event<'_>,
        name: impl Fn(&'static str, Order) -> Name,
    ) -> Indices {
        let address = std::ptr::from_ref(event.metadata()).addr();
        let place = &self.0[address / 16 % self.0.len()];
        if place.load(Ordering::Relaxed) == address {
            return Indices::default();
        }
        let fields = event.metadata().fields();
        let all = Indices(u128::MAX);
        if find(fields, all, &name) == Indices::default() {
            place.store(address, Ordering::Relaxed);
            return Indices::default();
        }
        let mut present = Present::default();
        event.record(&mut present);
        find(fields, present.0, &name)
    }
}

/// Returns the present fields that are followed by a present field with the same name.
#[cold]
fn find(
    fields: &FieldSet,
    present: Indices,
    name: &impl Fn(&'static str, Order) -> Name,
) -> Indices {
    let mut superseded = Indices::default();
    let mut names: Vec<(usize, Name)> = Vec::with_capacity(fields.len());
    let mut order = Order::First;
    for field in fields
        .iter()
        .filter(|field| present.has_index(field.index()))
    {
        let new = name(field.name(), order);
        if field.name() == MESSAGE {
            order = Order::Further;
        }
        let same = names.iter().filter(|(_, old)| is_same(*old, new));
        same.for_each(|(index, _)| superseded.insert(*index));
        names.push((field.index(), new));
    }
    superseded
}

fn is_same(a: Name, b: Name) -> bool {
    let length = |(before, rest): Name| before.len() + rest.len();
    let bytes = |(before, rest): Name| before.bytes().chain(rest.bytes());
    length(a) == length(b) && bytes(a).eq(bytes(b))
}

/// The fields of an event that have a value.
#[derive(Default)]
struct Present(Indices);

impl Visit for Present {
    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.0.insert(field.index());
    }
}
