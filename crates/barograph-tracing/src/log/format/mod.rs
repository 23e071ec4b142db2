//! The formats of log lines.

mod unique;
mod value;
mod span;
mod json;
mod pretty;

use barograph_model::context::TraceContext;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::span::Spans;
pub(super) use self::span::note;
pub(super) use self::value::MOST_CAUSES;
use self::value::Style;
use super::line::Line;
use super::origin::Origin;
use crate::filter::Filter;
use crate::redact::Redaction;

/// The name of the field with the message, which is the first field of this name.
const MESSAGE: &str = "message";

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A line for people: time, level, target, message, fields, spans with their fields, ids.
    ///
    /// A span is shown with the name in its `otel.name`, if it has one; its fields with a dot in
    /// their name, which are those of the semantic conventions, are left to the trace.
    ///
    /// ```text
    /// 2026-09-12T10:11:12.123456Z  INFO shop::orders: taken id=7 in request{method=GET} trace_id=… span_id=…
    /// ```
    Pretty(Colors),
    /// One flat JSON object per line, for machines.
    ///
    /// The members are `timestamp`, `severity`, `target`; inside of a span `trace_id`, `span_id`
    /// and `trace_flags`; `message` and the fields of the event, by their names; and `spans` from
    /// the outermost one on, each with its `name` and fields. A field with one of these names is
    /// called `fields.NAME`, and so is a second field `message`. Of several fields with the same
    /// name the last one is kept. Numbers are JSON numbers. A truncated line has `"cut":true`.
    ///
    /// Source: OpenTelemetry 1.60, "Trace Context in non-OTLP Log Formats", for the names of the ids.
    Json,
}

/// The use of colors in a line. The service decides, for example by the terminal and `NO_COLOR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colors {
    /// No escape sequences.
    #[default]
    Off,
    /// The usual colors of levels; less important parts are dim.
    On,
}

impl Format {
    fn style(self) -> Style {
        match self {
            Format::Pretty(_) => Style::Pretty,
            Format::Json => Style::Json,
        }
    }

    /// Writes the line of an event, including its line end.
    #[inline]
    pub(super) fn write<S>(self, line: &mut Line, scene: &EventContext<'_>, layers: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let spans = || Spans::new(layers.event_span(scene.event), scene);
        match self {
            Format::Pretty(colors) => pretty::write(line, scene, &spans(), colors),
            Format::Json => json::write(line, scene, &spans()),
        }
        line.form("\n");
    }

    /// Writes a line of this library itself.
    pub(super) fn write_notice(self, line: &mut Line, notice: &Notice<'_>) {
        match self {
            Format::Pretty(colors) => pretty::write_notice(line, notice, colors),
            Format::Json => json::write_notice(line, notice),
        }
        line.form("\n");
    }
}

/// The context of an event for a line.
pub(super) struct EventContext<'a> {
    pub(super) unix_nanos: u64,
    pub(super) event: &'a Event<'a>,
    pub(super) origin: &'a Origin<'a>,
    pub(super) context: Option<TraceContext>,
    pub(super) redaction: &'a Redaction,
    /// The number of similar lines that the rate limit dropped before it.
    pub(super) suppressed: u64,
    /// The owner of the notes on spans that are read.
    pub(super) owner: usize,
    /// The filter of the spans that are shown.
    pub(super) filter: Option<&'a Filter>,
}

/// A line of this library itself.
pub(super) struct Notice<'a> {
    pub(super) unix_nanos: u64,
    pub(super) target: &'a str,
    pub(super) message: std::fmt::Arguments<'a>,
    /// The number of lines that it represents.
    pub(super) suppressed: u64,
}
