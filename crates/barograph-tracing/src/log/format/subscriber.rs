//! The JSON of the `fmt` layer of `tracing-subscriber` 0.3, followed by the ids.
//!
//! The difference is a name that occurs twice in one object: only the last value is written, which
//! is the one that most JSON parsers keep. The peculiarities of that layer are reproduced: `spans`
//! are those of the thread even if an event has an explicit parent, and the fields of a span are
//! sorted while those of an event are not.

use tracing::Subscriber;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::json::ids;
use super::span::{Note, Spans};
use super::unique::UniqueCallsites;
use super::value::{Fields, Places, Style};
use super::{EventContext, Notice};
use crate::log::escape::Escape;
use crate::log::line::Line;
use crate::log::severity;

pub(super) fn write<S>(line: &mut Line, scene: &EventContext<'_>, layers: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    static UNIQUE: UniqueCallsites = UniqueCallsites::new();
    let metadata = scene.origin.metadata();
    start(line, scene.unix_nanos, severity(metadata.level()).as_str());
    scene.event.record(&mut Fields {
        line,
        style: Style::Serde,
        redaction: scene.redaction,
        origin: Some(scene.origin),
        superseded: UNIQUE.superseded(scene.event, |name, _| ("", name)),
        has_message: false,
        places: Members { is_first: true },
    });
    line.form("},\"target\":\"");
    line.text(metadata.target(), Escape::Serde);
    line.form("\"");
    let current = || layers.lookup_current();
    let parent = scene.event.parent().and_then(|id| layers.span(id));
    let leaf = Spans::new(parent.or_else(current), scene.owner);
    let mut is_shown = false;
    let is_inside = leaf.leaf(|name, note| {
        is_shown = span(line, ",\"span\":{", name, note);
    });
    if is_inside && is_shown {
        line.form(",\"spans\":[");
        let mut before = "{";
        Spans::new(current(), scene.owner).each(|name, note| {
            if span(line, before, name, note) {
                before = ",{";
            }
        });
        line.form("]");
    }
    if let Some(context) = &scene.context {
        ids(line, context);
    }
    if scene.suppressed > 0 {
        line.form(",\"suppressed\":");
        line.form(itoa::Buffer::new().format(scene.suppressed));
    }
    line.form("}");
}

pub(super) fn write_notice(line: &mut Line, notice: &Notice<'_>) {
    start(line, notice.unix_nanos, "WARN");
    line.form("\"message\":\"");
    line.display(&notice.message, Escape::Serde);
    line.form("\"},\"target\":\"");
    line.text(notice.target, Escape::Serde);
    line.form("\"}");
}

fn start(line: &mut Line, unix_nanos: u64, level: &str) {
    line.form("{\"timestamp\":\"");
    line.time(unix_nanos);
    line.form("\",\"level\":\"");
    line.form(level);
    line.form("\",\"fields\":{");
}

/// Writes a span. Returns false if there was no room for it.
fn span(line: &mut Line, before: &str, name: &str, note: &Note) -> bool {
    if !line.has_room(before.len() + name.len() + LEAST) {
        return false;
    }
    line.form(before);
    // The name of the span is written last, so it would replace a field `name`.
    for (name, value) in note.fields().filter(|(key, _)| *key != "name") {
        if line.has_room(name.len() + value.len() + LEAST) {
            line.form("\"");
            line.text(name, Escape::Serde);
            line.form("\":");
            line.form(value);
            line.form(",");
        }
    }
    line.form("\"name\":\"");
    line.text(name, Escape::Serde);
    line.form("\"}");
    true
}

/// Writes the members of an object.
struct Members {
    is_first: bool,
}

impl Places for Members {
    #[inline]
    fn begin(&mut self, line: &mut Line, name: &'static str) -> bool {
        if !line.has_room(name.len() + LEAST) {
            return false;
        }
        line.form(if self.is_first { "\"" } else { ",\"" });
        self.is_first = false;
        line.text(name, Escape::Serde);
        line.form("\":");
        true
    }

    fn end(&mut self, _: &mut Line, _: &'static str) {}
}

/// The bytes around a name, including the shortest value.
const LEAST: usize = 40;
