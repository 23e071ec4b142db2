//! A cache of the rules of fields, which have few names and are recorded often.
//!
//! A name of a callsite is a text in static memory, so its address and its length identify it. An entry
//! is one word that has both and the rule: it is read and written with one relaxed access, and it does
//! not matter which of two threads writes last, or that two names share a place.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::RedactionRule;

/// The rules of the names that were asked for last.
pub(super) struct RuleCache([AtomicU64; PLACES]);

/// The number of places; a service has some hundred names.
const PLACES: usize = 512;

impl RuleCache {
    pub(super) fn new() -> Self {
        RuleCache([const { AtomicU64::new(0) }; PLACES])
    }

    /// Returns the rule of a name, which `find` finds if it is not in the cache.
    #[inline]
    pub(super) fn rule(
        &self,
        name: &'static str,
        find: impl FnOnce(&str) -> RedactionRule,
    ) -> RedactionRule {
        let Some(key) = key(name) else {
            return find(name);
        };
        let place = &self.0[(key >> 18 ^ key >> 27) as usize % PLACES];
        let entry = place.load(Ordering::Relaxed);
        match entry & 3 {
            KEEP if entry & !3 == key => RedactionRule::Keep,
            SEARCH if entry & !3 == key => RedactionRule::Search,
            REDACT if entry & !3 == key => RedactionRule::Redact,
            _ => {
                let rule = find(name);
                let bits = match rule {
                    RedactionRule::Keep => KEEP,
                    RedactionRule::Search => SEARCH,
                    RedactionRule::Redact => REDACT,
                };
                place.store(key | bits, Ordering::Relaxed);
                rule
            }
        }
    }
}

/// The two lowest bits of an entry; an empty one has neither.
const KEEP: u64 = 1;
const SEARCH: u64 = 2;
const REDACT: u64 = 3;

/// Returns the address and the length of a name above the two bits of the rule, or `None` if they do
/// not fit.
#[inline]
fn key(name: &'static str) -> Option<u64> {
    let (address, length) = (name.as_ptr().addr() as u64, name.len() as u64);
    (address >> 48 == 0 && length >> 14 == 0).then_some(address << 16 | length << 2)
}

impl fmt::Debug for RuleCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use RedactionRule::{Keep, Redact, Search};

    #[test]
    fn a_rule_is_found_once() {
        let cache = RuleCache::new();
        let asked = Cell::new(0);
        for (name, rule) in [("id", Keep), ("error", Search), ("token", Redact)] {
            for _ in 0..3 {
                let found = cache.rule(name, |_| {
                    asked.set(asked.get() + 1);
                    rule
                });
                assert_eq!(found, rule, "{name}");
            }
        }
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn names_that_share_an_address_or_a_place_have_their_own_rules() {
        // Each prefix begins at the address of all others, and there are more than places.
        let names: &'static str = Box::leak("n".repeat(4 * PLACES).into_boxed_str());
        let cache = RuleCache::new();
        let rule = |name: &str| [Keep, Search, Redact][name.len() % 3];
        for _ in 0..2 {
            for end in 0..names.len() {
                assert_eq!(cache.rule(&names[..end], rule), rule(&names[..end]));
                assert_eq!(cache.rule(&names[end..], rule), rule(&names[end..]));
            }
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_found_each_time() {
        let long: &'static str = Box::leak("n".repeat(1 << 14).into_boxed_str());
        let cache = RuleCache::new();
        assert_eq!(cache.rule(long, |_| Redact), Redact);
        assert_eq!(cache.rule(long, |_| Keep), Keep);
    }
}
