//! Interceptors: custom code that runs before and after every operation.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use barograph_core::report;
use barograph_model::span::SpanKind;
use tracing::Span;

use super::attribute::Attribute;

/// A callback before and after every operation.
///
/// Both methods run on the thread of the operation, inside its span, and must not block. If one panics,
/// the panic is counted in [`Chain::panics`] and affects neither the operation nor other interceptors.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use std::time::Duration;
/// use barograph::observe::{Call, Ended, Interceptor};
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
    /// Called when the operation begins.
    fn before(&self, call: &Call<'_>) {
        let _ = call;
    }

    /// Called when the operation has ended.
    fn after(&self, call: &Call<'_>, ended: &Ended<'_>, duration: Duration) {
        let _ = (call, ended, duration);
    }
}

/// An operation, as interceptors see it.
#[non_exhaustive]
pub struct Call<'a> {
    /// The part of the program that the operation belongs to.
    pub service: &'a str,
    /// The name of the operation.
    pub name: &'a str,
    /// The kind of its span.
    pub kind: SpanKind,
    /// Its span, disabled if no subscriber is interested in it.
    pub span: &'a Span,
    /// The attributes that were set when it began.
    pub attributes: &'a [Attribute<'a>],
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?}, {:?})", self.service, self.name)
    }
}

/// The way in which an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended<'a> {
    /// It succeeded.
    Completed,
    /// It returned an error.
    Failed {
        /// The type of the error, or a code.
        error_type: &'a str,
    },
    /// It was dropped before it finished.
    Canceled,
    /// It panicked; the panic continues to unwind.
    Panicked,
}

impl<'a> Ended<'a> {
    /// Returns the value of `error.type`, or none if the operation succeeded.
    pub fn error_type(&self) -> Option<&'a str> {
        match *self {
            Ended::Completed => None,
            Ended::Failed { error_type } => Some(error_type),
            Ended::Canceled => Some("cancelled"),
            Ended::Panicked => Some("panic"),
        }
    }
}

/// An ordered list of interceptors. Clones share them.
///
/// They are called in this order at the beginning and in reverse order at the end, like nested layers.
/// [`install`](Self::install) applies a chain to all operations of the process;
/// [`Observer::with_chain`](super::Observer::with_chain) applies it to those of one observer.
#[derive(Clone, Default)]
pub struct Chain {
    all: Vec<Arc<dyn Interceptor>>,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    panics: AtomicU64,
    reported: AtomicBool,
}

static INSTALLED: OnceLock<Chain> = OnceLock::new();

impl Chain {
    /// Returns a chain without interceptors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the installed chain, if there is one.
    #[inline]
    pub fn installed() -> Option<&'static Chain> {
        INSTALLED.get()
    }

    /// Adds an interceptor inside the existing ones.
    pub fn with(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.all.push(Arc::new(interceptor));
        self
    }

    /// Installs the chain for all operations of the process without an observer.
    ///
    /// # Errors
    /// Returns [`ChainInstalled`] if a chain is installed already. That one stays.
    pub fn install(self) -> Result<(), ChainInstalled> {
        INSTALLED.set(self).map_err(|_| ChainInstalled)
    }

    /// Returns the number of panics of its interceptors.
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
        if !self.faults.reported.swap(true, Ordering::Relaxed) {
            report::report(
                "an interceptor panicked; the operation continues without it".to_owned(),
            );
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {}", self.all.len())
    }
}

/// The error for a second installed chain; the first one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainInstalled;

impl fmt::Display for ChainInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chain of interceptors is installed already, expected only one")
    }
}

impl std::error::Error for ChainInstalled {}
