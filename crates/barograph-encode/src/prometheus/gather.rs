//! Merges the families of all sources for one page.
//!
//! The rule is the same for every format, so that all scrapers see the same families: the first
//! family keeps a name, and a later one that needs the same name is left out. A family reserves its
//! own name and that of every sample that it could have in any format, whether or not it has them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::snapshot::{FamilyView, Source};

use crate::prometheus::label::Uniqueness;
use crate::prometheus::name::{Escaping, FamilyName, Translation};
use crate::report::{LeftOut, Reason, Report};

/// A family that is on the page, with its names resolved.
pub(super) struct Placed {
    pub(super) view: Arc<dyn FamilyView>,
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) name: FamilyName,
    pub(super) uniqueness: Uniqueness,
    pub(super) source: Option<usize>,
}

/// Collects families in the order in which they arrive, and resolves their names.
pub(super) struct Gatherer<'a> {
    translation: Translation,
    escaping: Escaping,
    report: &'a mut Report,
    placed: Vec<Placed>,
    /// The index of the family that holds each name.
    taken: HashMap<String, usize>,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(
        translation: Translation,
        escaping: Escaping,
        report: &'a mut Report,
    ) -> Self {
        Gatherer {
            translation,
            escaping,
            report,
            placed: Vec::new(),
            taken: HashMap::new(),
        }
    }

    /// Adds the families of a source.
    pub(super) fn source(&mut self, index: usize, source: &dyn Source) {
        match catch_unwind(AssertUnwindSafe(|| source.collect())) {
            Ok(views) => {
                for view in views {
                    self.family(Some(index), view);
                }
            }
            Err(_) => self.leave_out(Some(index), "", "", Reason::SourcePanicked),
        }
    }

    /// Adds one family.
    pub(super) fn family(&mut self, source: Option<usize>, view: Arc<dyn FamilyView>) {
        let described = catch_unwind(AssertUnwindSafe(|| {
            (view.descriptor(), view.labels_are_unique())
        }));
        let Ok((descriptor, is_unique)) = described else {
            return self.leave_out(source, "", "", Reason::FamilyPanicked);
        };
        let Some(name) = FamilyName::new(&descriptor, self.translation, self.escaping) else {
            return self.leave_out(source, "", "", Reason::Nameless);
        };
        let wanted = claims(descriptor.kind, &name);
        if let Some(holder) = wanted.iter().find_map(|name| self.taken.get(name)) {
            let by = self.placed[*holder].descriptor.name.clone();
            return self.leave_out(source, &descriptor.name, &by, Reason::NameTaken);
        }
        let place = self.placed.len();
        self.taken
            .extend(wanted.into_iter().map(|name| (name, place)));
        self.placed.push(Placed {
            view,
            descriptor,
            name,
            uniqueness: match is_unique {
                true => Uniqueness::Promised,
                false => Uniqueness::Unknown,
            },
            source,
        });
    }

    pub(super) fn finish(self) -> Vec<Placed> {
        self.placed
    }

    fn leave_out(&mut self, source: Option<usize>, family: &str, by: &str, reason: Reason) {
        self.report.leave_out(LeftOut {
            source,
            family: family.into(),
            by: by.into(),
            reason,
        });
    }
}

/// Returns the names that a family reserves.
fn claims(kind: Kind, name: &FamilyName) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        Kind::Info => &["", "_info"],
        _ => &[""],
    };
    let mut claims: Vec<String> = suffixes
        .iter()
        .map(|suffix| format!("{}{suffix}", name.family))
        .collect();
    if !claims.contains(&name.text) {
        claims.push(name.text.clone());
    }
    claims
}
