//! The format with one flat JSON object per line.

use barograph_model::context::TraceContext;
use barograph_model::log::Severity;
use tracing_subscriber::registry::LookupSpan;

use super::span::Spans;
use super::unique::{Name, Order, UniqueCallsites};
use super::value::{FURTHER_MESSAGE, Fields, Places, Style, plain_name};
use super::{EventContext, MESSAGE, Notice};
use crate::log::escape::Escape;
use crate::log::line::Line;
use crate::log::severity;

pub(super) fn write<'a, S>(line: &mut Line, scene: &EventContext<'_>, spans: &Spans<'a, '_, S>)
where
    S: LookupSpan<'a>,
{
    static UNIQUE: UniqueCallsites = UniqueCallsites::new();
    let metadata = scene.origin.metadata();
    start(
        line,
        scene.unix_nanos,
        severity(metadata.level()),
        metadata.target(),
    );
    if let Some(context) = &scene.context {
        ids(line, context);
        line.form(",\"trace_flags\":\"0");
        line.form(FLAGS[usize::from(context.flags().bits() & 3)]);
        line.form("\"");
    }
    scene.event.record(&mut Fields {
        line,
        style: Style::Json,
        redaction: scene.redaction,
        origin: Some(scene.origin),
        superseded: UNIQUE.superseded(scene.event, |name, order| match order {
            Order::Further if name == MESSAGE => ("", FURTHER_MESSAGE),
            _ => member(name),
        }),
        has_message: false,
        places: TopLevel { has_message: false },
    });
    let mut before = ",\"spans\":[{\"name\":\"";
    spans.each(|name, note| {
        if !line.has_room(before.len() + name.len() + LEAST_OF_SPAN) {
            return;
        }
        line.form(before);
        before = ",{\"name\":\"";
        line.text(name, Escape::Json);
        line.form("\"");
        for (name, value) in note.fields() {
            let (before, name) = member_of_span(name);
            if line.has_room(name.len() + value.len() + LEAST_OF_FIELD) {
                line.form(",\"");
                line.form(before);
                line.text(name, Escape::Json);
                line.form("\":");
                line.form(value);
            }
        }
        line.form("}");
    });
    if before.len() == ",{\"name\":\"".len() {
        line.form("]");
    }
    end(line, scene.suppressed);
}

pub(super) fn write_notice(line: &mut Line, notice: &Notice<'_>) {
    start(line, notice.unix_nanos, Severity::Warn, notice.target);
    line.form(",\"message\":\"");
    line.display(&notice.message, Escape::Json);
    line.form("\"");
    end(line, notice.suppressed);
}

fn start(line: &mut Line, unix_nanos: u64, severity: Severity, target: &str) {
    line.form("{\"timestamp\":\"");
    line.time(unix_nanos);
    line.form("\",\"severity\":\"");
    line.form(severity.as_str());
    line.form("\",\"target\":\"");
    line.text(target, Escape::Json);
    line.form("\"");
}

/// Writes the ids as members that follow other members.
#[inline]
pub(super) fn ids(line: &mut Line, context: &TraceContext) {
    let header = context.to_traceparent();
    let header = header.as_str();
    line.form(",\"trace_id\":\"");
    line.form(&header[3..35]);
    line.form("\",\"span_id\":\"");
    line.form(&header[36..52]);
    line.form("\"");
}

fn end(line: &mut Line, suppressed: u64) {
    if suppressed > 0 {
        line.form(",\"suppressed\":");
        line.form(itoa::Buffer::new().format(suppressed));
    }
    if line.is_cut() {
        line.form(",\"cut\":true");
    }
    line.form("}");
}

/// Writes the fields of the event beside the standard members of a line.
struct TopLevel {
    /// True if the message was written.
    has_message: bool,
}

impl Places for TopLevel {
    #[inline]
    fn begin(&mut self, line: &mut Line, name: &'static str) -> bool {
        if !line.has_room(name.len() + LEAST_OF_FIELD) {
            return false;
        }
        if name == MESSAGE {
            line.form(match std::mem::replace(&mut self.has_message, true) {
                false => ",\"message\":",
                true => ",\"fields.message\":",
            });
            return true;
        }
        let (before, name) = member(name);
        line.form(",\"");
        line.form(before);
        line.text(name, Escape::Json);
        line.form("\":");
        true
    }

    fn end(&mut self, _: &mut Line, _: &'static str) {}
}

/// Returns the member name of a field. The prefix `fields.` is added to a name that the line uses
/// itself, and to such a name that already has the prefix, because the two would otherwise collide.
#[inline]
fn member(name: &'static str) -> Name {
    let name = plain_name(name);
    let bare = without_fields(name);
    let is_taken = TAKEN.contains(&bare) || bare == MESSAGE && bare.len() < name.len();
    match is_taken {
        true => (FIELDS, name),
        false => ("", name),
    }
}

/// Returns the member name of a span's field, which must not collide with `name`.
fn member_of_span(name: &str) -> (&'static str, &str) {
    let name = plain_name(name);
    match without_fields(name) {
        "name" => (FIELDS, name),
        _ => ("", name),
    }
}

/// Returns a name without the prefix `fields.`, even if it is repeated.
#[inline]
fn without_fields(mut name: &str) -> &str {
    // `trim_start_matches` would create a searcher for each name.
    while let Some(rest) = name.strip_prefix(FIELDS) {
        name = rest;
    }
    name
}

/// The prefix of a name that would otherwise occur twice.
const FIELDS: &str = "fields.";

/// The names of the standard members of a line.
const TAKEN: [&str; 9] = [
    "timestamp",
    "severity",
    "target",
    "trace_id",
    "span_id",
    "trace_flags",
    "spans",
    "suppressed",
    "cut",
];

/// The last digit of the flags, by their value.
const FLAGS: [&str; 4] = ["0", "1", "2", "3"];

/// The bytes around the name of a field, including the shortest value.
const LEAST_OF_FIELD: usize = 40;

/// The bytes around the name of a span.
const LEAST_OF_SPAN: usize = 8;
