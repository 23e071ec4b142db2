//! The configuration of a registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use barograph_model::descriptor::Scope;

use crate::clock::{Clock, SystemClock};
use crate::limits::{Limits, Quota};
use crate::series::exemplar::ExemplarFilter;
use crate::stats::Conflict;

/// Limits, names and the clock of a registry.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) namespace: Box<str>,
    pub(crate) subsystem: Box<str>,
    pub(crate) constant_labels: Vec<(Box<str>, Box<str>)>,
    pub(crate) scope: Option<Arc<Scope>>,
    pub(crate) limits: Limits,
    /// The series limits of families, by name.
    pub(crate) family_limits: HashMap<Box<str>, usize>,
    pub(crate) idle: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) portable: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            namespace: "".into(),
            subsystem: "".into(),
            constant_labels: Vec::new(),
            scope: None,
            limits: Limits::new(),
            family_limits: HashMap::new(),
            idle: None,
            clock: Arc::new(SystemClock),
            portable: false,
        }
    }
}

/// The state that all families of a registry share.
pub(crate) struct Shared {
    pub(crate) config: std::sync::RwLock<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The series of all families, without removed ones.
    pub(crate) quota: Quota,
    filter: AtomicU8,
    /// True once the registry is disabled: new families are no-ops, and nothing is collected.
    pub(crate) disabled: AtomicBool,
    conflicts: [AtomicU64; Conflict::ALL.len()],
    pub(crate) callback_panics: AtomicU64,
    pub(crate) callback_timeouts: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: Config, filter: ExemplarFilter) -> Self {
        let shared = Shared {
            clock: config.clock.clone(),
            quota: Quota::new(config.limits.total_series),
            config: std::sync::RwLock::new(config),
            filter: AtomicU8::new(0),
            disabled: AtomicBool::new(false),
            conflicts: Default::default(),
            callback_panics: AtomicU64::new(0),
            callback_timeouts: AtomicU64::new(0),
        };
        shared.set_filter(filter);
        shared
    }

    pub(crate) fn filter(&self) -> ExemplarFilter {
        match self.filter.load(Ordering::Relaxed) {
            0 => ExemplarFilter::TraceBased,
            1 => ExemplarFilter::AlwaysOn,
            _ => ExemplarFilter::AlwaysOff,
        }
    }

    pub(crate) fn set_filter(&self, filter: ExemplarFilter) {
        let code = match filter {
            ExemplarFilter::TraceBased => 0,
            ExemplarFilter::AlwaysOn => 1,
            ExemplarFilter::AlwaysOff => 2,
        };
        self.filter.store(code, Ordering::Relaxed);
    }

    /// Returns the current configuration.
    pub(crate) fn config(&self) -> std::sync::RwLockReadGuard<'_, Config> {
        self.config
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a failed registration.
    pub(crate) fn count_conflict(&self, reason: Conflict) {
        self.conflicts[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of failed registrations by reason, without reasons that never occurred.
    pub(crate) fn conflicts(&self) -> Vec<(Conflict, u64)> {
        let counts = self.conflicts.iter().map(|n| n.load(Ordering::Relaxed));
        let counts = Conflict::ALL.into_iter().zip(counts);
        counts.filter(|(_, n)| *n > 0).collect()
    }

    pub(crate) fn now_millis(&self) -> u64 {
        self.clock.unix_nanos() / 1_000_000
    }
}
