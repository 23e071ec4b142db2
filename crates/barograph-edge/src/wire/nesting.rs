//! Notices a layer around a service inside of which is another one of its kind.
//!
//! The same request must not be counted twice, and no other request may be taken for it. So a layer
//! marks a request that it records among its extensions, which stay with the request whatever is done
//! to its parts and whichever task it is moved to. A request that a handler or a middleware makes has
//! extensions of its own.
//!
//! That allocates memory for each request. Telling requests by where their texts are in memory would
//! not, but clones of a header or a path share that, and a layer would leave out a request of its own.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::registry::Registry;
use barograph_core::report;
use http::Extensions;

/// Says that a layer of the kind `K` records a request.
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

/// What a layer knows about others of its kind.
pub(crate) struct Layers {
    registry: usize,
    told: AtomicBool,
}

/// The request is recorded by an outer layer.
pub(crate) struct Nested;

impl Layers {
    pub(crate) fn new(registry: &Registry) -> Self {
        Layers {
            registry: registry.address(),
            told: AtomicBool::new(false),
        }
    }

    /// Marks a request as recorded by a layer of the kind `K`, unless an outer one records it into the
    /// same registry. That is reported once.
    pub(crate) fn mark<K: 'static>(&self, extensions: &mut Extensions) -> Result<(), Nested> {
        let outer = extensions.get::<Recorded<K>>();
        if outer.is_none_or(|outer| outer.registry != self.registry) {
            extensions.insert(Recorded::<K> {
                registry: self.registry,
                kind: PhantomData,
            });
            return Ok(());
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            report::report(
                "requests pass two layers that record into the same registry: \
                 the inner one leaves them to the outer one"
                    .to_owned(),
            );
        }
        Err(Nested)
    }

    /// Takes the mark away, where extensions are used for more than one request.
    #[cfg(feature = "reqwest-middleware")]
    pub(crate) fn unmark<K: 'static>(extensions: &mut Extensions) {
        extensions.remove::<Recorded<K>>();
    }
}
