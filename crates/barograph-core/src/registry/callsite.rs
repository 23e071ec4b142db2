//! The callsites that the macros expand to; each finds its family once.

use std::sync::OnceLock;

pub use crate::instruments::spec::SourceLocation;
pub use crate::labels::{LabelBuffer, ToLabel};

use crate::instruments::family::Family;
use crate::instruments::handle::{Instrument, Ref};
use crate::instruments::spec::{RegisterError, Spec};
use crate::registry::{self, Registry};
use crate::report::report;

/// A callsite whose labels are constant: one instrument, bound at first use.
#[derive(Debug)]
pub struct FixedCallsite<I: 'static> {
    name: &'static str,
    names: &'static [&'static str],
    values: &'static [&'static str],
    place: SourceLocation,
    instrument: OnceLock<I>,
}

impl<I: Instrument> FixedCallsite<I> {
    /// Returns a callsite. The names are sorted; each has its value.
    pub const fn new(
        name: &'static str,
        names: &'static [&'static str],
        values: &'static [&'static str],
        place: SourceLocation,
    ) -> Self {
        FixedCallsite {
            name,
            names,
            values,
            place,
            instrument: OnceLock::new(),
        }
    }

    /// Returns the instrument, or a no-op if the name is taken by another kind of family.
    #[inline]
    pub fn get(&'static self) -> &'static I {
        registry::get_or_init(&self.instrument, || self.bind())
    }

    #[cold]
    fn bind(&self) -> I {
        let family: Family<I, [&str]> = resolve(self.name, self.names, self.place);
        family.bind(self.values)
    }
}

/// A callsite whose label values are known only at run time.
#[derive(Debug)]
pub struct Callsite<I: 'static, const N: usize> {
    name: &'static str,
    names: &'static [&'static str; N],
    place: SourceLocation,
    family: OnceLock<Family<I, [&'static str; N]>>,
}

impl<I: Instrument, const N: usize> Callsite<I, N> {
    /// Returns a callsite. The names are sorted.
    pub const fn new(
        name: &'static str,
        names: &'static [&'static str; N],
        place: SourceLocation,
    ) -> Self {
        Callsite {
            name,
            names,
            place,
            family: OnceLock::new(),
        }
    }

    /// Returns the instrument for these values.
    #[inline]
    pub fn with(&'static self, values: [&str; N]) -> Ref<'static, I> {
        let resolve = || resolve(self.name, self.names, self.place);
        let family = registry::get_or_init(&self.family, resolve);
        family.lookup(&values)
    }
}

/// Returns the family in the registry of this thread, or a no-op family if it cannot be registered.
fn resolve<I: Instrument, K: crate::labels::key::Key + ?Sized>(
    name: &str,
    names: &[&str],
    place: SourceLocation,
) -> Family<I, K> {
    let spec = Spec::new(name, place);
    let storage = Registry::current().storage(spec.clone(), I::kind(), I::layout, Some(names));
    match storage {
        Ok(storage) => Family::new(storage, names),
        Err(error) => {
            let place = match &error {
                // It names both places.
                RegisterError::AlreadyRegistered { .. } => String::new(),
                _ => format!(", at {place}"),
            };
            report(format!("{error}{place}; what is recorded there is dropped"));
            Family::new(registry::noop(I::layout(&spec), names, &spec), names)
        }
    }
}
