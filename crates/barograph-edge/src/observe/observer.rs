//! Where operations are recorded, and who is told of them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use barograph_core::registry::Registry;

use super::chain::Chain;
use super::instruments::Instruments;

/// Where operations are recorded, and who is told of them. Clones share both.
///
/// Operations need none: without one they are recorded in the registry of the process and go through
/// the chain that is [installed](Chain::install). One of your own is for tests, and for parts of a
/// program that have a registry of their own.
///
/// ```
/// use barograph_core::registry::Registry;
/// use barograph_edge::observe::{Observer, Operation};
///
/// let registry = Registry::new();
/// let observer = Observer::new(&registry);
/// Operation::new("Cellar", "tidy").with_observer(&observer).run_sync(|| ());
/// let labels = [("operation.service", "Cellar"), ("operation.name", "tidy")];
/// assert_eq!(registry.value("operation.duration", &labels), Some(1.0));
/// ```
#[derive(Clone)]
pub struct Observer {
    instruments: Arc<Instruments>,
    chain: Option<Chain>,
}

impl Observer {
    /// Records into this registry, and tells nobody.
    pub fn new(registry: &Registry) -> Self {
        Observer {
            instruments: Arc::new(Instruments::new(registry)),
            chain: None,
        }
    }

    /// Tells the interceptors of this chain.
    pub fn with_chain(mut self, chain: &Chain) -> Self {
        self.chain = Some(chain.clone());
        self
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// The observer of an operation: one of its own, or that of the process.
#[derive(Clone, Default)]
pub(super) struct Chosen(pub(super) Option<Observer>);

impl Chosen {
    #[inline]
    pub(super) fn instruments(&self) -> &Instruments {
        match &self.0 {
            None => of_the_process(),
            Some(observer) => &observer.instruments,
        }
    }

    #[inline]
    pub(super) fn chain(&self) -> Option<&Chain> {
        match &self.0 {
            None => Chain::installed(),
            Some(observer) => observer.chain.as_ref(),
        }
    }

    #[inline]
    pub(super) fn is_of_the_process(&self) -> bool {
        self.0.is_none()
    }
}

fn of_the_process() -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    INSTRUMENTS.get_or_init(|| Instruments::new(Registry::global()))
}
