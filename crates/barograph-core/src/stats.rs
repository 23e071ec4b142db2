//! Counts of measurements and label sets that were refused, by reason.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The reason why a measurement, or a label of an info, was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// A counter was given a negative value.
    Negative,
    /// NaN or infinity, which would make a sum unusable for good.
    NotFinite,
    /// An info was given a label with an invalid name.
    InvalidLabel,
    /// An info was given a label whose name is forbidden in the registry.
    ForbiddenLabel,
    /// An info was given more labels than allowed.
    TooManyLabels,
    /// An info was given a label value that is longer than allowed.
    ValueTooLong,
}

impl Rejection {
    /// All reasons.
    pub const ALL: [Rejection; 6] = [
        Rejection::Negative,
        Rejection::NotFinite,
        Rejection::InvalidLabel,
        Rejection::ForbiddenLabel,
        Rejection::TooManyLabels,
        Rejection::ValueTooLong,
    ];

    /// Returns its value in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::Negative => "negative",
            Rejection::NotFinite => "not_finite",
            Rejection::InvalidLabel => "invalid_label",
            Rejection::ForbiddenLabel => "forbidden_label",
            Rejection::TooManyLabels => "too_many_labels",
            Rejection::ValueTooLong => "value_too_long",
        }
    }
}

/// The reason why a label set has no series of its own; its measurements go to the overflow series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The family has reached its series limit.
    FamilyFull,
    /// The registry has reached its series limit.
    RegistryFull,
    /// Removed series take the room, because their handles are still held or their labels still read.
    AwaitingRelease,
    /// A label value is longer than allowed.
    ValueTooLong,
    /// There are more labels than allowed.
    TooManyLabels,
    /// A label has an invalid name.
    InvalidLabel,
    /// A label has a name that is forbidden in the registry.
    ForbiddenLabel,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Refusal; 7] = [
        Refusal::FamilyFull,
        Refusal::RegistryFull,
        Refusal::AwaitingRelease,
        Refusal::ValueTooLong,
        Refusal::TooManyLabels,
        Refusal::InvalidLabel,
        Refusal::ForbiddenLabel,
    ];

    /// Returns its value in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::FamilyFull => "family_full",
            Refusal::RegistryFull => "registry_full",
            Refusal::AwaitingRelease => "awaiting_release",
            Refusal::ValueTooLong => "value_too_long",
            Refusal::TooManyLabels => "too_many_labels",
            Refusal::InvalidLabel => "invalid_label",
            Refusal::ForbiddenLabel => "forbidden_label",
        }
    }
}

/// The error of a label set that has no series of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelsRefused {
    /// The family's name.
    pub family: Box<str>,
    /// The reason.
    pub reason: Refusal,
    /// The offending value, label name or number.
    pub offender: Box<str>,
    /// The expectation: the limit, or another name.
    pub expected: Box<str>,
}

impl fmt::Display for LabelsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            Refusal::FamilyFull => "too many series in the family",
            Refusal::RegistryFull => "too many series in the registry",
            Refusal::AwaitingRelease => "too many removed series still held",
            Refusal::ValueTooLong => "label value too long",
            Refusal::TooManyLabels => "too many labels",
            Refusal::InvalidLabel => "invalid label",
            Refusal::ForbiddenLabel => "forbidden label",
        };
        let Self {
            family,
            offender,
            expected,
            ..
        } = self;
        write!(f, "{family:?}: {what}: {offender}, expected {expected}")
    }
}

impl std::error::Error for LabelsRefused {}

/// The reason why a family could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conflict {
    /// No metric can have this name.
    InvalidName,
    /// No label can have this name.
    InvalidLabel,
    /// The registry forbids a label of this name.
    ForbiddenLabel,
    /// Two labels have the same name.
    DuplicateLabel,
    /// There are more labels than the registry allows.
    TooManyLabels,
    /// A state set has more than 63 states.
    TooManyStates,
    /// Another family has the name.
    AlreadyRegistered,
}

impl Conflict {
    /// All reasons.
    pub const ALL: [Conflict; 7] = [
        Conflict::InvalidName,
        Conflict::InvalidLabel,
        Conflict::ForbiddenLabel,
        Conflict::DuplicateLabel,
        Conflict::TooManyLabels,
        Conflict::TooManyStates,
        Conflict::AlreadyRegistered,
    ];

    /// Returns its value in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Conflict::InvalidName => "invalid_name",
            Conflict::InvalidLabel => "invalid_label",
            Conflict::ForbiddenLabel => "forbidden_label",
            Conflict::DuplicateLabel => "duplicate_label",
            Conflict::TooManyLabels => "too_many_labels",
            Conflict::TooManyStates => "too_many_states",
            Conflict::AlreadyRegistered => "already_registered",
        }
    }
}

/// The counts of one family.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rejected: [AtomicU64; Rejection::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    has_negative: AtomicBool,
}

impl Counts {
    /// Counts a rejection. Returns true if it is the first for its reason.
    pub(crate) fn reject(&self, reason: Rejection) -> bool {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Counts a refusal. Returns true if it is the first for its reason.
    pub(crate) fn refuse(&self, reason: Refusal) -> bool {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Notes that a histogram observed a negative value. Returns true if it is the first of the family.
    pub(crate) fn note_negative(&self) -> bool {
        !self.has_negative.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn rejected(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        let counts = self.rejected.iter().map(|n| n.load(Ordering::Relaxed));
        Rejection::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, n)| *n > 0)
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        let counts = self.refused.iter().map(|n| n.load(Ordering::Relaxed));
        Refusal::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0)
    }
}

/// Statistics of a registry at one moment: what it holds and what it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The families, in the order of registration.
    pub families: Vec<FamilyStats>,
    /// The number of series in all families, without overflow series, removed ones and infos. Those
    /// of observable instruments are the series of the last collection.
    pub series: usize,
    /// The series limit of all families together. `usize::MAX` is no limit.
    pub limit: usize,
    /// Failed registrations, including those of macros.
    pub conflicts: u64,
    /// Failed registrations by reason; reasons that never occurred are left out.
    pub conflicts_by_reason: Vec<(Conflict, u64)>,
    /// Callbacks of observable instruments that panicked.
    pub callback_panics: u64,
    /// Observable instruments that a collection left out, because callbacks run by another collection
    /// did not return within 5 s.
    pub callback_timeouts: u64,
    /// The bytes of cells owned by threads, in the whole process.
    pub thread_cell_bytes: u64,
}

/// Statistics of one family: what it holds and what it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyStats {
    /// The family's name.
    pub name: Box<str>,
    /// The number of series, without the overflow series and removed ones. For an observable
    /// instrument, that of the last collection.
    pub series: usize,
    /// The series limit.
    pub limit: usize,
    /// False if there are no labels, so that there is at most one series. For an observable instrument,
    /// true once it has observed some.
    pub has_labels: bool,
    /// Measurements, or labels of an info, that were not recorded, by reason; reasons that never
    /// occurred are left out.
    pub rejected: Vec<(Rejection, u64)>,
    /// Lookups that went to the overflow series, by reason; reasons that never occurred are left out.
    pub refused: Vec<(Refusal, u64)>,
}
