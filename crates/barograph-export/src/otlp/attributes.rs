//! The attributes of a point: constant ones, its own, and what its kind adds.

use std::collections::HashSet;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::Labels;
use barograph_model::name::OVERFLOW;

use crate::report::Rejection;

/// What a point says beyond its labels.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    /// Whether it is that of the overflow series.
    pub(super) is_overflow: bool,
    /// The family's name, and the state that the point stands for.
    pub(super) state: Option<(&'a str, &'a str)>,
}

/// The value of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Text(&'a str),
    True,
}

/// Gives each attribute of a point to `put`, no key twice: the first stays.
pub(super) fn each<'a>(
    descriptor: &'a Descriptor,
    labels: &Labels<'a>,
    extra: Extra<'a>,
    mut put: impl FnMut(&'a str, Word<'a>),
) -> Result<(), Rejection> {
    check(labels)?;
    // The overflow series stands for all labels, so it has none.
    let own = match extra.is_overflow {
        true => Labels::EMPTY,
        false => *labels,
    };
    let constant = descriptor.constant_labels.iter();
    let constant = constant.map(|(key, value)| (&**key, Word::Text(value)));
    // A label without a value is none, as on the pages: what it says does not apply.
    let own = own.iter().filter(|(_, value)| !value.is_empty());
    let own = own.map(|(key, value)| (key, Word::Text(value)));
    // The state comes first, so that no label can take its name: states would look alike.
    let state = extra.state.map(|(key, state)| (key, Word::Text(state)));
    let overflow = extra.is_overflow.then_some((OVERFLOW, Word::True));
    let all = state.into_iter().chain(constant).chain(own).chain(overflow);
    let mut keys = Keys::new();
    for (key, word) in all {
        if keys.is_new(key) {
            put(key, word);
        }
    }
    Ok(())
}

/// Whether constant and fixed names of a family all differ.
pub(super) fn names_differ(descriptor: &Descriptor) -> bool {
    let constant = descriptor.constant_labels.iter().map(|(key, _)| key);
    let state = (descriptor.kind == Kind::StateSet).then_some(&descriptor.name);
    let mut keys = Keys::new();
    constant
        .chain(&descriptor.label_names)
        .chain(state)
        .all(|key| keys.is_new(key))
}

/// The keys of one point, few enough to look through; the first of them need no memory.
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
            Some(place) => {
                *place = key;
                self.len += 1;
            }
            None => self.more.push(key),
        }
        true
    }
}

/// Where each piece of text ends is a foreign source's word, and reading panics where it is wrong.
fn check(labels: &Labels<'_>) -> Result<(), Rejection> {
    let (text, mut from) = (labels.text(), 0);
    for &end in labels.ends() {
        text.get(from..usize::from(end))
            .ok_or(Rejection::WrongLabels)?;
        from = usize::from(end);
    }
    Ok(())
}

/// Tells series apart where their family does not promise that they differ.
pub(super) struct Seen {
    texts: Option<HashSet<Box<[u8]>>>,
}

impl Seen {
    pub(super) fn new(is_unique: bool) -> Self {
        Seen {
            texts: (!is_unique).then(HashSet::new),
        }
    }

    /// Whether attributes, as they are written, come for the first time.
    pub(super) fn is_first(&mut self, attributes: &[u8]) -> bool {
        match &mut self.texts {
            Some(texts) => texts.insert(attributes.into()),
            None => true,
        }
    }
}
