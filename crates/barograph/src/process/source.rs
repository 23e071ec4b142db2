//! The source of the process metrics.

use std::fmt;
use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::snapshot::{FamilyView, Source};

use super::family::{FAMILIES, Reading, Single, descriptors};

/// A source of the metrics of this process, which are read when they are collected.
#[derive(Clone)]
pub(crate) struct ProcessSource {
    descriptors: Arc<[Arc<Descriptor>]>,
}

impl ProcessSource {
    /// Creates a source for this process.
    pub(crate) fn new() -> Self {
        ProcessSource {
            descriptors: descriptors().into(),
        }
    }
}

impl Default for ProcessSource {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for ProcessSource {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        let reading = read();
        let start = reading.start_seconds.map(|start| (start * 1e9) as u64);
        let mut families: Vec<Arc<dyn FamilyView>> = Vec::new();
        for ((.., field), descriptor) in FAMILIES.iter().zip(&*self.descriptors) {
            if let Some(value) = field(&reading) {
                families.push(Arc::new(Single {
                    descriptor: descriptor.clone(),
                    value,
                    start_unix_nano: start.filter(|_| descriptor.kind == Kind::Counter),
                }));
            }
        }
        families
    }
}

#[cfg(target_os = "linux")]
fn read() -> Reading {
    super::linux::read()
}

/// Returns an empty reading, because process metrics are not implemented for this system.
#[cfg(not(target_os = "linux"))]
fn read() -> Reading {
    Reading::default()
}

impl fmt::Debug for ProcessSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSource").finish_non_exhaustive()
    }
}
