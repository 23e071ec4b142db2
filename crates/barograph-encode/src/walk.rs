//! The walk over a snapshot: its sources, their families, and the points of a family in batches.
//!
//! Every encoder reads a snapshot in this way. Sources may be foreign code, so a panic is caught, and
//! a family whose cursor does not advance is ended. Both are listed in the report, and the walk
//! continues with the next family. Only the families are held, never their points.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use barograph_model::descriptor::Descriptor;
use barograph_model::snapshot::{FamilyView, Point, Source};

use crate::report::{LeftOut, Reason, Report};

/// Collects the families of all sources, and passes each that can be described to `add`.
pub(crate) fn collect(
    sources: &[Arc<dyn Source>],
    report: &mut Report,
    mut add: impl FnMut(FamilyReader, &mut Report),
) {
    for (index, source) in sources.iter().enumerate() {
        let Ok(views) = catch_unwind(AssertUnwindSafe(|| source.collect())) else {
            report.leave_out(unnamed(Some(index), Reason::SourcePanicked));
            continue;
        };
        for view in views {
            if let Some(family) = FamilyReader::new(Some(index), view, report) {
                add(family, report);
            }
        }
    }
}

/// A family of a snapshot, and the position up to which its points were read.
pub(crate) struct FamilyReader {
    view: Arc<dyn FamilyView>,
    descriptor: Arc<Descriptor>,
    uniqueness: Uniqueness,
    /// The index of its source, if it has one.
    source: Option<usize>,
    cursor: usize,
}

/// The guarantee of a family that its series differ in their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uniqueness {
    Guaranteed,
    Unknown,
}

/// The state of a family after a batch of its points was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    End,
}

impl FamilyReader {
    /// Describes a family. Returns `None`, after an entry in the report, if it panics or has no name.
    pub(crate) fn new(
        source: Option<usize>,
        view: Arc<dyn FamilyView>,
        report: &mut Report,
    ) -> Option<Self> {
        let described = catch_unwind(AssertUnwindSafe(|| {
            (view.descriptor(), view.labels_are_unique())
        }));
        let (descriptor, is_unique) = match described {
            Ok((descriptor, _)) if descriptor.name.is_empty() => {
                report.leave_out(unnamed(source, Reason::Nameless));
                return None;
            }
            Ok(described) => described,
            Err(_) => {
                report.leave_out(unnamed(source, Reason::FamilyPanicked));
                return None;
            }
        };
        Some(FamilyReader {
            view,
            descriptor,
            uniqueness: match is_unique {
                true => Uniqueness::Guaranteed,
                false => Uniqueness::Unknown,
            },
            source,
            cursor: 0,
        })
    }

    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    pub(crate) fn uniqueness(&self) -> Uniqueness {
        self.uniqueness
    }

    /// Reads one batch of points, and passes each to `write`.
    ///
    /// `write` is never interrupted: a panic of the family occurs between two points.
    pub(crate) fn read_batch(
        &mut self,
        report: &mut Report,
        mut write: impl FnMut(&mut Report, &Point<'_>),
    ) -> Progress {
        let next = catch_unwind(AssertUnwindSafe(|| {
            self.view
                .read(self.cursor, &mut |point| write(report, point))
        }));
        let reason = match next {
            Ok(Some(next)) if next > self.cursor => {
                self.cursor = next;
                return Progress::More;
            }
            Ok(None) => return Progress::End,
            Ok(Some(_)) => Reason::Stuck,
            Err(_) => Reason::FamilyPanicked,
        };
        report.leave_out(self.left_out(reason));
        Progress::End
    }

    /// Returns the report's entry for this family, of which some or all points are missing.
    pub(crate) fn left_out(&self, reason: Reason) -> LeftOut {
        LeftOut {
            family: self.descriptor.name.clone(),
            ..unnamed(self.source, reason)
        }
    }

    /// Returns the report's entry for this family if the family `by` already has its name.
    pub(crate) fn name_taken(&self, by: &str) -> LeftOut {
        LeftOut {
            by: by.into(),
            ..self.left_out(Reason::NameTaken)
        }
    }
}

fn unnamed(source: Option<usize>, reason: Reason) -> LeftOut {
    LeftOut {
        source,
        family: "".into(),
        by: "".into(),
        reason,
    }
}
