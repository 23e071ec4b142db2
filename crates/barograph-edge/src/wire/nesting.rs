//! Notices a layer around a service inside of which is another one of its kind.
//!
//! The same request must not be counted twice. What an outer layer records while a thread works on it
//! is noted in that thread; a layer that gets the same request for the same registry meanwhile is an
//! inner one. A request keeps its identity by where its texts are in memory, which is the same
//! wherever it is moved to. A mark among its extensions would say it as well, but to put one there
//! allocates memory for each request.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::LocalKey;

use barograph_core::registry::Registry;
use barograph_core::report;
use http::request::Parts;

/// The request that this thread works on, recorded by a layer of one kind.
pub(crate) struct Outer(Cell<Mark>);

impl Outer {
    pub(crate) const fn none() -> Self {
        Outer(Cell::new(Mark::NONE))
    }
}

/// A request and where it is recorded.
#[derive(Clone, Copy, PartialEq)]
struct Mark {
    registry: usize,
    request: usize,
}

impl Mark {
    const NONE: Mark = Mark {
        registry: 0,
        request: 0,
    };
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

    /// Looks whether an outer layer records this request, which is reported once.
    pub(crate) fn look(
        &self,
        outer: &'static LocalKey<Outer>,
        request: &Parts,
    ) -> Result<Nesting, Nested> {
        self.look_for(outer, identity(request))
    }

    /// The same for a request that is told by a text of its own.
    pub(crate) fn look_for(
        &self,
        outer: &'static LocalKey<Outer>,
        request: &[u8],
    ) -> Result<Nesting, Nested> {
        let mark = Mark {
            registry: self.registry,
            request: request.as_ptr().addr(),
        };
        if outer.with(|outer| outer.0.get()) != mark {
            return Ok(Nesting { outer, mark });
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
}

/// Has inner layers notice that a request is recorded.
pub(crate) struct Nesting {
    outer: &'static LocalKey<Outer>,
    mark: Mark,
}

impl Nesting {
    /// Notes that this thread works on the request, until the guard is dropped.
    pub(crate) fn enter(&self) -> Working {
        Working {
            outer: self.outer,
            before: self.outer.with(|outer| outer.0.replace(self.mark)),
        }
    }
}

/// This thread works on a request.
pub(crate) struct Working {
    outer: &'static LocalKey<Outer>,
    before: Mark,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.outer.with(|outer| outer.0.set(self.before));
    }
}

/// A text of a request that stays where it is in memory.
///
/// Routers and middleware may shorten the path and add headers, and move none of these.
fn identity(request: &Parts) -> &[u8] {
    if let Some(authority) = request.uri.authority() {
        return authority.as_str().as_bytes();
    }
    let mut values = request.headers.values();
    match values.find(|value| !value.is_empty()) {
        Some(value) => value.as_bytes(),
        None => request.uri.path().as_bytes(),
    }
}
