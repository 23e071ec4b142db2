//! The parts of a [`TelemetryBuilder`] that only tests need.

use std::ffi::OsString;

use crate::builder::TelemetryBuilder;

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
