//! Registries: sets of families that are registered, found again, and collected.

mod entries;
mod instruments;
mod settings;
#[cfg(feature = "test-util")]
mod scope;
#[cfg(not(feature = "test-util"))]
#[path = "no_scope.rs"]
mod scope;
#[doc(hidden)]
pub mod callsite;

pub(crate) use self::entries::noop;
pub use self::instruments::{FreeForm, InfoBuilder, MetricBuilder, ObservableBuilder};
#[doc(hidden)]
pub use self::scope::get_or_init;
#[cfg(feature = "test-util")]
pub use self::scope::{CaptureScope, CaptureScopeGuard};
pub use self::settings::RegistryBuilder;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use barograph_model::bounds::Bounds;
use barograph_model::name;
use barograph_model::snapshot::{FamilyView, Point, Source, Value};

use self::entries::{Entries, Entry, Family};
use crate::instruments::counter::Counter;
use crate::instruments::gauge::Gauge;
use crate::instruments::histogram::Histogram;
use crate::instruments::state_set::StateSet;
use crate::instruments::updown::UpDownCounter;
use crate::limits::Limits;
use crate::report::report;
use crate::series::config::{Config, Shared};
use crate::series::exemplar::{self, ExemplarFilter};
use crate::series::storage::{Storage, View};
use crate::series::thread::POOL;
use crate::stats::Stats;

