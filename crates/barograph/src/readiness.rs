//! Whether the service takes requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the service takes requests: what `/ready` answers. Clones share it.
///
/// A service is ready from its start on. One that has slow preparations to make says so.
///
/// ```
/// let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
/// let readiness = telemetry.readiness();
/// readiness.set(false);
/// // ... fill caches ...
/// readiness.set(true);
/// assert!(telemetry.readiness().is_ready());
/// # Ok::<(), barograph::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn new() -> Self {
        Readiness(Arc::new(AtomicBool::new(true)))
    }

    /// Says whether requests are welcome. While they are not, `/ready` answers 503.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether they are.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
