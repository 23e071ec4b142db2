//! Resolves the names of all families of one page.
//!
//! The rule is the same for every format, so that all scrapers see the same families: the first
//! family keeps a name, and a later one that needs the same name is left out. A family reserves its
//! own name and that of every sample that it could have in any format, whether or not it has them.

use std::collections::HashMap;

use barograph_model::descriptor::Kind;

use crate::prometheus::name::{Escaping, FamilyName, Translation};
use crate::report::Report;
use crate::walk::FamilyReader;

/// A family that is on the page, with its names.
pub(super) struct ResolvedFamily {
    pub(super) reader: FamilyReader,
    pub(super) name: FamilyName,
}

/// A resolver that takes families in their order on the page.
pub(super) struct NameResolver {
    translation: Translation,
    escaping: Escaping,
    families: Vec<ResolvedFamily>,
    /// The index of the family that reserved each name.
    reserved: HashMap<String, usize>,
}

impl NameResolver {
    pub(super) fn new(translation: Translation, escaping: Escaping) -> Self {
        NameResolver {
            translation,
            escaping,
            families: Vec::new(),
            reserved: HashMap::new(),
        }
    }

    /// Adds a family, or reports that it is left out.
    pub(super) fn add(&mut self, reader: FamilyReader, report: &mut Report) {
        let descriptor = reader.descriptor();
        let name = FamilyName::new(descriptor, self.translation, self.escaping);
        let names = reserved_names(descriptor.kind, &name);
        if let Some(holder) = names.iter().find_map(|name| self.reserved.get(name)) {
            let holder = &self.families[*holder].reader;
            return report.leave_out(reader.name_taken(&holder.descriptor().name));
        }
        let index = self.families.len();
        self.reserved
            .extend(names.into_iter().map(|name| (name, index)));
        self.families.push(ResolvedFamily { reader, name });
    }

    pub(super) fn finish(self) -> Vec<ResolvedFamily> {
        self.families
    }
}

/// Returns the names that a family reserves.
fn reserved_names(kind: Kind, name: &FamilyName) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        Kind::Info => &["", "_info"],
        _ => &[""],
    };
    let mut names: Vec<String> = suffixes
        .iter()
        .map(|suffix| format!("{}{suffix}", name.family))
        .collect();
    if !names.contains(&name.text) {
        names.push(name.text.clone());
    }
    names
}
