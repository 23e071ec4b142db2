//! Info metrics: facts as labels.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_model::descriptor::Descriptor;
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::{FamilyView, Point, Value};

use crate::labels::key::Key;
use crate::limits::Limits;
use crate::report::report;
use crate::series::config::Shared;
use crate::stats::{Counts, FamilyStats, Refusal, Rejection};

/// An info metric: facts that rarely change, as labels. Clones share storage.
///
/// Source: OpenMetrics 1.0 "Info".
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let build = registry.info("build").with_help("What runs here.").build()?;
/// build.set(&[("version", "1.2.3"), ("revision", "8f3c2")]);
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Info {
    facts: Arc<Facts>,
}

pub(crate) struct Facts {
    pub(crate) descriptor: Arc<Descriptor>,
    shared: Arc<Shared>,
    counts: Counts,
    labels: Mutex<Option<PackedLabels>>,
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Info")
            .field(&self.facts.descriptor.name)
            .finish()
    }
}

impl Info {
    pub(crate) fn new(descriptor: Descriptor, shared: Arc<Shared>) -> Self {
        Info {
            facts: Arc::new(Facts {
                descriptor: Arc::new(descriptor),
                shared,
                counts: Counts::default(),
                labels: Mutex::new(None),
            }),
        }
    }

    pub(crate) fn of(facts: Arc<Facts>) -> Self {
        Info { facts }
    }

    pub(crate) fn facts(&self) -> Arc<Facts> {
        self.facts.clone()
    }

    /// Sets all facts at once. The info is not shown before the first call.
    ///
    /// Facts that break a [limit](crate::limits::Limits) are left out, counted and reported: an info has
    /// no overflow series.
    pub fn set(&self, facts: &[(&str, &str)]) {
        let mut labels = PackedLabels::default();
        self.facts.allowed(facts).render(&mut labels);
        *self.facts.labels() = Some(labels);
    }
}

impl Facts {
    /// Returns the facts that break no limit.
    fn allowed<'f>(&self, facts: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
        let (mut allowed, mut broken) = (Vec::new(), Vec::new());
        {
            let config = self.shared.config();
            let limits = &config.limits;
            let mut bytes = 0;
            for (name, value) in facts {
                let more = name.len() + value.len();
                let checked = limits
                    .check_name(name)
                    .and_then(|()| limits.check_value(value))
                    .and_then(|()| limits.check_count(allowed.len() + 1))
                    .and_then(|()| Limits::check_total(bytes + more));
                match checked {
                    Ok(()) => {
                        bytes += more;
                        allowed.push((*name, *value));
                    }
                    Err(violation) => broken.push(violation),
                }
            }
        }
        // Without the lock: the receiver of the report may set this info.
        for violation in broken {
            if self.counts.reject(rejection(violation.reason)) {
                let refused = violation.in_family(&self.descriptor.name);
                report(format!("{refused}; it is left out of the info"));
            }
        }
        allowed
    }

    pub(crate) fn stats(&self) -> FamilyStats {
        FamilyStats {
            name: self.descriptor.name.clone(),
            series: usize::from(self.labels().is_some()),
            limit: 1,
            has_labels: false,
            rejected: self.counts.rejected().collect(),
            refused: Vec::new(),
        }
    }

    fn labels(&self) -> MutexGuard<'_, Option<PackedLabels>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the reason by which a fact is counted that is left out.
fn rejection(reason: Refusal) -> Rejection {
    match reason {
        Refusal::ForbiddenLabel => Rejection::ForbiddenLabel,
        Refusal::TooManyLabels => Rejection::TooManyLabels,
        Refusal::ValueTooLong => Rejection::ValueTooLong,
        // No other check is made of facts.
        _ => Rejection::InvalidLabel,
    }
}

impl FamilyView for Facts {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor.clone()
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let labels = self.labels().clone();
        if let Some(labels) = labels {
            show(&Point::new(0, labels.inline(), Value::Info));
        }
        None
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
