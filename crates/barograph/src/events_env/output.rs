//! What is printed and how, and which spans and log records there are.

use crate::env::Environment;

/// What is said about the terminal, and about what is let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Which lines are printed: directives such as `info,sqlx=warn`.
    pub(crate) lines: Option<String>,
    /// Which spans there are: directives.
    pub(crate) spans: Option<String>,
    /// Which log records are pushed: directives.
    pub(crate) records: Option<String>,
    pub(crate) format: Option<Format>,
    /// Whether colors are unwanted, whoever reads.
    pub(crate) is_plain: bool,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Pretty,
    /// For machines.
    Json,
    /// For machines that know the shape of `tracing-subscriber`.
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
            // Whatever it says (no-color.org).
            is_plain: environment.is_set("NO_COLOR"),
        }
    }
}
