//! Each name once in an object of JSON.
//!
//! A callsite may name a field twice: `info!(a = 1, a = 2)`. The last one counts, as it does for
//! attributes of spans and as most readers of JSON have it. Source: RFC 8259, 4.
//!
//! Few callsites do. Those that do not are remembered, so that an event costs a load.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Event;
use tracing::field::{Field, FieldSet, Visit};

use super::MESSAGE;

/// The name that a field has in the object: what comes before it, and the rest.
pub(super) type Name = (&'static str, &'static str);

/// Fields of an event by their index; those behind the 128th are not looked at.
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

/// Whether a field is the first of an event's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    /// There is a message before it.
    Further,
}

/// The callsites of which it is known that no two fields have the same name in this format, by the
/// addresses of their metadata.
pub(super) struct UniqueCallsites([AtomicUsize; 256]);

impl UniqueCallsites {
    pub(super) const fn new() -> Self {
        UniqueCallsites([const { AtomicUsize::new(0) }; 256])
    }

    /// The fields of an event that give way to a later one of the same name.
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

/// Those that are followed by one of the same name, of the fields that are present.
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
