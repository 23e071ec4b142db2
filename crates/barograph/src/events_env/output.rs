//! The log lines that are printed, and the filters of lines, spans and log records.

use crate::env::Environment;

/// The settings of log lines, and the filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// The filter of printed lines: directives such as `info,sqlx=warn`.
    pub(crate) lines: Option<String>,
    /// The filter of spans: directives.
    pub(crate) spans: Option<String>,
    /// The filter of pushed log records: directives.
    pub(crate) records: Option<String>,
    pub(crate) format: Option<Format>,
    /// True if colors are disabled.
    pub(crate) is_plain: bool,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Pretty,
    /// JSON.
    Json,
    /// JSON in the shape of `tracing-subscriber`.
    TracingJson,
}

pub(crate) const LINES: &str = "RUST_LOG";
pub(crate) const SPANS: &str = "BAROGRAPH_SPANS";
pub(crate) const RECORDS: &str = "BAROGRAPH_LOGS";
pub(crate) const FORMAT: &str = "BAROGRAPH_LOG_FORMAT";

impl Output {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let choices = [
            ("pretty", Format::Pretty),
            ("json", Format::Json),
            ("tracing_json", Format::TracingJson),
        ];
        Output {
            lines: environment.text(LINES),
            spans: environment.text(SPANS),
            records: environment.text(RECORDS),
            format: environment.choice(FORMAT, "pretty, json or tracing_json", &choices),
            // Any value counts (no-color.org).
            is_plain: environment.is_set("NO_COLOR"),
        }
    }
}
