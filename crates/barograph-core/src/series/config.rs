//! The configuration of a registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use barograph_model::descriptor::Scope;

use crate::clock::{Clock, SystemClock};
use crate::series::exemplar::ExemplarFilter;

/// The number of series that a family may have by default (OpenTelemetry metrics SDK, "Cardinality
/// limits").
pub(crate) const DEFAULT_FAMILY_LIMIT: usize = 2_000;

/// Limits, names and the clock of a registry.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) namespace: Box<str>,
    pub(crate) subsystem: Box<str>,
    pub(crate) constant_labels: Vec<(Box<str>, Box<str>)>,
    pub(crate) scope: Option<Arc<Scope>>,
    pub(crate) family_limit: usize,
    pub(crate) limits: HashMap<Box<str>, usize>,
    pub(crate) total_limit: usize,
    pub(crate) most_labels: usize,
    pub(crate) longest_value: usize,
    pub(crate) forbidden: Vec<Box<str>>,
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
            family_limit: DEFAULT_FAMILY_LIMIT,
            limits: HashMap::new(),
            total_limit: usize::MAX,
            most_labels: 32,
            longest_value: 1_024,
            forbidden: Vec::new(),
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
    /// The number of series in all families, without removed ones.
    pub(crate) live: AtomicUsize,
    filter: AtomicU8,
    /// True once the registry is disabled: new families are no-ops, and nothing is collected.
    pub(crate) disabled: AtomicBool,
    pub(crate) conflicts: AtomicU64,
    pub(crate) callback_panics: AtomicU64,
    pub(crate) callback_timeouts: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: Config, filter: ExemplarFilter) -> Self {
        let shared = Shared {
            clock: config.clock.clone(),
            config: std::sync::RwLock::new(config),
            live: AtomicUsize::new(0),
            filter: AtomicU8::new(0),
            disabled: AtomicBool::new(false),
            conflicts: AtomicU64::new(0),
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

    pub(crate) fn now_millis(&self) -> u64 {
        self.clock.unix_nanos() / 1_000_000
    }
}
