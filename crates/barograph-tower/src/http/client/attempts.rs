//! Counts the attempts to send a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the attempts to send a request, for `http.request.resend_count`. Clones share the count.
///
/// Put it into the extensions of a request outside of the layer that retries, which copies it into each
/// attempt.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tower::http::client as layers;
/// # }
/// use barograph::layers::Attempts;
/// let request = http::Request::get("http://shop.example/")
///     .extension(Attempts::default())
///     .body(())?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Counts one more attempt. Returns the number of earlier ones.
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
