//! What was not recorded as it was asked, counted by reason.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Why a measurement was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// A counter was asked to go back.
    Negative,
    /// NaN or infinity, which would spoil a sum for ever.
    NotFinite,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 2] = [Rejection::Negative, Rejection::NotFinite];

    /// The word for it in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::Negative => "negative",
            Rejection::NotFinite => "not_finite",
        }
    }
}

/// Why a label set has no series of its own; measurements go to the overflow series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The family has as many series as it may.
    FamilyFull,
    /// The registry has as many series as it may.
    RegistryFull,
    /// Removed series whose handles are still held, or whose labels are still read, take the room.
    AwaitingRelease,
    /// A label value is longer than allowed.
    ValueTooLong,
    /// There are more labels than allowed.
    TooManyLabels,
    /// A label has a name that none can have, or one that is forbidden here.
    InvalidLabel,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 6] = [
        Refusal::FamilyFull,
        Refusal::RegistryFull,
        Refusal::AwaitingRelease,
        Refusal::ValueTooLong,
        Refusal::TooManyLabels,
        Refusal::InvalidLabel,
    ];

    /// The word for it in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::FamilyFull => "family_full",
            Refusal::RegistryFull => "registry_full",
            Refusal::AwaitingRelease => "awaiting_release",
            Refusal::ValueTooLong => "value_too_long",
            Refusal::TooManyLabels => "too_many_labels",
            Refusal::InvalidLabel => "invalid_label",
        }
    }
}

/// A label set that has no series of its own, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelsRefused {
    /// The family's name.
    pub family: Box<str>,
    /// Why.
    pub reason: Refusal,
    /// The offending value, label name or number.
    pub offender: Box<str>,
    /// What was expected: the limit, or another name.
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

/// The counts of one family.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rejected: [AtomicU64; Rejection::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    has_negative: AtomicBool,
}

impl Counts {
    /// Counts a rejection; true when it is the first for its reason.
    pub(crate) fn reject(&self, reason: Rejection) -> bool {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Counts a refusal; true when it is the first for its reason.
    pub(crate) fn refuse(&self, reason: Refusal) -> bool {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Notes that a histogram observed a negative value; true when it is the first of the family.
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

/// What a registry holds and what it turned away, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Each family, in the order of registration.
    pub families: Vec<FamilyStats>,
    /// Series in all families, those that were removed not counted.
    pub series: usize,
    /// Registrations that failed, those of macros among them.
    pub conflicts: u64,
    /// Callbacks of observable instruments that panicked.
    pub callback_panics: u64,
    /// Observable instruments that a collection left out, since the callbacks that another one ran did not
    /// return within 5 s.
    pub callback_timeouts: u64,
    /// Bytes of cells that threads own, in the whole process.
    pub thread_cell_bytes: u64,
}

/// What one family holds and what it turned away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyStats {
    /// Its name.
    pub name: Box<str>,
    /// Its series, the overflow series and removed ones not counted.
    pub series: usize,
    /// How many it may have.
    pub limit: usize,
    /// Measurements not recorded, by reason; reasons that never came are left out.
    pub rejected: Vec<(Rejection, u64)>,
    /// Lookups that went to the overflow series, by reason; reasons that never came are left out.
    pub refused: Vec<(Refusal, u64)>,
}
