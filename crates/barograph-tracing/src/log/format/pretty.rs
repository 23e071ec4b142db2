//! The format for people.

use tracing::Level;
use tracing::field::Visit;
use tracing_subscriber::registry::LookupSpan;

use super::span::{NAME, Spans};
use super::unique::Indices;
use super::value::{Fields, Places, Style, plain_name};
use super::{Colors, EventContext, MESSAGE, Notice};
use crate::log::escape::Escape;
use crate::log::line::Line;

pub(super) fn write<'a, S>(
    line: &mut Line,
    scene: &EventContext<'_>,
    spans: &Spans<'a, '_, S>,
    colors: Colors,
) where
    S: LookupSpan<'a>,
{
    let paint = Paint(colors);
    let metadata = scene.origin.metadata();
    start(
        line,
        paint,
        scene.unix_nanos,
        metadata.level(),
        metadata.target(),
    );
    // The message is written first, even if the call names other fields before it.
    let message = scene.event.metadata().fields().field(MESSAGE);
    let passes: &[Pass] = match message.map(|field| field.index()) {
        None | Some(0) => &[Pass::All],
        Some(_) => &[Pass::Message, Pass::Others],
    };
    for pass in passes {
        let mut fields = Fields {
            line: &mut *line,
            style: Style::Pretty,
            redaction: scene.redaction,
            origin: Some(scene.origin),
            superseded: Indices::default(),
            has_message: false,
            places: Words { pass: *pass, paint },
        };
        scene.event.record(&mut fields as &mut dyn Visit);
    }
    let mut before = " in ";
    spans.each(|name, note| {
        // The value was escaped when it was noted; it is shown without its quotes.
        let given = note.fields().find(|(key, _)| *key == NAME);
        let given = given.map(|(_, value)| value.trim_matches('"'));
        let length = given.unwrap_or(name).len();
        if !line.has_room(before.len() + length + LEAST) {
            return;
        }
        line.form(paint.dim());
        line.form(before);
        line.form(paint.plain());
        before = " > ";
        line.form(paint.bold());
        match given {
            Some(given) => line.form(given),
            None => line.text(name, Escape::Console),
        }
        line.form(paint.plain());
        let mut separator = "{";
        for (name, value) in note.fields().filter(|(key, _)| *key != NAME) {
            if line.has_room(name.len() + value.len() + LEAST) {
                line.form(separator);
                separator = " ";
                word(line, paint, name);
                line.form(value);
            }
        }
        if separator == " " {
            line.form("}");
        }
    });
    line.form(paint.dim());
    if let Some(context) = &scene.context {
        let header = context.to_traceparent();
        let header = header.as_str();
        line.form(" trace_id=");
        line.form(&header[3..35]);
        line.form(" span_id=");
        line.form(&header[36..52]);
    }
    end(line, paint, scene.suppressed);
}

pub(super) fn write_notice(line: &mut Line, notice: &Notice<'_>, colors: Colors) {
    let paint = Paint(colors);
    start(line, paint, notice.unix_nanos, &Level::WARN, notice.target);
    line.form(" ");
    line.display(&notice.message, Escape::Console);
    line.form(paint.dim());
    end(line, paint, 0);
}

fn start(line: &mut Line, paint: Paint, unix_nanos: u64, level: &Level, target: &str) {
    line.form(paint.dim());
    line.time(unix_nanos);
    line.form(paint.plain());
    line.form(" ");
    let (color, level) = paint.level(level);
    line.form(color);
    line.form(level);
    line.form(paint.plain());
    line.form(" ");
    line.form(paint.dim());
    line.text(target, Escape::Console);
    line.form(":");
    line.form(paint.plain());
}

fn end(line: &mut Line, paint: Paint, suppressed: u64) {
    if suppressed > 0 {
        line.form(" (");
        line.form(itoa::Buffer::new().format(suppressed));
        line.form(" more like this)");
    }
    if line.is_cut() {
        line.form(" (cut)");
    }
    line.form(paint.plain());
}

/// The fields that a pass writes.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    All,
    Message,
    Others,
}

/// Writes the message, and the other fields as `name=value`.
struct Words {
    pass: Pass,
    paint: Paint,
}

impl Places for Words {
    fn begin(&mut self, line: &mut Line, name: &'static str) -> bool {
        let is_message = name == MESSAGE;
        let is_asked = match self.pass {
            Pass::All => true,
            Pass::Message => is_message,
            Pass::Others => !is_message,
        };
        if !is_asked || !line.has_room(name.len() + LEAST) {
            return false;
        }
        line.form(" ");
        if !is_message {
            word(line, self.paint, name);
        }
        true
    }

    fn end(&mut self, _: &mut Line, _: &'static str) {}
}

fn word(line: &mut Line, paint: Paint, name: &str) {
    line.form(paint.italic());
    line.text(plain_name(name), Escape::Console);
    line.form(paint.plain());
    line.form(paint.dim());
    line.form("=");
    line.form(paint.plain());
}

/// The escape sequences of a terminal, or empty texts.
#[derive(Clone, Copy)]
struct Paint(Colors);

impl Paint {
    fn on(self, sequence: &'static str) -> &'static str {
        match self.0 {
            Colors::On => sequence,
            Colors::Off => "",
        }
    }

    fn plain(self) -> &'static str {
        self.on("\u{1b}[0m")
    }

    fn dim(self) -> &'static str {
        self.on("\u{1b}[2m")
    }

    fn bold(self) -> &'static str {
        self.on("\u{1b}[1m")
    }

    fn italic(self) -> &'static str {
        self.on("\u{1b}[3m")
    }

    fn level(self, level: &Level) -> (&'static str, &'static str) {
        let (color, name) = match *level {
            Level::ERROR => ("\u{1b}[31m", "ERROR"),
            Level::WARN => ("\u{1b}[33m", " WARN"),
            Level::INFO => ("\u{1b}[32m", " INFO"),
            Level::DEBUG => ("\u{1b}[34m", "DEBUG"),
            Level::TRACE => ("\u{1b}[35m", "TRACE"),
        };
        (self.on(color), name)
    }
}

/// The bytes around a name, including colors and the shortest value.
const LEAST: usize = 64;
