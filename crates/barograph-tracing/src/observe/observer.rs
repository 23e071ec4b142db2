//! The destination of operations: a registry and a chain of interceptors.

use std::fmt;
use std::sync::{Arc, OnceLock};

use barograph_core::registry::{self, Registry};
use tracing::level_filters::LevelFilter;

use super::chain::Chain;
use super::instruments::Instruments;

/// The registry and the interceptors of operations. Clones share both.
///
/// An operation does not need one: without an observer it is recorded in the global registry and passes
/// through the [installed](Chain::install) chain. A custom observer is for tests, and for parts of a
/// program that have their own registry.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph_core::registry::Registry;
/// use barograph::observe::{Observer, Operation};
///
/// let registry = Registry::new();
/// let observer = Observer::new(&registry);
/// Operation::new("Cellar", "tidy").with_observer(&observer).run_sync(|| ());
/// let labels = [("operation.service", "Cellar"), ("operation.name", "tidy")];
/// assert_eq!(registry.value("operation.duration", &labels), Some(1.0));
/// ```
#[derive(Clone)]
pub struct Observer(Arc<Inner>);

/// Behind one pointer, because every operation carries it.
struct Inner {
    instruments: Arc<Instruments>,
    chain: Option<Chain>,
}

impl Observer {
    /// Creates an observer that records into this registry, without interceptors.
    pub fn new(registry: &Registry) -> Self {
        Observer(Arc::new(Inner {
            instruments: Arc::new(Instruments::new(registry)),
            chain: None,
        }))
    }

    /// Calls the interceptors of this chain.
    pub fn with_chain(self, chain: &Chain) -> Self {
        Observer(Arc::new(Inner {
            instruments: self.0.instruments.clone(),
            chain: Some(chain.clone()),
        }))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// The observer of an operation: a custom one, or that of the process.
#[derive(Clone, Default)]
pub(super) struct ObserverRef(pub(super) Option<Observer>);

impl ObserverRef {
    #[inline]
    pub(super) fn instruments(&self) -> &Instruments {
        match &self.0 {
            None => of_the_process(),
            Some(observer) => &observer.0.instruments,
        }
    }

    #[inline]
    pub(super) fn chain(&self) -> Option<&Chain> {
        match &self.0 {
            None => Chain::installed(),
            Some(observer) => observer.0.chain.as_ref(),
        }
    }

    /// Returns true if no operation is observed: the registry is disabled, and there are no
    /// interceptors and no subscriber.
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        self.instruments().is_off()
            && self.chain().is_none()
            && LevelFilter::current() == LevelFilter::OFF
    }

    #[inline]
    pub(super) fn is_of_the_process(&self) -> bool {
        self.0.is_none()
    }
}

#[inline]
fn of_the_process() -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    registry::get_or_init(&INSTRUMENTS, || Instruments::new(Registry::current()))
}
