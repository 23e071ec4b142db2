//! Registries: where families are made, found again, and collected.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use barograph_model::descriptor::{Descriptor, Kind, Scope};
use barograph_model::name::{self, InvalidLabel};
use barograph_model::snapshot::{FamilyView, Point, Source, Value};

use crate::builder::{Builder, InfoBuilder, ObservableBuilder};
use crate::clock::Clock;
use crate::config::{Config, Shared};
use crate::counter::Counter;
use crate::exemplar::{self, ExemplarFilter};
use crate::gauge::Gauge;
use crate::histogram::Histogram;
use crate::info::{Facts, Info};
use crate::observable::Observable;
use crate::spec::{Difference, Place, RegisterError, Spec};
use crate::state_set::StateSet;
use crate::stats::Stats;
use crate::storage::{Layout, Number, Storage, View};
use crate::thread::POOL;
use crate::updown::UpDownCounter;

/// A set of families that is collected as one. Clones share it.
///
/// Registries are isolated from each other. One is there for the whole process,
/// [`global`](Self::global): the macros record in it.
///
/// ```
/// use barograph_core::registry::Registry;
/// let registry = Registry::builder().with_namespace("shop").build()?;
/// let orders = registry.counter("orders").with_help("Orders placed.").register()?;
/// orders.inc();
/// assert_eq!(registry.value("shop_orders", &[]), Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// In the order of registration.
    all: Vec<Entry>,
    by_name: HashMap<Box<str>, usize>,
    /// What macros said of families by name: unit and help.
    descriptions: HashMap<Box<str>, (Box<str>, Box<str>)>,
}

struct Entry {
    family: Family,
    place: Place,
}

enum Family {
    Recorded(Arc<Storage>),
    Observed(Arc<Observable>),
    Info(Arc<Facts>),
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry with the default limits and without prefixes.
    pub fn new() -> Self {
        Self::of(Config::default(), ExemplarFilter::default())
    }

