//! The properties of a family to register, and the errors of registration.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::Kind;
use barograph_model::name::{self, InvalidLabel, InvalidName};

use crate::stats::Conflict;

/// The requested properties of a family. Properties that are not set follow the family or its defaults.
#[derive(Clone, Debug)]
pub struct Spec {
    pub(crate) name: Box<str>,
    pub(crate) help: Option<Box<str>>,
    pub(crate) unit: Option<Box<str>>,
    pub(crate) bounds: Option<Bounds>,
    pub(crate) states: Box<[Box<str>]>,
    pub(crate) limit: Option<usize>,
    pub(crate) idle: Option<Duration>,
    pub(crate) place: SourceLocation,
}

impl Spec {
    pub(crate) fn new(name: &str, place: SourceLocation) -> Self {
        Spec {
            name: name.into(),
            help: None,
            unit: None,
            bounds: None,
            states: [].into(),
            limit: None,
            idle: None,
            place,
        }
    }

    /// Returns the bounds of a histogram: those given, or those that suit its unit.
    pub(crate) fn bounds(&self) -> Bounds {
        let is_seconds = match &self.unit {
            Some(unit) => &**unit == "s",
            None => self.name.ends_with("_seconds"),
        };
        match &self.bounds {
            Some(bounds) => bounds.clone(),
            None if is_seconds => Bounds::http_seconds(),
            None => Bounds::otel_default(),
        }
    }

    /// Returns a report for a histogram whose name denotes a time although it has no unit: its bounds
    /// are the default ones, 0 to 10000, which put all seconds below 5 into one bucket.
    pub(crate) fn doubtful_bounds(&self) -> Option<String> {
        let has_no_unit = self.unit.is_none() && self.bounds.is_none();
        let is_doubtful = has_no_unit && name::denotes_time(&self.name);
        is_doubtful.then(|| {
            format!(
                "{:?} has no unit, so its bucket bounds are 0, 5, 10 ... 10000, registered at {}; \
                 the unit `s` (`with_unit`, or `describe!` before the first use) gives those for \
                 seconds, and `with_bounds` any",
                self.name, self.place
            )
        })
    }
}

/// A line of source code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file, as it was passed to the compiler.
    pub file: &'static str,
    /// The line, counted from 1.
    pub line: u32,
}

impl SourceLocation {
    #[track_caller]
    pub(crate) fn caller() -> Self {
        let location = Location::caller();
        SourceLocation {
            file: location.file(),
            line: location.line(),
        }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The error of a family that cannot be registered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RegisterError {
    /// No metric can have this name.
    InvalidName(InvalidName),
    /// No label can have this name.
    InvalidLabel(InvalidLabel),
    /// The registry forbids a label of this name.
    ForbiddenLabel {
        /// The family's name.
        name: Box<str>,
        /// The label's name.
        label: Box<str>,
    },
    /// Two labels have the same name, or a label has that of a constant label.
    DuplicateLabel {
        /// The family's name.
        name: Box<str>,
        /// The label's name.
        label: Box<str>,
    },
    /// The family has more labels than the registry allows.
    TooManyLabels {
        /// The family's name.
        name: Box<str>,
        /// The number of labels.
        count: usize,
        /// The number of labels that the registry allows.
        limit: usize,
    },
    /// The state set has more than 63 states.
    TooManyStates {
        /// The family's name.
        name: Box<str>,
        /// The number of states.
        count: usize,
    },
    /// Another family has this name.
    AlreadyRegistered {
        /// The name.
        name: Box<str>,
        /// The difference between the two.
        difference: Difference,
        /// The source location of the first registration.
        first: SourceLocation,
        /// The source location of the refused registration.
        second: SourceLocation,
    },
}

/// The difference between two families with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Their kinds differ.
    Kind {
        /// The kind of the first one.
        first: Kind,
        /// The kind of the refused one.
        second: Kind,
    },
    /// The types of their numbers differ.
    Number,
    /// Their units differ.
    Unit {
        /// The unit of the first one.
        first: Box<str>,
        /// The unit of the refused one.
        second: Box<str>,
    },
    /// The names of their labels differ.
    Labels {
        /// The label names of the first one.
        first: Box<[Box<str>]>,
        /// The label names of the refused one.
        second: Box<[Box<str>]>,
    },
    /// Their bucket bounds differ.
    Bounds,
    /// Their states differ.
    States,
    /// One of them is observed by a callback or is an info, and has no series to record to.
    Observed,
}

impl RegisterError {
    /// Returns the reason, by which it is counted.
    pub fn reason(&self) -> Conflict {
        match self {
            RegisterError::InvalidName(_) => Conflict::InvalidName,
            RegisterError::InvalidLabel(_) => Conflict::InvalidLabel,
            RegisterError::ForbiddenLabel { .. } => Conflict::ForbiddenLabel,
            RegisterError::DuplicateLabel { .. } => Conflict::DuplicateLabel,
            RegisterError::TooManyLabels { .. } => Conflict::TooManyLabels,
            RegisterError::TooManyStates { .. } => Conflict::TooManyStates,
            RegisterError::AlreadyRegistered { .. } => Conflict::AlreadyRegistered,
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::InvalidName(invalid) => invalid.fmt(f),
            RegisterError::InvalidLabel(invalid) => invalid.fmt(f),
            RegisterError::ForbiddenLabel { name, label } => {
                write!(
                    f,
                    "{name:?}: label {label:?} is forbidden in this registry, expected one with few \
                     values"
                )
            }
            RegisterError::DuplicateLabel { name, label } => {
                write!(f, "{name:?}: label {label:?} is given twice, expected once")
            }
            RegisterError::TooManyLabels { name, count, limit } => {
                write!(f, "{name:?}: {count} labels, expected at most {limit}")
            }
            RegisterError::TooManyStates { name, count } => {
                write!(f, "{name:?}: {count} states, expected at most 63")
            }
            RegisterError::AlreadyRegistered {
                name,
                difference,
                first,
                second,
            } => write!(
                f,
                "{name:?} is already registered with {difference}, at {first}; refused at {second}"
            ),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Kind { first, second } => write!(
                f,
                "another type, {} and not {}",
                first.as_str(),
                second.as_str()
            ),
            Difference::Number => f.write_str("another type of number"),
            Difference::Unit { first, second } => {
                write!(f, "another unit, {first:?} and not {second:?}")
            }
            Difference::Labels { first, second } => {
                write!(f, "other labels, {first:?} and not {second:?}")
            }
            Difference::Bounds => f.write_str("other bucket bounds"),
            Difference::States => f.write_str("other states"),
            Difference::Observed => f.write_str("another type, observed and not recorded"),
        }
    }
}

impl std::error::Error for RegisterError {}

impl From<InvalidName> for RegisterError {
    fn from(invalid: InvalidName) -> Self {
        RegisterError::InvalidName(invalid)
    }
}

impl From<InvalidLabel> for RegisterError {
    fn from(invalid: InvalidLabel) -> Self {
        RegisterError::InvalidLabel(invalid)
    }
}
