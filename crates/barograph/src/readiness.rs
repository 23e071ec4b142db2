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
/// readiness.not_ready();
/// // ... fill caches ...
/// readiness.ready();
/// assert!(telemetry.readiness().is_ready());
/// # Ok::<(), barograph::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn new() -> Self {
        Readiness(Arc::new(AtomicBool::new(true)))
    }

    /// Marks the service as ready: `/ready` answers 200.
    pub fn ready(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Marks the service as not ready: `/ready` answers 503.
    pub fn not_ready(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Returns true if the service is ready.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
