//! Pages of all sources of the process, with self metrics about each scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_encode::prometheus::{self, Config, Exposition, Negotiated};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use bytes::Bytes;

use crate::self_metrics::{Outcome, SelfMetrics};

/// A renderer of pages. Clones share the same sources.
///
/// For a route in the service's own app; `/metrics` on the admin port does not need it.
#[derive(Clone)]
pub struct Pages {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    exposition: Exposition,
    own: Arc<SelfMetrics>,
}

/// A rendered page with its content type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The value of the `Content-Type` header. Prometheus 3 fails a scrape without it.
    pub content_type: String,
    /// The text.
    pub body: String,
}

impl Pages {
    pub(crate) fn new(
        config: Config,
        resource: &Resource,
        sources: Vec<Arc<dyn Source>>,
        own: Arc<SelfMetrics>,
    ) -> Self {
        let sources = sources
            .into_iter()
            .chain([Arc::clone(&own) as Arc<dyn Source>]);
        let exposition = Exposition::new(config.clone(), resource, sources);
        Pages {
            inner: Arc::new(Inner {
                config,
                exposition,
                own,
            }),
        }
    }

    /// Returns a renderer of empty pages.
    pub(crate) fn empty() -> Self {
        let own = Arc::new(SelfMetrics::new(Vec::new()));
        let exposition = Exposition::new(Config::new(), &Resource::new(), []);
        Pages {
            inner: Arc::new(Inner {
                config: Config::new(),
                exposition,
                own,
            }),
        }
    }

    /// Renders the page in the format that this `Accept` header selects.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// let capture = Capture::new();
    /// capture.registry().counter("orders").build()?.inc();
    /// let page = capture.pages().render(Some("application/openmetrics-text; version=1.0.0"));
    /// assert!(page.content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    /// assert!(page.body.contains("orders_total 1\n"));
    /// assert!(page.body.ends_with("# EOF\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, accept: Option<&str>) -> Page {
        let negotiated = self.negotiate(accept, None);
        let mut body = Vec::new();
        for chunk in self.scrape(negotiated) {
            body.extend_from_slice(&chunk);
        }
        Page {
            content_type: negotiated.content_type(),
            body: String::from_utf8(body)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }

    pub(crate) fn negotiate(&self, accept: Option<&str>, encoding: Option<&str>) -> Negotiated {
        prometheus::negotiate(accept, encoding, &self.inner.config)
    }

    /// Begins a page. Callbacks run here, and may be slow.
    pub(crate) fn scrape(&self, negotiated: Negotiated) -> Scrape {
        let began = Instant::now();
        let page = self.inner.exposition.page(negotiated);
        Scrape {
            page,
            own: Arc::clone(&self.inner.own),
            spent: began.elapsed(),
            bytes: 0,
            outcome: Outcome::Cut,
        }
    }

    /// Returns the self metrics.
    #[cfg(feature = "axum")]
    pub(crate) fn own(&self) -> Arc<SelfMetrics> {
        Arc::clone(&self.inner.own)
    }

    /// Counts a reader that was refused because the server was busy.
    pub(crate) fn busy(&self) {
        self.inner.own.busy();
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Page {
    fn into_response(self) -> axum::response::Response {
        let content_type = (http::header::CONTENT_TYPE, self.content_type);
        ([content_type], self.body).into_response()
    }
}

/// The chunks of one page, counted when the page is complete or dropped.
pub(crate) struct Scrape {
    page: prometheus::Page,
    own: Arc<SelfMetrics>,
    spent: Duration,
    bytes: u64,
    outcome: Outcome,
}

impl Iterator for Scrape {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let began = Instant::now();
        let chunk = self.page.next();
        self.spent += began.elapsed();
        match &chunk {
            Some(chunk) => self.bytes += chunk.len() as u64,
            None => self.outcome = Outcome::Complete,
        }
        chunk
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        let report = self.page.report();
        self.own
            .scraped(self.outcome, self.spent, self.bytes, report);
    }
}
