//! The contents of a registry: families by name, found again or added.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::name;

use super::Registry;
use crate::instruments::info::{Facts, Info};
use crate::instruments::observable::Observable;
use crate::instruments::spec::{Difference, RegisterError, SourceLocation, Spec};
use crate::report::report;
use crate::series::config::{Config, Shared};
use crate::series::exemplar::ExemplarFilter;
use crate::series::storage::{Layout, NumberKind, Storage};

#[derive(Default)]
pub(super) struct Entries {
    /// In the order of registration.
    pub(super) all: Vec<Entry>,
    pub(super) by_name: HashMap<Box<str>, usize>,
    /// Units and help texts that macros set for families, by name.
    pub(super) descriptions: HashMap<Box<str>, (Box<str>, Box<str>)>,
}

pub(super) struct Entry {
    pub(super) family: Family,
    /// The name without the prefixes of the registry.
    short_name: Box<str>,
    /// The series limit that the code has set.
    limit: Option<usize>,
    place: SourceLocation,
}

#[derive(Clone)]
pub(super) enum Family {
    Recorded(Arc<Storage>),
    Observed(Arc<Observable>),
    Info(Arc<Facts>),
}

impl Registry {
    /// Returns the storage of a family that is recorded to, made or found again.
    pub(crate) fn storage(
        &self,
        mut spec: Spec,
        kind: Kind,
        layout: impl FnOnce(&Spec) -> Layout,
        names: Option<&[&str]>,
    ) -> Result<Arc<Storage>, RegisterError> {
        let free_form = names.is_none();
        let names = names.unwrap_or_default();
        if self.inner.shared.disabled.load(Ordering::Relaxed) {
            return Ok(noop(layout(&spec), names, &spec));
        }
        let mut guess = None;
        let result = self.checked_name(&spec, names).and_then(|full| {
            let mut entries = self.entries();
            if let Some((unit, help)) = entries.descriptions.get(&*full) {
                spec.unit.get_or_insert_with(|| unit.clone());
                spec.help.get_or_insert_with(|| help.clone());
            }
            let mut label_names: Vec<Box<str>> = names.iter().map(|n| (*n).into()).collect();
            label_names.sort_unstable();
            if let Some(index) = entries.by_name.get(&*full) {
                let entry = &entries.all[*index];
                return entry.same(&spec, kind, layout, &label_names, free_form, &full);
            }
            let layout = layout(&spec);
            let mut descriptor = self.descriptor(&spec, kind, &full);
            descriptor.label_names = label_names.into();
            descriptor.states = spec.states.clone();
            if let Layout::Histogram(buckets) = &layout {
                descriptor.bounds = Some(buckets.bounds().clone());
                guess = spec.doubtful_bounds();
            }
            let limit = self.limit_of(&spec, &full);
            let shared = self.inner.shared.clone();
            let storage = Storage::new(descriptor, layout, free_form, limit, shared);
            if spec.idle.is_some() {
                storage.set_idle(spec.idle);
            }
            let storage = Arc::new(storage);
            entries.add(full, Family::Recorded(storage.clone()), &spec);
            Ok(storage)
        });
        // Not while the registry is locked: the receiver of the report may record something.
        if let Some(sentence) = guess {
            report(sentence);
        }
        self.count_conflict(result)
    }

    /// Returns the family that callbacks provide values for, made or found again.
    pub(crate) fn observed(
        &self,
        spec: &Spec,
        kind: Kind,
        growing: bool,
        number: NumberKind,
    ) -> Result<Arc<Observable>, RegisterError> {
        let result = self.checked_name(spec, &[]).and_then(|full| {
            let mut entries = self.entries();
            if let Some(index) = entries.by_name.get(&*full) {
                let entry = &entries.all[*index];
                return match &entry.family {
                    Family::Observed(there) if there.descriptor().kind == kind => {
                        // Values of another number type would not add up in the overflow series.
                        if there.number == number {
                            Ok(there.clone())
                        } else {
                            Err(entry.differs(Difference::Number, &full, spec.place))
                        }
                    }
                    _ => Err(entry.differs(Difference::Observed, &full, spec.place)),
                };
            }
            let mut descriptor = self.descriptor(spec, kind, &full);
            descriptor.is_observable = true;
            let limit = self.limit_of(spec, &full);
            let shared = self.inner.shared.clone();
            let observable = Arc::new(Observable::new(descriptor, growing, number, limit, shared));
            entries.add(full, Family::Observed(observable.clone()), spec);
            Ok(observable)
        });
        self.count_conflict(result)
    }

    /// Returns an info, made or found again.
    pub(crate) fn facts(&self, spec: &Spec) -> Result<Info, RegisterError> {
        let result = self.checked_name(spec, &[]).and_then(|full| {
            let mut entries = self.entries();
            if let Some(index) = entries.by_name.get(&*full) {
                let entry = &entries.all[*index];
                return match &entry.family {
                    Family::Info(facts) => Ok(Info::of(facts.clone())),
                    _ => Err(entry.differs(Difference::Observed, &full, spec.place)),
                };
            }
            let descriptor = self.descriptor(spec, Kind::Info, &full);
            let info = Info::new(descriptor, self.inner.shared.clone());
            entries.add(full, Family::Info(info.facts()), spec);
            Ok(info)
        });
        self.count_conflict(result)
    }

    fn count_conflict<T>(&self, result: Result<T, RegisterError>) -> Result<T, RegisterError> {
        result.inspect_err(|error| self.inner.shared.count_conflict(error.reason()))
    }

    fn limit_of(&self, spec: &Spec, full: &str) -> usize {
        let config = self.inner.shared.config();
        series_limit(&config, full, &spec.name, spec.limit)
    }

