//! The format of a page.

/// The format of a page. There are only these two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Prometheus text, 0.0.4 or 1.0.0.
    Text,
    /// OpenMetrics 1.0, and its draft 0.0.1.
    OpenMetrics,
}

impl Dialect {
    /// Returns the format that a `Content-Type` names; `None` if it is neither of the two, such as the
    /// protobuf format.
    ///
    /// ```
    /// use barograph_encode::prometheus::parse::Dialect;
    /// let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    /// assert_eq!(Dialect::from_content_type(kind), Some(Dialect::OpenMetrics));
    /// ```
    pub fn from_content_type(value: &str) -> Option<Self> {
        let kind = value.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "text/plain" => Some(Dialect::Text),
            "application/openmetrics-text" => Some(Dialect::OpenMetrics),
            _ => None,
        }
    }

    /// Returns the format that a page seems to have: only OpenMetrics has a last line `# EOF`, and lines
    /// that begin with `# UNIT`.
    pub fn from_content(page: &[u8]) -> Self {
        let mut lines = page.split(|byte| *byte == b'\n');
        let is_its_own =
            |line: &[u8]| line.trim_ascii_end() == b"# EOF" || line.starts_with(b"# UNIT ");
        match lines.any(is_its_own) {
            true => Dialect::OpenMetrics,
            false => Dialect::Text,
        }
    }

    /// Returns its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Text => "Prometheus text",
            Dialect::OpenMetrics => "OpenMetrics",
        }
    }
}
