//! Code of the user's own around every operation.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use barograph_core::report;
use barograph_model::span::SpanKind;
use tracing::Span;

use super::attribute::Attribute;

/// Is told of every operation, before and after it.
///
/// Both run where the operation runs, inside of its span, and must not block. One that panics is
/// counted in [`Chain::panics`] and stops neither the operation nor the others.
///
/// ```
/// use std::time::Duration;
/// use barograph_edge::observe::{Call, Ended, Interceptor};
///
/// struct Slow;
///
/// impl Interceptor for Slow {
///     fn after(&self, call: &Call<'_>, ended: &Ended<'_>, duration: Duration) {
///         if duration > Duration::from_secs(1) {
///             tracing::warn!(service = call.service, name = call.name, "slow: {ended:?}");
///         }
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync {
    /// The operation begins.
    fn before(&self, call: &Call<'_>) {
        let _ = call;
    }

    /// The operation is over.
    fn after(&self, call: &Call<'_>, ended: &Ended<'_>, duration: Duration) {
        let _ = (call, ended, duration);
    }
}

/// An operation, as interceptors see it.
#[non_exhaustive]
pub struct Call<'a> {
    /// The part of the program that it belongs to.
    pub service: &'a str,
    /// What is done.
    pub name: &'a str,
    /// Its place between services.
    pub kind: SpanKind,
    /// Its span, disabled where nobody wants it.
    pub span: &'a Span,
    /// What was said about it when it was called.
    pub attributes: &'a [Attribute<'a>],
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?}, {:?})", self.service, self.name)
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended<'a> {
    /// It went well.
    Completed,
    /// It gave an error.
    Failed {
        /// The type of the error, or a code.
        error_type: &'a str,
    },
    /// It was dropped before it gave anything.
    Canceled,
    /// It panicked, which goes on unwinding.
    Panicked,
}

impl<'a> Ended<'a> {
    /// What `error.type` says, none for what went well.
    pub fn error_type(&self) -> Option<&'a str> {
        match *self {
            Ended::Completed => None,
            Ended::Failed { error_type } => Some(error_type),
            Ended::Canceled => Some("cancelled"),
            Ended::Panicked => Some("panic"),
        }
    }
}

/// Interceptors in order. Clones share them.
///
/// They are told of the beginning in this order and of the end in the reverse, as layers are.
/// [`install`](Self::install) puts a chain around all operations of the process;
/// [`Observer::with_chain`](super::Observer::with_chain) around those of one observer.
#[derive(Clone, Default)]
pub struct Chain {
    all: Vec<Arc<dyn Interceptor>>,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    panics: AtomicU64,
    told: AtomicBool,
}

static INSTALLED: OnceLock<Chain> = OnceLock::new();

impl Chain {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// The chain that is installed, if one is.
    #[inline]
    pub fn installed() -> Option<&'static Chain> {
        INSTALLED.get()
    }

    /// One more, inside of those that are there.
    pub fn with(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.all.push(Arc::new(interceptor));
        self
    }

    /// Puts the chain around all operations of the process that have no observer of their own.
    ///
    /// # Errors
    /// [`ChainInstalled`] when there is one already. It stays.
    pub fn install(self) -> Result<(), ChainInstalled> {
        INSTALLED.set(self).map_err(|_| ChainInstalled)
    }

    /// How often an interceptor of it panicked.
    pub fn panics(&self) -> u64 {
        self.faults.panics.load(Ordering::Relaxed)
    }

    pub(super) fn before(&self, call: &Call<'_>) {
        for interceptor in &self.all {
            self.contain(|| interceptor.before(call));
        }
    }

    pub(super) fn after(&self, call: &Call<'_>, ended: &Ended<'_>, duration: Duration) {
        for interceptor in self.all.iter().rev() {
            self.contain(|| interceptor.after(call, ended, duration));
        }
    }

    fn contain(&self, interceptor: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(interceptor)).is_ok() {
            return;
        }
        self.faults.panics.fetch_add(1, Ordering::Relaxed);
        if !self.faults.told.swap(true, Ordering::Relaxed) {
            report::report("an interceptor panicked; the operation goes on without it".to_owned());
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {}", self.all.len())
    }
}

/// A chain is installed already, and stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainInstalled;

impl fmt::Display for ChainInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chain of interceptors is installed already, expected only one")
    }
}

impl std::error::Error for ChainInstalled {}
