//! The trace context that this thread is in.
//!
//! Whoever knows what a thread works on says so with [`enter`]; exemplars, log lines and header
//! injection read it with [`context`]. It belongs to the thread: a task that moves between threads
//! enters at every poll, and spawned tasks inherit nothing.

use std::marker::PhantomData;

use barograph_model::context::TraceContext;

use crate::thread;

/// Makes `context` the current one of this thread until the guard is dropped.
///
/// ```
/// use barograph_core::current;
/// use barograph_model::context::TraceContext;
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let request = TraceContext::parse_traceparent(header)?;
/// {
///     let _guard = current::enter(request);
///     assert_eq!(current::context(), Some(request));
/// }
/// assert_eq!(current::context(), None);
/// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
/// ```
#[must_use = "the context is left when the guard is dropped"]
#[inline]
pub fn enter(context: TraceContext) -> ContextGuard {
    let before = thread::context();
    thread::set_context(Some(context));
    ContextGuard {
        before,
        on_this_thread: PhantomData,
    }
}

/// The current trace context of this thread.
#[inline]
pub fn context() -> Option<TraceContext> {
    thread::context()
}

/// Brings back, when dropped, the context that was current before.
///
/// Guards are dropped in the reverse order of their making. It stays on its thread.
#[derive(Debug)]
pub struct ContextGuard {
    before: Option<TraceContext>,
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    #[inline]
    fn drop(&mut self) {
        thread::set_context(self.before);
    }
}
