//! Observable instruments: values that a callback provides at collection.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use barograph_model::descriptor::Descriptor;
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::{FamilyView, Point, Value};

use crate::instruments::number::Number;
use crate::labels::key::Key;
use crate::limits::{Limits, Quota, Violation};
use crate::report::report;
use crate::series::config::Shared;
use crate::series::storage;
use crate::stats::{Counts, FamilyStats, Refusal, Rejection};

/// A family whose values come from a callback.
pub(crate) struct Observable {
    descriptor: Descriptor,
    pub(crate) shared: Arc<Shared>,
    growing: bool,
    pub(crate) number: storage::NumberKind,
    /// The series of the last collection. Only the holder of the state changes their number: their room
    /// in the registry is kept until the next collection.
    quota: Quota,
    counts: Counts,
    /// Callbacks that run from the next collection on. Separate from those that run, so that a callback
    /// may add another one.
    added: Mutex<Vec<Callback>>,
    /// Locked while callbacks run, so the wait for it has a limit; see [`is_inside`].
    state: Mutex<State>,
    has_timed_out: AtomicBool,
    /// True once a label set was observed that is not empty.
    has_labels: AtomicBool,
}

/// The number of attempts to lock callbacks that another collection runs, and the pause between two
/// attempts: five seconds in all, half of the time that Prometheus waits for a scrape.
const LOOKS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Returns true while this thread runs a callback.
///
/// A callback that collects would wait for itself, or for another thread whose callback waits for this
/// one. Observable instruments therefore have no values inside a callback.
fn is_inside() -> bool {
    INSIDE.get()
}

struct State {
    callbacks: Vec<Callback>,
    /// The index and the start time of each known label set.
    known: HashMap<PackedLabels, (usize, u64)>,
    /// The next index. 0 is the overflow series.
    next: usize,
    panicked: bool,
}

type Callback = Box<dyn FnMut(&mut Observations<'_>) + Send>;

/// The values observed by the callbacks of one collection.
pub(crate) struct Observations<'c> {
    of: &'c Observable,
    values: HashMap<PackedLabels, Observed>,
    overflow: Option<Observed>,
}

#[derive(Clone, Copy)]
struct Observed {
    bits: u64,
    number: storage::NumberKind,
}

impl Observed {
    fn as_value(self) -> Value<'static> {
        match self.number {
            storage::NumberKind::U64 => Value::U64(self.bits),
            storage::NumberKind::I64 => Value::I64(self.bits.cast_signed()),
            storage::NumberKind::F64 => Value::F64(f64::from_bits(self.bits)),
        }
    }
}

/// Receives the values that a callback observes.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// registry
///     .observable_gauge("queue.length")
///     .observe(|observer| observer.observe(7.0, &[("queue", "mail")]))?;
/// assert_eq!(registry.value("queue.length", &[("queue", "mail")]), Some(7.0));
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
pub struct Observer<'a, 'c, N: Number> {
    observations: &'a mut Observations<'c>,
    number: PhantomData<N>,
}

impl<N: Number> fmt::Debug for Observer<'_, '_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer")
            .field(&self.observations.of.descriptor.name)
            .finish()
    }
}

impl<N: Number> Observer<'_, '_, N> {
    /// Observes the current value of one label set. A second value for the same label set replaces the
    /// first.
    ///
    /// A counter's value that is negative or not finite is dropped and counted; any other is shown as
    /// it is. Label sets past a limit add up in the overflow series, which wraps around for integers. In
    /// each collection those that are observed first have series of their own (OpenTelemetry metrics SDK,
    /// "Asynchronous instrument cardinality limits").
    pub fn observe(&mut self, value: N, labels: &[(&str, &str)]) {
        let of = self.observations.of;
        if of.growing
            && let Some(reason) = value.refusal::<true>()
        {
            return of.reject(reason, value.to_f64());
        }
        let observed = Observed {
            bits: value.to_bits(),
            number: N::LAYOUT,
        };
        if !labels.is_empty() {
            of.has_labels.store(true, Ordering::Relaxed);
        }
        let mut packed = PackedLabels::default();
        labels.render(&mut packed);
        match self.observations.admit(&packed, labels) {
            Ok(()) => {
                self.observations.values.insert(packed, observed);
                return;
            }
            Err(violation) => of.refuse(violation),
        }
        let sum = match self.observations.overflow {
            Some(sum) => N::from_bits(sum.bits).plus(value).to_bits(),
            None => value.to_bits(),
        };
        self.observations.overflow = Some(Observed {
            bits: sum,
            ..observed
        });
    }
}

