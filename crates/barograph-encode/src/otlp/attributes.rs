//! The attributes of a point: constant labels, its own labels, and those that its kind adds.

use std::collections::HashSet;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::Labels;
use barograph_model::name::OVERFLOW;

use crate::report::Rejection;
use crate::walk::Uniqueness;

/// Additional data of a point beyond its labels.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    /// True for a point of the overflow series.
    pub(super) is_overflow: bool,
    /// For a state set, the family's name and the state that the point represents.
    pub(super) state: Option<(&'a str, &'a str)>,
}

/// The value of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeValue<'a> {
    Str(&'a str),
    True,
}

/// Passes each attribute of a point to `put`. If a key occurs twice, the first attribute is kept.
pub(super) fn each<'a>(
    descriptor: &'a Descriptor,
    labels: &Labels<'a>,
    extra: Extra<'a>,
    mut put: impl FnMut(&'a str, AttributeValue<'a>),
) -> Result<(), Rejection> {
    check(labels)?;
    // The overflow series stands for all label values, so it has no labels.
    let own = match extra.is_overflow {
        true => Labels::EMPTY,
        false => *labels,
    };
    let constant = descriptor.constant_labels.iter();
    let constant = constant.map(|(key, value)| (&**key, AttributeValue::Str(value)));
    // An empty label value means that the label is absent, as on Prometheus pages.
    let own = own.iter().filter(|(_, value)| !value.is_empty());
    let own = own.map(|(key, value)| (key, AttributeValue::Str(value)));
    // The state comes first, so that no label can take its key: otherwise states would be
    // indistinguishable.
    let state = extra
        .state
        .map(|(key, state)| (key, AttributeValue::Str(state)));
    let overflow = extra
        .is_overflow
        .then_some((OVERFLOW, AttributeValue::True));
    let all = state.into_iter().chain(constant).chain(own).chain(overflow);
    let mut keys = Keys::new();
    for (key, value) in all {
        if keys.is_new(key) {
            put(key, value);
        }
    }
    Ok(())
}

/// Returns true if the constant and variable label names of a family are all different.
pub(super) fn names_differ(descriptor: &Descriptor) -> bool {
    let constant = descriptor.constant_labels.iter().map(|(key, _)| key);
    let state = (descriptor.kind == Kind::StateSet).then_some(&descriptor.name);
    let mut keys = Keys::new();
    constant
        .chain(&descriptor.label_names)
        .chain(state)
        .all(|key| keys.is_new(key))
}

/// The set of the keys of one point, small enough for a linear search; the first 32 need no
/// allocation.
struct Keys<'a> {
    first: [&'a str; FEW],
    len: usize,
    more: Vec<&'a str>,
}

const FEW: usize = 32;

impl<'a> Keys<'a> {
    fn new() -> Self {
        Keys {
            first: [""; FEW],
            len: 0,
            more: Vec::new(),
        }
    }

    fn is_new(&mut self, key: &'a str) -> bool {
        if self.first[..self.len].contains(&key) || self.more.contains(&key) {
            return false;
        }
        match self.first.get_mut(self.len) {
            Some(slot) => {
                *slot = key;
                self.len += 1;
            }
            None => self.more.push(key),
        }
        true
    }
}

/// Checks the offsets of the label text: they come from a foreign source, and iterating over wrong
/// ones would panic.
fn check(labels: &Labels<'_>) -> Result<(), Rejection> {
    let (text, mut from) = (labels.text(), 0);
    for &end in labels.ends() {
        text.get(from..usize::from(end))
            .ok_or(Rejection::WrongLabels)?;
        from = usize::from(end);
    }
    Ok(())
}

/// A set of the series written so far, kept only if their family does not guarantee unique labels.
pub(super) struct Seen {
    texts: Option<HashSet<Box<[u8]>>>,
}

impl Seen {
    pub(super) fn new(uniqueness: Uniqueness) -> Self {
        Seen {
            texts: (uniqueness == Uniqueness::Unknown).then(HashSet::new),
        }
    }

    /// Returns true if these encoded attributes occur for the first time.
    pub(super) fn is_first(&mut self, attributes: &[u8]) -> bool {
        match &mut self.texts {
            Some(texts) => texts.insert(attributes.into()),
            None => true,
        }
    }
}
