//! Events in an operation.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Id, Level, Value};

use super::attribute::AttributeValue;
use super::callsite::{Callsite, SourceLocation, Wanted};
use super::site::TARGET;
use super::sites::MOST_SITES;

/// Emits an event in the current span: `event("cache.miss", &[("cache.name", "orders".into())])`.
///
/// The name is the message of the event and should have few different values. The level is `INFO`.
pub fn event(name: &str, attributes: &[(&'static str, AttributeValue<'_>)]) {
    emit(name, None, attributes);
}

/// Emits an event in this span, or else in the current one.
pub(super) fn emit(
    name: &str,
    parent: Option<Id>,
    attributes: &[(&'static str, AttributeValue<'_>)],
) {
    if Level::INFO > LevelFilter::current() {
        return;
    }
    let keys = attributes.iter().map(|(key, _)| *key);
    if let Some(wanted) = callsite(std::iter::once("message").chain(keys).collect()) {
        let message = format_args!("{name}");
        let message = std::iter::once(Some(&message as &dyn Value));
        let values = attributes.iter().map(|(_, value)| Some(value.as_field()));
        wanted.event(parent, message.chain(values));
    }
}

/// Returns the callsite of events with these fields. Like those of operations, callsites are never
/// freed; past the limit, events lose their attributes.
fn callsite(mut keys: Vec<&'static str>) -> Option<Wanted> {
    static CALLSITES: OnceLock<Mutex<Known>> = OnceLock::new();
    let all = CALLSITES.get_or_init(Mutex::default);
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST_SITES && !all.contains_key(&keys) {
        keys.truncate(1);
    }
    let callsite: &'static Callsite = all.entry(keys.clone()).or_insert_with(|| {
        Box::leak(Box::new(Callsite::new(SourceLocation {
            name: "event",
            target: TARGET,
            level: Level::INFO,
            is_event: true,
            file: None,
            line: None,
            module: None,
        })))
    });
    drop(all);
    callsite.wanted(|| keys)
}

type Known = HashMap<Vec<&'static str>, &'static Callsite>;