impl Observations<'_> {
    /// Checks that these labels may have a series, and takes room for it.
    fn admit(&self, packed: &PackedLabels, labels: &[(&str, &str)]) -> Result<(), Violation> {
        let (quota, total) = (&self.of.quota, &self.of.shared.quota);
        if self.values.contains_key(packed) {
            return Ok(());
        }
        {
            let config = self.of.shared.config();
            Limits::check_total(packed.text().len())?;
            config.limits.check_count(labels.len())?;
            for (name, value) in labels {
                config.limits.check_name(name)?;
                config.limits.check_value(value)?;
            }
        }
        let no_room = |reason, quota: &Quota| {
            let limit = quota.limit();
            let (offender, expected) = (quota.used() + 1, format!("at most {limit}"));
            Violation::new(reason, offender.to_string(), expected)
        };
        if self.values.len() >= quota.limit() {
            return Err(no_room(Refusal::FamilyFull, quota));
        }
        // Up to as many as in the last collection, their room is there.
        if self.values.len() >= quota.used() {
            if total.take().is_none() {
                return Err(no_room(Refusal::RegistryFull, total));
            }
            if quota.take().is_none() {
                // The limit was lowered meanwhile.
                total.give_back(1);
                return Err(no_room(Refusal::FamilyFull, quota));
            }
        }
        Ok(())
    }
}

impl Observable {
    pub(crate) fn new(
        descriptor: Descriptor,
        growing: bool,
        number: storage::NumberKind,
        limit: usize,
        shared: Arc<Shared>,
    ) -> Self {
        Observable {
            descriptor,
            shared,
            growing,
            number,
            quota: Quota::new(limit),
            counts: Counts::default(),
            added: Mutex::new(Vec::new()),
            has_timed_out: AtomicBool::new(false),
            has_labels: AtomicBool::new(false),
            state: Mutex::new(State {
                callbacks: Vec::new(),
                known: HashMap::new(),
                next: 1,
                panicked: false,
            }),
        }
    }

    pub(crate) fn add<N: Number>(
        &self,
        mut callback: impl FnMut(&mut Observer<'_, '_, N>) + Send + 'static,
    ) {
        self.added().push(Box::new(move |observations| {
            callback(&mut Observer {
                observations,
                number: PhantomData,
            });
        }));
    }

