//! The builder of a registry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use barograph_model::descriptor::Scope;
use barograph_model::name::{self, InvalidLabel};

use super::Registry;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::series::config::Config;
use crate::series::exemplar::ExemplarFilter;

/// A builder of a [`Registry`].
#[derive(Clone, Default)]
pub struct RegistryBuilder {
    config: Config,
    filter: ExemplarFilter,
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder").finish_non_exhaustive()
    }
}

impl RegistryBuilder {
    /// Sets the first part of all names: `shop` makes `orders` into `shop_orders`.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.config.namespace = namespace.into();
        self
    }

    /// Sets a part of all names between the namespace and the name.
    #[must_use]
    pub fn with_subsystem(mut self, subsystem: &str) -> Self {
        self.config.subsystem = subsystem.into();
        self
    }

    /// Adds a label with the same value on every series.
    #[must_use]
    pub fn with_constant_label(mut self, name: &str, value: &str) -> Self {
        self.config
            .constant_labels
            .push((name.into(), value.into()));
        self
    }

    /// Sets the instrumentation scope of all families. Without one, no `otel_scope_*` labels are
    /// written.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.config.scope = Some(Arc::new(scope));
        self
    }

    /// Sets all limits at once. The methods below change one of them.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Sets the default series limit of a family, [`Limits::family_series`].
    #[must_use]
    pub fn with_family_limit(mut self, limit: usize) -> Self {
        self.config.limits.family_series = limit;
        self
    }

    /// Sets the series limit of the family with this name.
    #[must_use]
    pub fn with_series_limit(mut self, name: &str, limit: usize) -> Self {
        self.config.family_limits.insert(name.into(), limit);
        self
    }

    /// Sets the series limit of all families together, [`Limits::total_series`].
    #[must_use]
    pub fn with_total_limit(mut self, limit: usize) -> Self {
        self.config.limits.total_series = limit;
        self
    }

    /// Sets how many labels a metric may have, [`Limits::labels`].
    #[must_use]
    pub fn with_most_labels(mut self, most: usize) -> Self {
        self.config.limits.labels = most;
        self
    }

    /// Sets how long a label value may be, in characters, [`Limits::value_length`].
    #[must_use]
    pub fn with_longest_value(mut self, longest: usize) -> Self {
        self.config.limits.value_length = longest;
        self
    }

    /// Forbids label names, such as `user_id`, in addition to [`Limits::forbidden_labels`].
    #[must_use]
    pub fn with_forbidden_labels(mut self, names: &[&str]) -> Self {
        self.config.limits = self.config.limits.with_forbidden_labels(names);
        self
    }

    /// Removes every series whose value did not change between collections for this time.
    #[must_use]
    pub fn with_idle_time_to_live(mut self, idle: Duration) -> Self {
        self.config.idle = Some(idle);
        self
    }

    /// Sets the filter for measurements that may become exemplars. By default those inside a sampled
    /// trace.
    #[must_use]
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the clock for start times and exemplars. By default the clock of the operating system.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// Looks labels up without wide vector instructions, to measure their benefit.
    #[doc(hidden)]
    #[must_use]
    pub fn with_portable_lookup(mut self) -> Self {
        self.config.portable = true;
        self
    }

    /// Builds the registry.
    ///
    /// # Errors
    /// [`InvalidLabel`] if a constant label has an invalid name.
    pub fn build(self) -> Result<Registry, InvalidLabel> {
        for (label, _) in &self.config.constant_labels {
            name::check_label(label)?;
        }
        Ok(Registry::of(self.config, self.filter))
    }
}
