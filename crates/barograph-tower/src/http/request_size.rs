//! The size of a request body.

use http::HeaderMap;
use http_body::Body;

use crate::lifecycle::announced;

/// The size of a request body: the bytes that were read, else the announced length.
#[derive(Default)]
pub(super) struct RequestSize {
    announced: Option<u64>,
    #[cfg(feature = "axum")]
    passed: Option<super::axum::Passed>,
}

impl RequestSize {
    /// Takes the announced length, and begins to count the bytes of a body of axum.
    pub(super) fn of<B: Body + 'static>(body: &mut B, headers: &HeaderMap) -> Self {
        RequestSize {
            announced: announced(body, headers),
            #[cfg(feature = "axum")]
            passed: super::axum::count(body),
        }
    }

    /// Returns the size, or none if the length was not announced and the bytes were not counted.
    pub(super) fn get(&self) -> Option<u64> {
        #[cfg(feature = "axum")]
        if let Some(passed) = self.passed.as_ref().and_then(super::axum::Passed::get) {
            return Some(passed);
        }
        self.announced
    }
}
