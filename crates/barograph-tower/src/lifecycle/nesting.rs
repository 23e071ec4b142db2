//! Detects nested layers of the same kind.
//!
//! A request must not be counted twice, and no other request may be mistaken for it. So a layer marks a
//! request that it records in the request's extensions, which stay with it when its parts are changed
//! and when it moves to another task. A request that a handler or a middleware creates has its own
//! extensions.
//!
//! The mark allocates memory for each request. Identifying requests by the addresses of their strings
//! would not, but clones of a header or a path share them, and a layer would miss such a request.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::registry::Registry;
use barograph_core::report;
use http::Extensions;

/// The mark that a layer of the kind `K` records a request.
struct Recorded<K> {
    registry: usize,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Recorded<K> {
    fn clone(&self) -> Self {
        Recorded {
            registry: self.registry,
            kind: PhantomData,
        }
    }
}

/// Detects other layers of the same kind that record into the same registry.
#[derive(Debug)]
pub struct Layers {
    registry: usize,
    reported: AtomicBool,
}

impl Layers {
    pub(crate) fn new(registry: &Registry) -> Self {
        Layers {
            registry: registry.address(),
            reported: AtomicBool::new(false),
        }
    }

    /// Returns true if an outer layer of the kind `K` records a request into the same registry. That
    /// case is reported once.
    pub(crate) fn is_nested<K: 'static>(&self, extensions: &Extensions) -> bool {
        let outer = extensions.get::<Recorded<K>>();
        if outer.is_none_or(|outer| outer.registry != self.registry) {
            return false;
        }
        if !self.reported.swap(true, Ordering::Relaxed) {
            report::report(
                "requests pass two layers that record into the same registry: \
                 the inner one leaves them to the outer one"
                    .to_owned(),
            );
        }
        true
    }

    /// Marks a request as recorded by a layer of the kind `K`.
    pub(crate) fn mark<K: 'static>(&self, extensions: &mut Extensions) {
        extensions.insert(Recorded::<K> {
            registry: self.registry,
            kind: PhantomData,
        });
    }

    /// Removes the mark, if extensions are used for more than one request.
    #[cfg(feature = "reqwest-middleware")]
    pub(crate) fn unmark<K: 'static>(extensions: &mut Extensions) {
        extensions.remove::<Recorded<K>>();
    }
}
