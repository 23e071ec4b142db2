//! What a family of series is: one object that describes it whole.

use std::sync::Arc;

use crate::bounds::Bounds;

/// Everything about a family but its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// The instrument's name with its prefixes, as it was registered: no suffix, not escaped.
    pub name: Box<str>,
    /// What it measures, for people. Empty when nobody said.
    pub help: Box<str>,
    /// The unit in UCUM (`s`, `By`, `{request}`). Empty when it has none.
    pub unit: Box<str>,
    /// What kind of numbers its series hold.
    pub kind: Kind,
    /// Whether its values are asked for when somebody reads, not recorded as they come.
    pub is_observable: bool,
    /// Names of the labels that every series has, in the order of their values. Empty where each
    /// series brings its own.
    pub label_names: Box<[Box<str>]>,
    /// Labels with the same value on every series.
    pub constant_labels: Arc<[(Box<str>, Box<str>)]>,
    /// The instrumentation scope, where one was given.
    pub scope: Option<Arc<Scope>>,
    /// Bucket bounds of a histogram.
    pub bounds: Option<Bounds>,
    /// States of a state set.
    pub states: Box<[Box<str>]>,
}

impl Descriptor {
    /// A family without help, unit, labels or scope.
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

/// What kind of numbers the series of a family hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// A value of the moment.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// Facts about something, as labels; the value is always 1.
    Info,
    /// Some of a fixed list of states are on, the others off.
    StateSet,
    /// A number of which nothing is known, from a foreign source.
    Unknown,
}

impl Kind {
    /// The word for it in messages.
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
    /// The library's version, empty when unknown.
    pub version: Box<str>,
    /// The schema its telemetry follows, empty when unknown.
    pub schema_url: Box<str>,
    /// Further attributes.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}
