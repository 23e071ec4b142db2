//! The sites of operations that are named by a call and not by `#[observe]`.
//!
//! A site is created once and never freed, because `tracing` keeps a reference to its callsite forever.
//! So there are [`MOST_SITES`] at most; later operations share one site, and one series. Each thread
//! caches the sites that it used last, in pairs of slots, so that a lookup takes no lock and does not
//! hash the whole name. A cache miss hashes and locks, but allocates nothing once the site exists.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use barograph_core::report;
use barograph_model::span::SpanKind;
use tracing::Level;

use super::attribute::Attribute;
use super::site::{Declaration, Site, TARGET};

/// The maximum number of distinct operations; further ones are all `_OTHER`.
pub const MOST_SITES: usize = 2_048;

/// The key of an operation's site.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    /// The target of the operation. The span is named `name target` if there is one, `name` if it is
    /// empty, and `service/name` if the operation has no target.
    pub(super) target: Option<&'a str>,
    pub(super) kind: SpanKind,
    pub(super) level: Level,
    pub(super) error_level: Option<Level>,
    pub(super) attributes: &'a [Attribute<'a>],
}

/// The number of sites that a thread caches.
const CACHED: usize = 128;

thread_local! {
    static CACHE: [Cell<Option<&'static Site>>; CACHED] = const {
        [const { Cell::new(None) }; CACHED]
    };
}

/// Returns the site of an operation.
#[inline]
pub(super) fn find(key: &Key<'_>) -> &'static Site {
    let slot = key.slot();
    let cached = |slot: usize| {
        let site = CACHE.try_with(|cache| cache[slot].get()).ok().flatten()?;
        key.is_of(site).then_some(site)
    };
    match cached(slot).or_else(|| cached(slot ^ 1)) {
        Some(site) => site,
        None => find_slowly(key, slot),
    }
}

#[cold]
#[inline(never)]
fn find_slowly(key: &Key<'_>, slot: usize) -> &'static Site {
    let site = {
        let mut all = all().lock().unwrap_or_else(PoisonError::into_inner);
        let hash = all.hasher.hash_one((key.service, key.name));
        let here = all.by_hash.get(&hash);
        let found = here.and_then(|here| here.iter().find(|site| key.is_of(site)));
        match found {
            Some(site) => *site,
            None if all.count >= MOST_SITES => return overflow(),
            None => {
                let site = Site::of(key.target.map(leak), key.declare());
                let site: &'static Site = Box::leak(Box::new(site));
                all.by_hash.entry(hash).or_default().push(site);
                all.count += 1;
                site
            }
        }
    };
    // The cache of a thread that is ending is already destroyed.
    let _ = CACHE.try_with(|cache| {
        cache[slot ^ 1].set(cache[slot].replace(Some(site)));
    });
    site
}

#[derive(Default)]
struct All {
    by_hash: HashMap<u64, Vec<&'static Site>>,
    hasher: RandomState,
    count: usize,
}

fn all() -> &'static Mutex<All> {
    static ALL: OnceLock<Mutex<All>> = OnceLock::new();
    ALL.get_or_init(Mutex::default)
}

#[cold]
fn overflow() -> &'static Site {
    static OTHER: Site = Site::new(Declaration {
        service: "_OTHER",
        name: "_OTHER",
        span: "_OTHER",
        target: TARGET,
        place: None,
        level: Level::INFO,
        error_level: Some(Level::ERROR),
        kind: SpanKind::Internal,
        constants: &[],
        keys: &[],
    });
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !REPORTED.swap(true, Ordering::Relaxed) {
        report::report(format!(
            "more than {MOST_SITES} operations: further ones are \"_OTHER\", expected fewer names"
        ));
    }
    &OTHER
}

impl Key<'_> {
    /// Returns the slot in a thread's cache. Keys of equal length and with equal ends share a slot,
    /// which costs only time.
    fn slot(&self) -> usize {
        let mix = |hash: u64, text: &str| {
            let bytes = text.as_bytes();
            let ends = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
                (Some(first), Some(last)) => {
                    u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
                }
                _ => bytes
                    .iter()
                    .fold(0, |all, byte| all << 8 | u64::from(*byte)),
            };
            (hash ^ ends ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let hash = mix(
            mix(self.kind as u64, self.service).rotate_left(23),
            self.name,
        );
        (hash >> 57) as usize
    }

    fn is_of(&self, site: &Site) -> bool {
        let declared = &site.declared;
        declared.name == self.name
            && declared.service == self.service
            && declared.kind == self.kind
            && declared.level == self.level
            && declared.error_level == self.error_level
            && declared.keys.len() == self.attributes.len()
            && declared
                .keys
                .iter()
                .zip(self.attributes)
                .all(|(key, a)| *key == a.key)
            && site.subject == self.target
    }

    fn declare(&self) -> Declaration {
        let span = match self.target {
            None => format!("{}/{}", self.service, self.name),
            Some("") => self.name.to_owned(),
            Some(target) => format!("{} {target}", self.name),
        };
        let keys: Vec<&'static str> = self.attributes.iter().map(|a| a.key).collect();
        Declaration {
            service: leak(self.service),
            name: leak(self.name),
            span: leak(&span),
            target: TARGET,
            place: None,
            level: self.level,
            error_level: self.error_level,
            kind: self.kind,
            constants: &[],
            keys: keys.leak(),
        }
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::attribute::AttributeValue;

    fn key<'a>(service: &'a str, name: &'a str, target: Option<&'a str>) -> Key<'a> {
        Key {
            service,
            name,
            target,
            kind: SpanKind::Internal,
            level: Level::INFO,
            error_level: Some(Level::ERROR),
            attributes: &[],
        }
    }

    #[test]
    fn an_operation_has_one_site_whatever_text_names_it() {
        let name = String::from("get");
        let first = find(&key("sites", "get", None));
        assert!(std::ptr::eq(first, find(&key("sites", &name, None))));
        assert_eq!(first.declared.span, "sites/get");
        let elsewhere =
            std::thread::spawn(|| std::ptr::from_ref(find(&key("sites", "get", None))) as usize);
        assert_eq!(
            elsewhere.join().unwrap(),
            std::ptr::from_ref(first) as usize
        );
    }

    #[test]
    fn any_difference_makes_another_site() {
        let keys = [
            key("sites", "a", None),
            key("sites", "a", Some("")),
            key("sites", "a", Some("b")),
            Key {
                kind: SpanKind::Client,
                ..key("sites", "a", None)
            },
            Key {
                level: Level::DEBUG,
                ..key("sites", "a", None)
            },
            Key {
                error_level: None,
                ..key("sites", "a", None)
            },
            Key {
                attributes: &[Attribute {
                    key: "k",
                    value: AttributeValue::Int(1),
                }],
                ..key("sites", "a", None)
            },
        ];
        let mut found: Vec<_> = keys
            .iter()
            .map(|key| std::ptr::from_ref(find(key)))
            .collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), keys.len());
        let spans = keys[..3].iter().map(|key| find(key).declared.span);
        assert_eq!(spans.collect::<Vec<_>>(), ["sites/a", "a", "a b"]);
    }
}
