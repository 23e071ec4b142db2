//! A registry with its pages, and all that records of the code that runs in it.

use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_encode::prometheus;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

#[cfg(feature = "test-util")]
use super::recording::Recorder;
use crate::page::Pages;
use crate::self_metrics::SelfMetrics;

/// The telemetry of a test: a registry and its pages, and with the feature `test-util` the metrics,
/// spans and log records of the code that runs in it.
///
/// ```
/// use barograph::testing::Capture;
/// let capture = Capture::new();
/// let orders = capture.registry().counter("orders").build_with_label_names(["kind"])?;
/// orders.with(&["web"]).inc();
/// assert_eq!(capture.value("orders", &[("kind", "web")]), Some(1.0));
/// assert!(capture.text().contains("orders_total{kind=\"web\"} 1\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones capture into the same registry and the same records. A capture that has run code is never
/// freed, because the callsites of macros keep their instruments: that is some kilobytes for each.
#[derive(Clone, Debug)]
pub struct Capture {
    registry: Registry,
    pages: Pages,
    #[cfg(feature = "test-util")]
    pub(super) recorder: Recorder,
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
            registry,
            pages,
            #[cfg(feature = "test-util")]
            recorder: Recorder::default(),
        }
    }

    /// Returns the registry, in which the code under test records.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the current value of one series; of a histogram, its count.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.registry.value(name, labels)
    }

    /// Renders the page as text 0.0.4, as a scraper gets it.
    pub fn text(&self) -> String {
        self.pages.render(None).body
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
