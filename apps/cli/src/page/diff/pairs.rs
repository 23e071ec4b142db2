//! Pairs the families of two pages.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use barograph_encode::prometheus::stem;

use super::family::{Family, Key};

/// The families of two pages.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a> {
    /// Families that are on both pages.
    pub(super) both: Vec<Pair<'a>>,
    /// Families that are only on the first page.
    pub(super) missing: Vec<&'a Family>,
    /// Families that are only on the second page.
    pub(super) added: Vec<&'a Family>,
}

/// A family on two pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) before: &'a Family,
    pub(super) after: &'a Family,
    pub(super) by: Evidence,
}

/// The reason why two families are taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// They have the same name.
    Name,
    /// Their names differ only in what translations and escapings change.
    Stem,
    /// They have the same labels and values, which no other family has.
    Contents,
}

impl<'a> Pairs<'a> {
    /// Pairs families by their names; those that are left by the stems of their names, and then by their
    /// contents, if that is unambiguous.
    pub(super) fn of(before: &'a [Family], after: &'a [Family]) -> Self {
        let mut pairs = Pairs {
            both: Vec::new(),
            missing: before.iter().collect(),
            added: after.iter().collect(),
        };
        pairs.pair(Evidence::Name, |family| Some(family.name.clone()));
        pairs.pair(Evidence::Stem, |family| Some(stem(&family.name)));
        pairs.pair(Evidence::Contents, contents);
        let order: HashMap<&str, usize> = before
            .iter()
            .enumerate()
            .map(|(index, family)| (&*family.name, index))
            .collect();
        pairs.both.sort_by_key(|pair| order.get(&*pair.before.name));
        pairs
    }

    /// Pairs the families that are left and have the same key, if no other family has it.
    fn pair<K: Eq + Hash>(&mut self, by: Evidence, key: impl Fn(&Family) -> Option<K>) {
        let mut found: HashMap<K, [Vec<&'a Family>; 2]> = HashMap::new();
        for (side, families) in [&self.missing, &self.added].into_iter().enumerate() {
            for family in families {
                if let Some(key) = key(family) {
                    found.entry(key).or_default()[side].push(family);
                }
            }
        }
        for sides in found.values() {
            if let ([before], [after]) = (&*sides[0], &*sides[1]) {
                self.both.push(Pair { before, after, by });
            }
        }
        let both = self.both.iter();
        let paired = both.flat_map(|pair| [pair.before, pair.after]);
        let paired: HashSet<*const Family> = paired.map(std::ptr::from_ref).collect();
        let is_left = |family: &&Family| !paired.contains(&std::ptr::from_ref(*family));
        self.missing.retain(is_left);
        self.added.retain(is_left);
    }
}

/// Returns the labels and values of a family, if they say more than 0 or 1.
fn contents(family: &Family) -> Option<Vec<(Key, u64)>> {
    let says_more = |value: &f64| *value != 0.0 && *value != 1.0 && value.is_finite();
    let series = family.series.iter();
    let contents = series.map(|(key, value)| (key.clone(), value.to_bits()));
    family
        .series
        .values()
        .any(says_more)
        .then(|| contents.collect())
}
