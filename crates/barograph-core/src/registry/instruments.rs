//! Registration of families: required properties are arguments, optional ones are set by `with_*`.

use std::marker::PhantomData;
use std::time::Duration;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::Kind;

use super::Registry;
use crate::instruments::family::Family;
use crate::instruments::handle::Instrument;
use crate::instruments::histogram::Histogram;
use crate::instruments::info::Info;
use crate::instruments::number::Number;
use crate::instruments::observable::Observer;
use crate::labels::LabelSet;

use crate::instruments::spec::{RegisterError, SourceLocation, Spec};

/// A free-form label set: any names and values, in any order.
pub type FreeForm = [(&'static str, &'static str)];

/// A builder of an instrument or a family. `build` and its variants register it: an instrument without
/// labels, or a family of instruments with one of three forms of labels.
#[derive(Debug)]
#[must_use = "nothing is registered until `build` or one of its variants with labels"]
pub struct MetricBuilder<'r, I> {
    registry: &'r Registry,
    spec: Spec,
    instrument: PhantomData<I>,
}

impl<'r, I: Instrument> MetricBuilder<'r, I> {
    #[track_caller]
    pub(crate) fn new(registry: &'r Registry, name: &str) -> Self {
        MetricBuilder {
            registry,
            spec: Spec::new(name, SourceLocation::caller()),
            instrument: PhantomData,
        }
    }

    /// Sets the help text: what the instrument measures, for people.
    pub fn with_help(mut self, help: &str) -> Self {
        self.spec.help = Some(help.into());
        self
    }

    /// Sets the unit in UCUM: `s`, `By`, `{request}`.
    pub fn with_unit(mut self, unit: &str) -> Self {
        self.spec.unit = Some(unit.into());
        self
    }

    /// Sets the series limit. A limit that the registry has for this name takes precedence.
    pub fn with_series_limit(mut self, limit: usize) -> Self {
        self.spec.limit = Some(limit);
        self
    }

    /// Removes every series whose value did not change between collections for this time.
    pub fn with_idle_time_to_live(mut self, idle: Duration) -> Self {
        self.spec.idle = Some(idle);
        self
    }

    pub(crate) fn with_states(mut self, states: &[&str]) -> Self {
        self.spec.states = states.iter().map(|s| Box::from(*s)).collect();
        self
    }

    /// Registers one instrument without labels.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid, or another family has it.
    pub fn build(self) -> Result<I, RegisterError> {
        let storage = self
            .registry
            .storage(self.spec, I::kind(), I::layout, Some(&[]))?;
        Ok(Family::<I, ()>::only(storage))
    }

    /// Registers a family whose label sets are structs that derive [`LabelSet`].
    ///
    /// # Errors
    /// Fails like [`build`](Self::build), and if a label is invalid.
    pub fn build_with_labels<L: LabelSet>(self) -> Result<Family<I, L>, RegisterError> {
        let names = L::names();
        let storage = self
            .registry
            .storage(self.spec, I::kind(), I::layout, Some(names))?;
        Ok(Family::new(storage, names))
    }

    /// Registers a family whose label sets are arrays of values, in the order of these names.
    ///
    /// # Errors
    /// Fails like [`build_with_labels`](Self::build_with_labels).
    pub fn build_with_label_names<const N: usize>(
        self,
        names: [&str; N],
    ) -> Result<Family<I, [&'static str; N]>, RegisterError> {
        let storage = self
            .registry
            .storage(self.spec, I::kind(), I::layout, Some(&names))?;
        Ok(Family::new(storage, &names))
    }

    /// Registers a family whose label sets are slices of names and values, which can differ for each
    /// series.
    ///
    /// # Errors
    /// Fails like [`build`](Self::build). Labels are checked when they are used.
    pub fn build_with_any_labels(self) -> Result<Family<I, FreeForm>, RegisterError> {
        let storage = self
            .registry
            .storage(self.spec, I::kind(), I::layout, None)?;
        Ok(Family::new(storage, &[]))
    }
}

impl MetricBuilder<'_, Histogram> {
    /// Sets the bounds of its buckets. Without them the unit `s`, or a name that ends in `_seconds` and
    /// has no unit, gives [`Bounds::http_seconds`], any other [`Bounds::otel_default`]. A name that
    /// denotes a time and has no unit, such as `job.duration`, is reported once: the default bounds are
    /// too coarse for seconds.
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.spec.bounds = Some(bounds);
        self
    }
}

/// A builder of an info.
#[derive(Debug)]
#[must_use = "nothing is registered until `build`"]
pub struct InfoBuilder<'r> {
    registry: &'r Registry,
    spec: Spec,
}

impl<'r> InfoBuilder<'r> {
    #[track_caller]
    pub(crate) fn new(registry: &'r Registry, name: &str) -> Self {
        InfoBuilder {
            registry,
            spec: Spec::new(name, SourceLocation::caller()),
        }
    }

    /// Sets the help text: what the facts are about, for people.
    pub fn with_help(mut self, help: &str) -> Self {
        self.spec.help = Some(help.into());
        self
    }

    /// Registers the info.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid, or another family has it.
    pub fn build(self) -> Result<Info, RegisterError> {
        self.registry.facts(&self.spec)
    }
}

/// A builder of an observable instrument.
#[derive(Debug)]
#[must_use = "nothing is registered until `observe`"]
pub struct ObservableBuilder<'r, N> {
    registry: &'r Registry,
    spec: Spec,
    kind: Kind,
    number: PhantomData<N>,
}

impl<'r, N: Number> ObservableBuilder<'r, N> {
    #[track_caller]
    pub(crate) fn counter(registry: &'r Registry, name: &str) -> Self {
        Self::new(registry, name, Kind::Counter)
    }

    #[track_caller]
    pub(crate) fn gauge(registry: &'r Registry, name: &str) -> Self {
        Self::new(registry, name, Kind::Gauge)
    }

    #[track_caller]
    fn new(registry: &'r Registry, name: &str, kind: Kind) -> Self {
        ObservableBuilder {
            registry,
            spec: Spec::new(name, SourceLocation::caller()),
            kind,
            number: PhantomData,
        }
    }

    /// Sets the help text: what the instrument measures, for people.
    pub fn with_help(mut self, help: &str) -> Self {
        self.spec.help = Some(help.into());
        self
    }

    /// Sets the unit in UCUM.
    pub fn with_unit(mut self, unit: &str) -> Self {
        self.spec.unit = Some(unit.into());
        self
    }

    /// Registers a callback that runs at each collection.
    ///
    /// Callbacks of one name run one after the other. One that panics is counted, and its values of
    /// that collection are those it observed before. A callback may record, remove, register and
    /// collect; a collection inside a callback shows observable instruments without values.
    ///
    /// A collection waits as long as its callbacks take. A callback must not wait for another thread
    /// that collects the same registry: that collection would wait for the callback. It continues
    /// without the values of this name after 5 s, which is counted in
    /// [`Stats::callback_timeouts`](crate::stats::Stats).
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid, or another family has it.
    pub fn observe(
        self,
        callback: impl FnMut(&mut Observer<'_, '_, N>) + Send + 'static,
    ) -> Result<(), RegisterError> {
        let growing = self.kind == Kind::Counter;
        let observable = self
            .registry
            .observed(&self.spec, self.kind, growing, N::LAYOUT)?;
        observable.add(callback);
        Ok(())
    }
}
