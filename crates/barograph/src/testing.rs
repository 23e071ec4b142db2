//! Telemetry for tests: no port, no globals, nothing shared between two tests.

use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_encode::prometheus;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::page::Pages;
use crate::self_metrics::SelfMetrics;

/// A registry and its pages.
///
/// ```
/// use barograph::testing::Capture;
/// let capture = Capture::new();
/// let orders = capture.registry().counter("orders").labels(["kind"])?;
/// orders.with(&["web"]).inc();
/// assert_eq!(capture.value("orders", &[("kind", "web")]), Some(1.0));
/// assert!(capture.text().contains("orders_total{kind=\"web\"} 1\n"));
/// # Ok::<(), barograph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Capture {
    registry: Capturing,
    pages: Pages,
}

/// A registry whose `Debug` prints its type only.
#[derive(Clone)]
struct Capturing(Registry);

impl std::fmt::Debug for Capturing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Capture {
    /// Creates a new registry and its pages.
    pub fn new() -> Self {
        Self::of(Registry::new())
    }

    /// Captures this registry, which may have custom limits or prefixes.
    pub fn of(registry: Registry) -> Self {
        let own = SelfMetrics::new(vec![("default".into(), registry.clone())]);
        let source: Arc<dyn Source> = Arc::new(registry.clone());
        let config = prometheus::Config::new();
        let pages = Pages::new(config, &Resource::new(), vec![source], Arc::new(own));
        Capture {
            registry: Capturing(registry),
            pages,
        }
    }

    /// Returns the registry, in which the code under test records.
    pub fn registry(&self) -> &Registry {
        &self.registry.0
    }

    /// Returns the current value of one series; of a histogram, its count.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.registry.0.value(name, labels)
    }

    /// Renders the page as text 0.0.4, as a scraper gets it.
    pub fn text(&self) -> String {
        self.pages.page(None).body
    }

    /// Returns the renderer of the pages.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}
