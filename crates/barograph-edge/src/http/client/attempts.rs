//! Counts how often a request was tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the tries of a request, for `http.request.resend_count`. Clones share the count.
///
/// It goes into the extensions of a request before whatever tries it again, which takes it along
/// into each try.
///
/// ```
/// use barograph_edge::http::client::Attempts;
/// let request = http::Request::get("http://shop.example/")
///     .extension(Attempts::default())
///     .body(())?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Counts one more. Returns how many there were before.
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
