//! How lines look.

mod unique;
mod value;
mod span;
mod json;
mod pretty;
mod subscriber;

use barograph_model::context::TraceContext;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::span::Spans;
pub(super) use self::span::{note_new, note_record};
pub(super) use self::value::MOST_CAUSES;
use self::value::Style;
use super::line::Line;
use super::origin::Origin;
use crate::redact::Redaction;

/// The field that holds the message: the first of this name.
const MESSAGE: &str = "message";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// For people: time, level, target, message, fields, spans with theirs, ids.
    ///
    /// A span is called what its `otel.name` says; its fields with a dot in their name, which are those
    /// of the conventions, are left to the trace.
    ///
    /// ```text
    /// 2026-09-12T10:11:12.123456Z  INFO shop::orders: taken id=7 in request{method=GET} trace_id=… span_id=…
    /// ```
    Pretty(Colors),
    /// For machines: one flat JSON object a line.
    ///
    /// `timestamp`, `severity`, `target`; inside of a span `trace_id`, `span_id` and `trace_flags`;
    /// `message` and the fields of the event, by their names; and `spans` from the outermost one on,
    /// each with its `name` and fields. A field of one of these names is called `fields.NAME`, as is a
    /// field `message` beside the message. Of two fields of the same name the last one counts. Numbers
    /// stay numbers. A line that was cut says `"cut":true`.
    ///
    /// Source: OpenTelemetry 1.60, "Trace Context in non-OTLP Log Formats", for the names of the ids.
    Json,
    /// JSON as the `fmt` layer of `tracing-subscriber` writes it, to the byte, and the ids behind it.
    /// But of two fields of the same name only the last one is there, where that layer writes both.
    SubscriberJson,
}

/// Whether a line has colors. The service decides: on a terminal, and where `NO_COLOR` is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colors {
    /// No escape sequence at all.
    #[default]
    Off,
    /// The usual colors of levels; what matters less is dim.
    On,
}

impl Format {
    fn style(self) -> Style {
        match self {
            Format::Pretty(_) => Style::Pretty,
            Format::Json => Style::Json,
            Format::SubscriberJson => Style::Serde,
        }
    }

    /// Writes the line of an event, with its end.
    #[inline]
    pub(super) fn write<S>(self, line: &mut Line, scene: &Scene<'_>, layers: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let spans = || Spans::new(layers.event_span(scene.event), scene.owner);
        match self {
            Format::Pretty(colors) => pretty::write(line, scene, &spans(), colors),
            Format::Json => json::write(line, scene, &spans()),
            Format::SubscriberJson => subscriber::write(line, scene, layers),
        }
        line.form("\n");
    }

    /// Writes a line that this library has to say itself.
    pub(super) fn write_notice(self, line: &mut Line, notice: &Notice<'_>) {
        match self {
            Format::Pretty(colors) => pretty::write_notice(line, notice, colors),
            Format::Json => json::write_notice(line, notice),
            Format::SubscriberJson => subscriber::write_notice(line, notice),
        }
        line.form("\n");
    }
}

/// An event and what a line says about it.
pub(super) struct Scene<'a> {
    pub(super) unix_nanos: u64,
    pub(super) event: &'a Event<'a>,
    pub(super) origin: &'a Origin<'a>,
    pub(super) context: Option<TraceContext>,
    pub(super) redaction: &'a Redaction,
    /// How many lines like this were left out before it.
    pub(super) suppressed: u64,
    /// Whose notes on spans are to be read.
    pub(super) owner: usize,
}

/// A line that this library has to say itself.
pub(super) struct Notice<'a> {
    pub(super) unix_nanos: u64,
    pub(super) target: &'a str,
    pub(super) message: std::fmt::Arguments<'a>,
    /// How many lines it stands for.
    pub(super) suppressed: u64,
}
