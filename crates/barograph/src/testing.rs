//! Telemetry for tests: no port, no globals, nothing shared between two tests.

use std::ffi::OsString;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_encode::prometheus;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::builder::TelemetryBuilder;
use crate::page::Pages;
use crate::self_metrics::SelfMetrics;

/// A registry and its pages.
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
#[derive(Clone, Debug)]
pub struct Capture {
    registry: Registry,
    pages: Pages,
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
        Capture { registry, pages }
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

/// Configures a [`TelemetryBuilder`] for a test.
pub trait TestBuilder: Sized {
    /// Looks variables up with this function instead of in the environment of the process.
    ///
    /// ```
    /// use barograph::Telemetry;
    /// use barograph::testing::TestBuilder as _;
    /// let telemetry = Telemetry::builder("shop")
    ///     .with_environment(|name| (name == "OTEL_SERVICE_NAME").then(|| "orders".to_owned()))
    ///     .without_listener()
    ///     .start()?;
    /// assert_eq!(telemetry.resource().value("service.name"), Some("orders"));
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    #[must_use]
    fn with_environment(
        self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self;
}

impl TestBuilder for TelemetryBuilder {
    fn with_environment(
        mut self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.lookup = Box::new(move |name| lookup(name).map(OsString::from));
        self
    }
}
