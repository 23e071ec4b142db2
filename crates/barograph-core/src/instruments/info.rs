//! Info metrics: facts as labels.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use barograph_model::descriptor::Descriptor;
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::{FamilyView, Point, Value};

use crate::labels::key::Key;

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
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Info {
            facts: Arc::new(Facts {
                descriptor: Arc::new(descriptor),
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
    pub fn set(&self, facts: &[(&str, &str)]) {
        let mut labels = PackedLabels::default();
        facts.render(&mut labels);
        *self.labels() = Some(labels);
    }

    fn labels(&self) -> std::sync::MutexGuard<'_, Option<PackedLabels>> {
        let labels = &self.facts.labels;
        labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FamilyView for Facts {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor.clone()
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let labels = self
            .labels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(labels) = labels {
            show(&Point::new(0, labels.inline(), Value::Info));
        }
        None
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