    fn added(&self) -> MutexGuard<'_, Vec<Callback>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state, unless the callbacks that another thread runs take too long.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        for _ in 0..LOOKS {
            match self.state.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(state)) => return Some(state.into_inner()),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
        self.shared
            .callback_timeouts
            .fetch_add(1, Ordering::Relaxed);
        if !self.has_timed_out.swap(true, Ordering::Relaxed) {
            let (name, limit) = (&self.descriptor.name, PAUSE * LOOKS);
            report(format!(
                "a callback that observes {name:?} had not returned after {limit:?}, and another \
                 collection goes on without its values; it may wait for that collection"
            ));
        }
        None
    }

    /// Runs the callbacks one after the other; a panic of one does not affect the others. Inside a
    /// callback, or while callbacks of another thread do not end in time, it runs none.
    pub(crate) fn collect(&self) -> ObservedView {
        let state = (!is_inside()).then(|| self.state()).flatten();
        let Some(mut state) = state else {
            return ObservedView {
                descriptor: Arc::new(self.descriptor.clone()),
                points: Vec::new(),
            };
        };
        let mut observations = Observations {
            of: self,
            values: HashMap::new(),
            overflow: None,
        };
        let State {
            callbacks,
            known,
            next,
            panicked,
        } = &mut *state;
        callbacks.append(&mut self.added());
        for callback in callbacks {
            INSIDE.set(true);
            let result = catch_unwind(AssertUnwindSafe(|| callback(&mut observations)));
            INSIDE.set(false);
            if result.is_err() {
                self.shared.callback_panics.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(panicked, true) {
                    let name = &self.descriptor.name;
                    report(format!("a callback that observes {name:?} panicked"));
                }
            }
        }
        let now = self.shared.clock.unix_nanos();
        let Observations {
            values, overflow, ..
        } = observations;
        // Label sets that come and go must not accumulate.
        if known.len() > self.quota.limit().saturating_mul(4) {
            known.retain(|labels, _| values.contains_key(labels));
        }
        let mut points: Vec<_> = values
            .into_iter()
            .map(|(labels, observed)| {
                let (index, began) = *known.entry(labels.clone()).or_insert_with(|| {
                    *next += 1;
                    (*next - 1, now)
                });
                (index, began, Some(labels), observed)
            })
            .collect();
        let unused = self.quota.used() - points.len();
        self.quota.give_back(unused);
        self.shared.quota.give_back(unused);
        let warnings = self.warnings();
        points.extend(overflow.map(|observed| (0, now, None, observed)));
        points.sort_by_key(|(index, ..)| *index);
        drop(state);
        // Without the lock: the receiver of a report may collect.
        for warning in warnings {
            report(warning);
        }
        ObservedView {
            descriptor: Arc::new(self.descriptor.clone()),
            points,
        }
    }

    fn refuse(&self, violation: Violation) {
        if self.counts.refuse(violation.reason) {
            let refused = violation.in_family(&self.descriptor.name);
            report(format!(
                "{refused}; such values add up in the overflow series"
            ));
        }
    }

    /// Returns the reports that the family or the registry is nearly full, at the end of a collection.
    fn warnings(&self) -> Vec<String> {
        self.quota.rearm();
        let total = &self.shared.quota;
        let registry = total.crossing(total.used());
        let name = &self.descriptor.name;
        let registry = registry.map(|crossing| crossing.of_registry(Some(name)));
        self.warning().into_iter().chain(registry).collect()
    }

    /// Returns the report that the family is nearly full.
    pub(crate) fn warning(&self) -> Option<String> {
        let crossing = self.quota.crossing(self.quota.used());
        let crossing = crossing.filter(|_| self.has_labels());
        crossing.map(|crossing| crossing.of_family(&self.descriptor.name))
    }

    fn has_labels(&self) -> bool {
        self.has_labels.load(Ordering::Relaxed)
    }

    /// Returns the number of series and its limit.
    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    fn reject(&self, reason: Rejection, value: f64) {
        if self.counts.reject(reason) {
            let name = &self.descriptor.name;
            report(format!(
                "{name:?} observed {value}, expected a number that does not take it back; such \
                 values are dropped and counted"
            ));
        }
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    pub(crate) fn stats(&self) -> FamilyStats {
        FamilyStats {
            name: self.descriptor.name.clone(),
            series: self.quota.used(),
            limit: self.quota.limit(),
            has_labels: self.has_labels(),
            rejected: self.counts.rejected().collect(),
            refused: self.counts.refused().collect(),
        }
    }
}

/// The values observed by the callbacks of one collection.
pub(crate) struct ObservedView {
    descriptor: Arc<Descriptor>,
    points: Vec<(usize, u64, Option<PackedLabels>, Observed)>,
}

impl FamilyView for ObservedView {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor.clone()
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        for (index, began, labels, observed) in &self.points {
            let none = PackedLabels::default();
            let point = Point::new(
                *index,
                labels.as_ref().unwrap_or(&none).inline(),
                observed.as_value(),
            )
            .with_start(*began);
            match labels {
                Some(_) => show(&point),
                None => show(&point.as_overflow()),
            }
        }
        None
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