/// A set of families that is collected as one. Clones share it.
///
/// Registries are isolated from each other. The process has one, [`global`](Self::global), that the
/// macros record into; in a test, [`current`](Self::current) can be another one.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::builder().with_namespace("shop").build()?;
/// let orders = registry.counter("orders").with_help("Orders placed.").build()?;
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

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Registry")
            .field("families", &stats.families.len())
            .field("series", &stats.series)
            .finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Returns a registry with the default limits and without prefixes.
    pub fn new() -> Self {
        Self::of(Config::default(), ExemplarFilter::default())
    }

    /// Returns a builder of a registry with custom limits, prefixes or constant labels.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// Returns the registry of the process. It always exists and is never replaced.
    pub fn global() -> &'static Registry {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        GLOBAL.get_or_init(Registry::new)
    }

    /// Returns the registry that the macros record into on this thread: the global one, or in a test
    /// that of its capture.
    ///
    /// Code that registers instruments here, when it is constructed, can be tested without the global
    /// registry. Only the feature `test-util` makes a difference between the two.
    pub fn current() -> &'static Registry {
        scope::registry().unwrap_or_else(Registry::global)
    }

    /// Returns the address of the registry: the same for its clones, and for no other registry.
    #[doc(hidden)]
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    fn of(config: Config, filter: ExemplarFilter) -> Self {
        Registry {
            inner: Arc::new(Inner {
                shared: Arc::new(Shared::new(config, filter)),
                entries: Mutex::default(),
            }),
        }
    }

    /// Returns a builder of a counter of integers.
    #[track_caller]
    pub fn counter(&self, name: &str) -> MetricBuilder<'_, Counter<u64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of a counter of non-negative floats.
    #[track_caller]
    pub fn counter_f64(&self, name: &str) -> MetricBuilder<'_, Counter<f64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of an up-down counter of integers.
    #[track_caller]
    pub fn up_down_counter(&self, name: &str) -> MetricBuilder<'_, UpDownCounter<i64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of an up-down counter of floats.
    #[track_caller]
    pub fn up_down_counter_f64(&self, name: &str) -> MetricBuilder<'_, UpDownCounter<f64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of a gauge of floats.
    #[track_caller]
    pub fn gauge(&self, name: &str) -> MetricBuilder<'_, Gauge<f64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of a gauge of integers.
    #[track_caller]
    pub fn gauge_i64(&self, name: &str) -> MetricBuilder<'_, Gauge<i64>> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of a histogram with explicit buckets.
    #[track_caller]
    pub fn histogram(&self, name: &str) -> MetricBuilder<'_, Histogram> {
        MetricBuilder::new(self, name)
    }

    /// Returns a builder of a set of states, at most 63, all off at first.
    #[track_caller]
    pub fn state_set<const N: usize>(
        &self,
        name: &str,
        states: [&str; N],
    ) -> MetricBuilder<'_, StateSet> {
        MetricBuilder::new(self, name).with_states(&states)
    }

    /// Returns a builder of an info: facts as labels.
    #[track_caller]
    pub fn info(&self, name: &str) -> InfoBuilder<'_> {
        InfoBuilder::new(self, name)
    }

    /// Returns a builder of a counter of integers whose value a callback provides.
    #[track_caller]
    pub fn observable_counter(&self, name: &str) -> ObservableBuilder<'_, u64> {
        ObservableBuilder::counter(self, name)
    }

    /// Returns a builder of a counter of floats whose value a callback provides.
    #[track_caller]
    pub fn observable_counter_f64(&self, name: &str) -> ObservableBuilder<'_, f64> {
        ObservableBuilder::counter(self, name)
    }

    /// Returns a builder of a gauge of floats whose value a callback provides.
    #[track_caller]
    pub fn observable_gauge(&self, name: &str) -> ObservableBuilder<'_, f64> {
        ObservableBuilder::gauge(self, name)
    }

    /// Returns a builder of a gauge of integers whose value a callback provides.
    #[track_caller]
    pub fn observable_gauge_i64(&self, name: &str) -> ObservableBuilder<'_, i64> {
        ObservableBuilder::gauge(self, name)
    }

    /// Sets the unit and the help text of the family with this name, whether it exists already or is
    /// registered later. Unlike at registration, earlier values are replaced.
    ///
    /// For families that macros make. Bucket bounds follow the unit only if it is known before the
    /// first use.
    pub fn describe(&self, name: &str, unit: &str, help: &str) {
        let mut entries = self.entries();
        let full = self.full_name(name);
        let mut is_late = false;
        if let Some(index) = entries.by_name.get(&*full)
            && let Family::Recorded(storage) = &entries.all[*index].family
        {
            storage.describe(|descriptor| {
                let has_default_bounds = descriptor.bounds == Some(Bounds::otel_default());
                is_late = unit == "s" && *descriptor.unit != *unit && has_default_bounds;
                descriptor.unit = unit.into();
                descriptor.help = help.into();
            });
        }
        let description = (unit.into(), help.into());
        entries
            .descriptions
            .insert(full.clone().into(), description);
        drop(entries);
        if is_late {
            report(format!(
                "{full:?} was described with the unit `s` after its first use, so its bucket bounds \
                 stay 0, 5, 10 ... 10000; describe it before, or register it `with_unit(\"s\")`"
            ));
        }
    }

    /// Sets the series limit of the family with this name, whether it exists already or is registered
    /// later. It takes precedence over [`Limits::family_series`].
    pub fn set_family_limit(&self, name: &str, limit: usize) {
        let full: Box<str> = self.full_name(name).into();
        self.change_limits(|config| {
            config.family_limits.insert(full, limit);
        });
    }

    /// Sets the limits, from now on.
    ///
    /// Series that exist stay, also above a lower limit: then there are no new ones. A family that is
    /// registered already with a forbidden label, or with too many, keeps its series too, and its new
    /// label sets go to the overflow series.
    pub fn set_limits(&self, limits: Limits) {
        self.change_limits(|config| config.limits = limits);
    }

    fn change_limits(&self, change: impl FnOnce(&mut Config)) {
        let shared = &self.inner.shared;
        let families = {
            // Families that are registered meanwhile wait for the lock, and have the new limits.
            let entries = self.entries();
            let mut config = shared
                .config
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            change(&mut config);
            shared.quota.set_limit(config.limits.total_series);
            entries.update_limits(&config);
            drop(config);
            entries.families()
        };
        // Not while the registry is locked: the receiver of a report may record something.
        let crossing = shared.quota.crossing(shared.quota.used());
        let total = crossing.map(|crossing| crossing.of_registry(None));
        let warnings = families.iter().filter_map(Family::warning);
        for warning in warnings.chain(total) {
            report(warning);
        }
    }

    /// Sets the filter for measurements that may become exemplars.
    pub fn set_exemplar_filter(&self, filter: ExemplarFilter) {
        self.inner.shared.set_filter(filter);
        for storage in self.storages() {
            storage.watch();
        }
    }

    /// Stops recording and collection: families that are registered later keep one series that is never
    /// collected, whatever their labels are. Existing families are no longer collected.
    pub fn disable(&self) {
        self.inner.shared.disabled.store(true, Ordering::Relaxed);
    }

    /// Returns true if the registry was [disabled](Self::disable).
    #[inline]
    pub fn is_disabled(&self) -> bool {
        self.inner.shared.disabled.load(Ordering::Relaxed)
    }

    /// Returns the current value of one series; for a histogram, its count. For tests.
    ///
    /// `labels` are all labels except the constant ones, in any order. Labels with an empty value are
    /// ignored.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let families = self.collect();
        let family = families.iter().find(|f| *f.descriptor().name == *name)?;
        let wanted = in_order(labels.to_vec());
        let (mut found, mut from) = (None, 0);
        loop {
            let next = family.read(from, &mut |point| {
                let mine = if point.is_overflow {
                    vec![(name::OVERFLOW, "true")]
                } else {
                    in_order(point.labels.iter().collect())
                };
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

    /// Returns statistics of what the registry holds and what it refused.
    pub fn stats(&self) -> Stats {
        let entries = self.entries();
        let shared = &self.inner.shared;
        let stats = |entry: &Entry| match &entry.family {
            Family::Recorded(storage) => storage.stats(),
            Family::Observed(observable) => observable.stats(),
            Family::Info(facts) => facts.stats(),
        };
        let conflicts_by_reason = shared.conflicts();
        Stats {
            families: entries.all.iter().map(stats).collect(),
            series: shared.quota.used(),
            limit: shared.quota.limit(),
            conflicts: conflicts_by_reason.iter().map(|(_, count)| count).sum(),
            conflicts_by_reason,
            callback_panics: shared.callback_panics.load(Ordering::Relaxed),
            callback_timeouts: shared.callback_timeouts.load(Ordering::Relaxed),
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

    /// Returns the name with the registry's prefixes.
    fn full_name(&self, name: &str) -> String {
        let config = self.inner.shared.config();
        let parts = [&*config.namespace, &*config.subsystem, name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // An empty name stays empty, so that it is refused.
        if name.is_empty() {
            String::new()
        } else {
            parts.join("_")
        }
    }
}

impl Source for Registry {
    /// Runs the callbacks of observable instruments, and maintains removed and idle series.
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        exemplar::advance();
        if self.inner.shared.disabled.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let families = self.entries().families();
        // Callbacks may register and record, so no lock is held here.
        let view = |family: Family| -> Arc<dyn FamilyView> {
            match family {
                Family::Recorded(storage) => Arc::new(View::new(storage)),
                Family::Observed(observable) => Arc::new(observable.collect()),
                Family::Info(facts) => facts,
            }
        };
        let views = families.into_iter().map(view).collect();
        self.inner.shared.quota.rearm();
        views
    }
}

/// Sorts labels, and removes those without a value.
fn in_order<'a>(mut labels: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort_unstable();
    labels
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

/// Sets how many bytes the cells owned by threads may take in the whole process. 64 MiB by default.
///
/// Past the budget threads share cells: just as exact, but slower if several record into the same
/// series at once.
pub fn set_thread_cell_budget(bytes: u64) {
    POOL.set_budget(bytes);
}
