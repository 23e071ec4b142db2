//! The readiness of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The readiness of the service, which `/ready` answers. Clones share it.
///
/// A service is ready from its start. One with slow preparations sets it to not ready meanwhile.
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

    /// Sets whether the service is ready. While it is not, `/ready` answers 503.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Returns true if the service is ready.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