    fn descriptor(&self, spec: &Spec, kind: Kind, full: &str) -> Descriptor {
        let config = self.inner.shared.config();
        let mut descriptor = Descriptor::new(full, kind);
        descriptor.help = spec.help.clone().unwrap_or_default();
        descriptor.unit = spec.unit.clone().unwrap_or_default();
        descriptor.constant_labels = config.constant_labels.clone().into();
        descriptor.scope = config.scope.clone();
        descriptor
    }

    /// Returns the full name, after checking it and the labels.
    fn checked_name(&self, spec: &Spec, labels: &[&str]) -> Result<String, RegisterError> {
        let full = self.full_name(&spec.name);
        name::check_metric(&full)?;
        let config = self.inner.shared.config();
        let name = || full.clone().into();
        if labels.len() > config.limits.most_labels() {
            return Err(RegisterError::TooManyLabels {
                name: name(),
                count: labels.len(),
                limit: config.limits.most_labels(),
            });
        }
        for (i, label) in labels.iter().enumerate() {
            name::check_label(label)?;
            if config.limits.forbids(label) {
                return Err(RegisterError::ForbiddenLabel {
                    name: name(),
                    label: (*label).into(),
                });
            }
            let is_constant = config.constant_labels.iter().any(|(k, _)| **k == **label);
            if is_constant || labels[..i].contains(label) {
                return Err(RegisterError::DuplicateLabel {
                    name: name(),
                    label: (*label).into(),
                });
            }
        }
        if spec.states.len() > 63 {
            return Err(RegisterError::TooManyStates {
                name: name(),
                count: spec.states.len(),
            });
        }
        Ok(full)
    }
}

/// Returns the series limit of a family. A limit that the operator sets by name takes precedence over
/// one in the code.
fn series_limit(config: &Config, full: &str, short: &str, in_code: Option<usize>) -> usize {
    let limits = &config.family_limits;
    let by_name = limits.get(full).or_else(|| limits.get(short)).copied();
    by_name.or(in_code).unwrap_or(config.limits.family_series)
}

impl Entries {
    fn add(&mut self, name: String, family: Family, spec: &Spec) {
        self.by_name.insert(name.into(), self.all.len());
        self.all.push(Entry {
            family,
            short_name: spec.name.clone(),
            limit: spec.limit,
            place: spec.place,
        });
    }

    /// Returns the families in the order of registration.
    pub(super) fn families(&self) -> Vec<Family> {
        self.all.iter().map(|entry| entry.family.clone()).collect()
    }

    /// Gives each family the limit that it has now.
    pub(super) fn update_limits(&self, config: &Config) {
        for (name, index) in &self.by_name {
            let entry = &self.all[*index];
            let limit = series_limit(config, name, &entry.short_name, entry.limit);
            match &entry.family {
                Family::Recorded(storage) => storage.quota().set_limit(limit),
                Family::Observed(observable) => observable.quota().set_limit(limit),
                Family::Info(_) => {}
            }
        }
    }
}

impl Family {
    /// Returns the report that the family is nearly full, if its limit was set so low.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Family::Recorded(storage) => storage.warning(),
            Family::Observed(observable) => observable.warning(),
            Family::Info(_) => None,
        }
    }
}

impl Entry {
    /// Returns the storage of this family if the requested one is the same.
    fn same(
        &self,
        spec: &Spec,
        kind: Kind,
        layout: impl FnOnce(&Spec) -> Layout,
        label_names: &[Box<str>],
        free_form: bool,
        full: &str,
    ) -> Result<Arc<Storage>, RegisterError> {
        let Family::Recorded(storage) = &self.family else {
            return Err(self.differs(Difference::Observed, full, spec.place));
        };
        let there = storage.descriptor();
        let difference = if there.kind != kind {
            Difference::Kind {
                first: there.kind,
                second: kind,
            }
        } else if spec.unit.as_ref().is_some_and(|unit| *unit != there.unit) {
            Difference::Unit {
                first: there.unit.clone(),
                second: spec.unit.clone().unwrap_or_default(),
            }
        } else if *there.label_names != *label_names || storage.free_form != free_form {
            Difference::Labels {
                first: there.label_names.clone(),
                second: label_names.into(),
            }
        } else if spec.bounds.is_some() && spec.bounds != there.bounds {
            Difference::Bounds
        } else if spec.states != there.states {
            Difference::States
        } else if number_of(&storage.layout) != number_of(&layout(spec)) {
            Difference::Number
        } else {
            return Ok(storage.clone());
        };
        Err(self.differs(difference, full, spec.place))
    }

    fn differs(&self, difference: Difference, full: &str, second: SourceLocation) -> RegisterError {
        RegisterError::AlreadyRegistered {
            name: full.into(),
            difference,
            first: self.place,
            second,
        }
    }
}

fn number_of(layout: &Layout) -> Option<NumberKind> {
    match layout {
        Layout::Sum(number) | Layout::Value(number) => Some(*number),
        Layout::States | Layout::Histogram(_) => None,
    }
}

/// Returns a family that belongs to no registry, for macros that conflict with another registration and
/// for disabled registries.
pub(crate) fn noop(layout: Layout, names: &[&str], spec: &Spec) -> Arc<Storage> {
    static SHARED: OnceLock<Arc<Shared>> = OnceLock::new();
    let shared =
        SHARED.get_or_init(|| Arc::new(Shared::new(Config::default(), ExemplarFilter::AlwaysOff)));
    let mut descriptor = Descriptor::new(&spec.name, Kind::Unknown);
    descriptor.label_names = names.iter().map(|name| Box::from(*name)).collect();
    // No room for series: everything goes to the overflow series, which is never collected.
    Arc::new(Storage::new(descriptor, layout, false, 0, shared.clone()))
}
