//! The comparison of captured telemetry with an expected text.

mod text;
mod line;
mod metrics;
mod records;
mod expected;
mod diff;
mod mismatch;

pub use self::mismatch::Mismatch;

use self::diff::Change;
use self::expected::Expected;
use self::line::Line;
use super::capture::Capture;

impl Capture {
    /// Shows the times of spans and log records: `at=`, the seconds since the clock was set, and the
    /// `duration=` of spans that have ended. Without this they are left out.
    #[must_use]
    pub fn with_times(mut self) -> Self {
        self.recorder.with_times = true;
        self
    }

    /// Shows the ids of spans and log records: `trace_id=`, `span_id=` and `parent_id=`. Without this they
    /// are left out, because they are random.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// use barograph::{assert_telemetry, current};
    /// use barograph::context::TraceContext;
    ///
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let caller = TraceContext::parse_traceparent(header)?;
    /// let capture = Capture::new().with_ids();
    /// capture.run(|| {
    ///     let _caller = current::enter(caller);
    ///     tracing::info_span!("charge").in_scope(|| ());
    /// });
    /// assert_telemetry!(capture, "
    ///     span charge internal trace_id=0af7651916cd43dd8448eb211c80319c span_id=* parent_id=b7ad6b7169203331 {}
    /// ");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.recorder.with_ids = true;
        self
    }

    /// Returns all telemetry that was captured, in the [format](super) that
    /// [`assert_telemetry!`](crate::assert_telemetry!) compares: one item per line.
    pub fn telemetry(&self) -> String {
        let lines = self.lines();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Compares all telemetry that was captured with a text in the [format](super) of
    /// [`assert_telemetry!`](crate::assert_telemetry!).
    ///
    /// # Errors
    /// [`Mismatch`], with the difference, if they differ.
    pub fn check(&self, expected: &str) -> Result<(), Mismatch> {
        let changes = diff::diff(&Expected::lines(expected), &self.lines());
        let is_same = |change: &Change| matches!(change, Change::Same(_));
        match changes.iter().all(is_same) {
            true => Ok(()),
            false => Err(Mismatch { changes }),
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = metrics::lines(self.registry());
        lines.extend(records::lines(&self.recorder));
        lines
    }
}

/// Asserts that the telemetry in a [`Capture`](crate::testing::Capture) is what a text says, one item per
/// line: `assert_telemetry!(capture, "counter orders{} 1")`.
///
/// The format of the text is described in [`testing`](crate::testing). The indentation that all its lines
/// have is removed.
///
/// ```
/// use barograph::testing::Capture;
/// use barograph::{assert_telemetry, counter};
///
/// let capture = Capture::new();
/// capture.run(|| {
///     let span = tracing::info_span!("charge", order.id = 7);
///     span.in_scope(|| tracing::error!(target: "shop", order = 7, "card refused"));
///     counter!("orders", kind = "web").inc();
/// });
/// assert_telemetry!(capture, r#"
///     counter orders{kind="web"} 1
///     span charge internal error="" {order.id=7}
///       log ERROR shop "card refused" {order=7}
/// "#);
/// ```
///
/// # Panics
/// If they differ. The message shows the difference, line by line, and the place is that of the macro.
#[macro_export]
macro_rules! assert_telemetry {
    ($capture:expr, $expected:expr $(,)?) => {
        if let ::core::result::Result::Err(mismatch) = ($capture).check($expected) {
            ::core::panic!("{mismatch}");
        }
    };
}
