//! The description of a family of series.

use std::sync::Arc;

use crate::bounds::Bounds;

/// The properties of a family, without its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// The name with its prefixes, as it was registered: no suffix, not escaped.
    pub name: Box<str>,
    /// The help text: what it measures, for people. Empty if none was set.
    pub help: Box<str>,
    /// The unit in UCUM (`s`, `By`, `{request}`). Empty if it has none.
    pub unit: Box<str>,
    /// The kind of its series.
    pub kind: Kind,
    /// True if its values are observed when it is collected, and not recorded as they occur.
    pub is_observable: bool,
    /// Names of the labels that every series has, in the order of their values. Empty if each series
    /// has its own.
    pub label_names: Box<[Box<str>]>,
    /// Labels with the same value on every series.
    pub constant_labels: Arc<[(Box<str>, Box<str>)]>,
    /// The instrumentation scope, if one was set.
    pub scope: Option<Arc<Scope>>,
    /// Bucket bounds of a histogram.
    pub bounds: Option<Bounds>,
    /// States of a state set.
    pub states: Box<[Box<str>]>,
}

impl Descriptor {
    /// Returns a family without help, unit, labels or scope.
    pub fn new(name: &str, kind: Kind) -> Self {
        Descriptor {
            name: name.into(),
            help: "".into(),
            unit: "".into(),
            kind,
            is_observable: false,
            label_names: [].into(),
            constant_labels: [].into(),
            scope: None,
            bounds: None,
            states: [].into(),
        }
    }
}

/// The kind of the series of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// A current value.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// Facts about something, as labels; the value is always 1.
    Info,
    /// A fixed list of states that are on or off.
    StateSet,
    /// A number of unknown kind, from a foreign source.
    Unknown,
}

impl Kind {
    /// Returns its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up-down counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
            Kind::StateSet => "state set",
            Kind::Unknown => "unknown",
        }
    }
}

/// The instrumentation scope: the library that made an instrument.
///
/// Source: OpenTelemetry, "Instrumentation scope".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The library's name.
    pub name: Box<str>,
    /// The library's version; empty if unknown.
    pub version: Box<str>,
    /// The schema URL that its telemetry follows; empty if unknown.
    pub schema_url: Box<str>,
    /// Further attributes.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}