    /// A registry with limits, prefixes or constant labels of its own.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// The registry of the process. It is always there and never replaced.
    pub fn global() -> &'static Registry {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        GLOBAL.get_or_init(Registry::new)
    }

    fn of(config: Config, filter: ExemplarFilter) -> Self {
        Registry {
            inner: Arc::new(Inner {
                shared: Arc::new(Shared::new(config, filter)),
                entries: Mutex::default(),
            }),
        }
    }

    /// A counter of whole numbers.
    #[track_caller]
    pub fn counter(&self, name: &str) -> Builder<'_, Counter<u64>> {
        Builder::new(self, name)
    }

    /// A counter of any numbers that are not negative.
    #[track_caller]
    pub fn counter_f64(&self, name: &str) -> Builder<'_, Counter<f64>> {
        Builder::new(self, name)
    }

    /// An up-down counter of whole numbers.
    #[track_caller]
    pub fn up_down_counter(&self, name: &str) -> Builder<'_, UpDownCounter<i64>> {
        Builder::new(self, name)
    }

    /// An up-down counter of any numbers.
    #[track_caller]
    pub fn up_down_counter_f64(&self, name: &str) -> Builder<'_, UpDownCounter<f64>> {
        Builder::new(self, name)
    }

    /// A gauge of any numbers.
    #[track_caller]
    pub fn gauge(&self, name: &str) -> Builder<'_, Gauge<f64>> {
        Builder::new(self, name)
    }

    /// A gauge of whole numbers.
    #[track_caller]
    pub fn gauge_i64(&self, name: &str) -> Builder<'_, Gauge<i64>> {
        Builder::new(self, name)
    }

    /// A histogram with explicit buckets.
    #[track_caller]
    pub fn histogram(&self, name: &str) -> Builder<'_, Histogram> {
        Builder::new(self, name)
    }

    /// A set of states, at most 63, all off at first.
    #[track_caller]
    pub fn state_set<const N: usize>(
        &self,
        name: &str,
        states: [&str; N],
    ) -> Builder<'_, StateSet> {
        Builder::new(self, name).with_states(&states)
    }

    /// Facts as labels.
    #[track_caller]
    pub fn info(&self, name: &str) -> InfoBuilder<'_> {
        InfoBuilder::new(self, name)
    }

    /// A counter whose value a callback knows, in whole numbers.
    #[track_caller]
    pub fn observable_counter(&self, name: &str) -> ObservableBuilder<'_, u64> {
        ObservableBuilder::counter(self, name)
    }

    /// A counter whose value a callback knows.
    #[track_caller]
    pub fn observable_counter_f64(&self, name: &str) -> ObservableBuilder<'_, f64> {
        ObservableBuilder::counter(self, name)
    }

    /// A gauge whose value a callback knows.
    #[track_caller]
    pub fn observable_gauge(&self, name: &str) -> ObservableBuilder<'_, f64> {
        ObservableBuilder::gauge(self, name)
    }

    /// A gauge whose value a callback knows, in whole numbers.
    #[track_caller]
    pub fn observable_gauge_i64(&self, name: &str) -> ObservableBuilder<'_, i64> {
        ObservableBuilder::gauge(self, name)
    }

    /// Says what a family of this name measures and in which unit, whether it exists already or
    /// comes later. Other than at registration, what was said before is replaced.
    ///
    /// For families that macros make. Bucket bounds follow the unit only when it is known before the
    /// first use.
    pub fn describe(&self, name: &str, unit: &str, help: &str) {
        let mut entries = self.entries();
        let full = self.full_name(name);
        if let Some(index) = entries.by_name.get(&*full)
            && let Family::Recorded(storage) = &entries.all[*index].family
        {
            storage.describe(|descriptor| {
                descriptor.unit = unit.into();
                descriptor.help = help.into();
            });
        }
        entries
            .descriptions
            .insert(full.into(), (unit.into(), help.into()));
    }

    /// Sets how many series the family of this name may have, whether it exists already or comes
    /// later.
    pub fn set_family_limit(&self, name: &str, limit: usize) {
        let full: Box<str> = self.full_name(name).into();
        let entries = self.entries();
        if let Some(index) = entries.by_name.get(&full)
            && let Family::Recorded(storage) = &entries.all[*index].family
        {
            storage.set_limit(limit);
        }
        let mut config = self
            .inner
            .shared
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        config.limits.insert(full, limit);
    }

    /// Sets which measurements may become exemplars.
    pub fn set_exemplar_filter(&self, filter: ExemplarFilter) {
        self.inner.shared.set_filter(filter);
        for storage in self.storages() {
            storage.watch(filter == ExemplarFilter::AlwaysOn);
        }
    }

    /// The value of one series now: of a histogram, its count. For tests.
    ///
    /// `labels` are all labels but the constant ones, in any order.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let families = self.collect();
        let family = families.iter().find(|f| *f.descriptor().name == *name)?;
        let mut wanted: Vec<_> = labels.to_vec();
        wanted.sort_unstable();
        let (mut found, mut from) = (None, 0);
        loop {
            let next = family.read(from, &mut |point| {
                let mut mine: Vec<_> = if point.is_overflow {
                    vec![(name::OVERFLOW, "true")]
                } else {
                    point.labels.iter().collect()
                };
                mine.sort_unstable();
                if mine == wanted {
                    found = Some(number(point));
                }
            });
            from = match next {
                Some(next) => next,
                None => return found,
            };
        }
    }

    /// What the registry holds and what it turned away.
    pub fn stats(&self) -> Stats {
        let entries = self.entries();
        let shared = &self.inner.shared;
        let stats = |entry: &Entry| match &entry.family {
            Family::Recorded(storage) => Some(storage.stats()),
            Family::Observed(observable) => Some(observable.stats()),
            Family::Info(_) => None,
        };
        Stats {
            families: entries.all.iter().filter_map(stats).collect(),
            series: shared.live.load(Ordering::Relaxed),
            conflicts: shared.conflicts.load(Ordering::Relaxed),
            callback_panics: shared.callback_panics.load(Ordering::Relaxed),
            thread_cell_bytes: POOL.used(),
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.inner
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn storages(&self) -> Vec<Arc<Storage>> {
        let entries = self.entries();
        let recorded = |entry: &Entry| match &entry.family {
            Family::Recorded(storage) => Some(storage.clone()),
            _ => None,
        };
        entries.all.iter().filter_map(recorded).collect()
    }

    /// The name with the registry's prefixes.
    fn full_name(&self, name: &str) -> String {
        let config = self.inner.shared.config();
        let parts = [&*config.namespace, &*config.subsystem, name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // An empty name stays one, so that it is refused.
        if name.is_empty() {
            String::new()
        } else {
            parts.join("_")
        }
    }

    /// The storage of a family that is recorded to, made or found again.
    pub(crate) fn storage(
        &self,
        mut spec: Spec,
        kind: Kind,
        layout: impl FnOnce(&Spec) -> Layout,
        names: Option<&[&str]>,
    ) -> Result<Arc<Storage>, RegisterError> {
        let free_form = names.is_none();
        let names = names.unwrap_or_default();
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
            }
            let limit = self.limit_of(&spec, &full);
            let shared = self.inner.shared.clone();
            let storage = Storage::new(descriptor, layout, free_form, limit, shared);
            if spec.idle.is_some() {
                storage.set_idle(spec.idle);
            }
            let storage = Arc::new(storage);
            entries.add(full, Family::Recorded(storage.clone()), spec.place);
            Ok(storage)
        });
        self.count_conflict(result)
    }

    /// The family that callbacks give values to, made or found again.
    pub(crate) fn observed(
        &self,
        spec: &Spec,
        kind: Kind,
        growing: bool,
    ) -> Result<Arc<Observable>, RegisterError> {
        let result = self.checked_name(spec, &[]).and_then(|full| {
            let mut entries = self.entries();
            if let Some(index) = entries.by_name.get(&*full) {
                let entry = &entries.all[*index];
                return match &entry.family {
                    Family::Observed(there) if there.descriptor().kind == kind => Ok(there.clone()),
                    _ => Err(entry.differs(Difference::Observed, &full, spec.place)),
                };
            }
            let descriptor = self.descriptor(spec, kind, &full);
            let limit = self.limit_of(spec, &full);
            let shared = self.inner.shared.clone();
            let observable = Arc::new(Observable::new(descriptor, growing, limit, shared));
            entries.add(full, Family::Observed(observable.clone()), spec.place);
            Ok(observable)
        });
        self.count_conflict(result)
    }

    /// An info, made or found again.
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
            let info = Info::new(self.descriptor(spec, Kind::Info, &full));
            entries.add(full, Family::Info(info.facts()), spec.place);
            Ok(info)
        });
        self.count_conflict(result)
    }

    fn count_conflict<T>(&self, result: Result<T, RegisterError>) -> Result<T, RegisterError> {
        if result.is_err() {
            self.inner.shared.conflicts.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn limit_of(&self, spec: &Spec, full: &str) -> usize {
        let config = self.inner.shared.config();
        let by_name = config
            .limits
            .get(full)
            .or_else(|| config.limits.get(&*spec.name));
        // What the operator says by name beats what the code says.
        by_name
            .copied()
            .or(spec.limit)
            .unwrap_or(config.family_limit)
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

    /// The full name, once it and the labels are found to be in order.
    fn checked_name(&self, spec: &Spec, labels: &[&str]) -> Result<String, RegisterError> {
        let full = self.full_name(&spec.name);
        name::check_metric(&full)?;
        let config = self.inner.shared.config();
        let name = || full.clone().into();
        if labels.len() > config.most_labels {
            return Err(RegisterError::TooManyLabels {
                name: name(),
                count: labels.len(),
                limit: config.most_labels,
            });
        }
        for (i, label) in labels.iter().enumerate() {
            name::check_label(label)?;
            if config.forbidden.iter().any(|f| **f == **label) {
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

impl Entries {
    fn add(&mut self, name: String, family: Family, place: Place) {
        self.by_name.insert(name.into(), self.all.len());
        self.all.push(Entry { family, place });
    }
}

impl Entry {
    /// This family, if what is asked for is the same.
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

    fn differs(&self, difference: Difference, full: &str, second: Place) -> RegisterError {
        RegisterError::AlreadyRegistered {
            name: full.into(),
            difference,
            first: self.place,
            second,
        }
    }
}

/// Sets how many bytes the cells that threads own may take in the whole process. 64 MiB by default.
///
/// Past it threads share cells: as exact, but slower where several record the same series at once.
pub fn set_thread_cell_budget(bytes: u64) {
    POOL.set_budget(bytes);
}

fn number_of(layout: &Layout) -> Option<Number> {
    match layout {
        Layout::Sum(number) | Layout::Value(number) => Some(*number),
        Layout::States | Layout::Histogram(_) => None,
    }
}

fn number(point: &Point<'_>) -> f64 {
    match point.value {
        Value::U64(n) => n as f64,
        Value::I64(n) => n as f64,
        Value::F64(n) => n,
        Value::Histogram(histogram) => histogram.count() as f64,
        Value::StateSet(bits) => bits as f64,
        _ => 1.0,
    }
}

impl Source for Registry {
    /// Runs the callbacks of observable instruments, and looks after removed and idle series.
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        exemplar::advance();
        let families: Vec<Family> = {
            let entries = self.entries();
            let family = |entry: &Entry| match &entry.family {
                Family::Recorded(storage) => Family::Recorded(storage.clone()),
                Family::Observed(observable) => Family::Observed(observable.clone()),
                Family::Info(facts) => Family::Info(facts.clone()),
            };
            entries.all.iter().map(family).collect()
        };
        // Callbacks may register and record, so no lock is held here.
        let view = |family: Family| -> Arc<dyn FamilyView> {
            match family {
                Family::Recorded(storage) => Arc::new(View::new(storage)),
                Family::Observed(observable) => Arc::new(observable.collect()),
                Family::Info(facts) => facts,
            }
        };
        families.into_iter().map(view).collect()
    }
}

/// Makes a [`Registry`].
#[derive(Clone, Default)]
pub struct RegistryBuilder {
    config: Config,
    filter: ExemplarFilter,
}

impl RegistryBuilder {
    /// A first part of all names: `shop` makes `orders` into `shop_orders`.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.config.namespace = namespace.into();
        self
    }

    /// A part of all names between namespace and name.
    #[must_use]
    pub fn with_subsystem(mut self, subsystem: &str) -> Self {
        self.config.subsystem = subsystem.into();
        self
    }

    /// A label with the same value on every series.
    #[must_use]
    pub fn with_constant_label(mut self, name: &str, value: &str) -> Self {
        self.config
            .constant_labels
            .push((name.into(), value.into()));
        self
    }

    /// The instrumentation scope of all families. Without one, no `otel_scope_*` labels are written.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.config.scope = Some(Arc::new(scope));
        self
    }

    /// How many series a family may have where nothing else is said. 2,000 by default.
    #[must_use]
    pub fn with_family_limit(mut self, limit: usize) -> Self {
        self.config.family_limit = limit;
        self
    }

    /// How many series the family of this name may have.
    #[must_use]
    pub fn with_limit_of(mut self, name: &str, limit: usize) -> Self {
        self.config.limits.insert(name.into(), limit);
        self
    }

    /// How many series all families together may have. Not limited by default.
    #[must_use]
    pub fn with_total_limit(mut self, limit: usize) -> Self {
        self.config.total_limit = limit;
        self
    }

    /// How many labels a series may have, 64 at most. 32 by default.
    #[must_use]
    pub fn with_most_labels(mut self, most: usize) -> Self {
        self.config.most_labels = most.min(64);
        self
    }

    /// How long a label value may be, in bytes. 1,024 by default.
    #[must_use]
    pub fn with_longest_value(mut self, longest: usize) -> Self {
        self.config.longest_value = longest;
        self
    }

    /// Label names that must not be used, such as `user_id`.
    #[must_use]
    pub fn with_forbidden_labels(mut self, names: &[&str]) -> Self {
        self.config
            .forbidden
            .extend(names.iter().map(|name| Box::from(*name)));
        self
    }

    /// Removes every series whose value did not change between collections for so long.
    #[must_use]
    pub fn with_idle_time_to_live(mut self, idle: Duration) -> Self {
        self.config.idle = Some(idle);
        self
    }

    /// Which measurements may become exemplars. By default those inside of a sampled trace.
    #[must_use]
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.filter = filter;
        self
    }

    /// The clock for start times and exemplars. By default that of the machine.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// Looks labels up without wide vector instructions, to measure what those bring.
    #[doc(hidden)]
    #[must_use]
    pub fn with_portable_lookup(mut self) -> Self {
        self.config.portable = true;
        self
    }

    /// The registry.
    ///
    /// # Errors
    /// [`InvalidLabel`] when a constant label has a name that no label can have.
    pub fn build(self) -> Result<Registry, InvalidLabel> {
        for (label, _) in &self.config.constant_labels {
            name::check_label(label)?;
        }
        Ok(Registry::of(self.config, self.filter))
    }
}

/// A family that belongs to no registry, for macros that are in conflict with another.
pub(crate) fn nowhere(layout: Layout, names: &[&str], spec: &Spec) -> Arc<Storage> {
    static SHARED: OnceLock<Arc<Shared>> = OnceLock::new();
    let shared =
        SHARED.get_or_init(|| Arc::new(Shared::new(Config::default(), ExemplarFilter::AlwaysOff)));
    let mut descriptor = Descriptor::new(&spec.name, Kind::Unknown);
    descriptor.label_names = names.iter().map(|name| Box::from(*name)).collect();
    // No room for series: everything goes to the overflow series, which nobody collects.
    Arc::new(Storage::new(descriptor, layout, false, 0, shared.clone()))
}
