//! The format of values, and the visitor that writes fields.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};

use super::MESSAGE;
use super::unique::Indices;
use crate::log::escape::Escape;
use crate::log::line::Line;
use crate::log::origin::Origin;
use crate::redact::{REDACTED, Redaction, RedactionRule};

/// The format of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Like logfmt: quotes only where they are needed.
    Pretty,
    /// JSON.
    Json,
}

impl Style {
    #[inline]
    pub(super) fn escape(self) -> Escape {
        match self {
            Style::Pretty => Escape::Console,
            Style::Json => Escape::Json,
        }
    }
}

/// Writes the text before and after the value of a field.
pub(super) trait Places {
    /// Begins a field. Returns false if the field is not written.
    fn begin(&mut self, line: &mut Line, name: &'static str) -> bool;

    /// Ends the field that was begun.
    fn end(&mut self, line: &mut Line, name: &'static str);
}

/// Writes the fields of an event or a span.
pub(super) struct Fields<'a, P> {
    pub(super) line: &'a mut Line,
    pub(super) style: Style,
    pub(super) redaction: &'a Redaction,
    /// The origin of an event, which identifies the fields that hold metadata of the `log` crate.
    /// `None` for a span.
    pub(super) origin: Option<&'a Origin<'a>>,
    /// The fields that are skipped because a later one has the same name.
    pub(super) superseded: Indices,
    /// True if the message was written, in lines for people.
    pub(super) has_message: bool,
    pub(super) places: P,
}

/// The name of a second field `message`.
pub(super) const FURTHER_MESSAGE: &str = "fields.message";

/// Returns a name without the `r#` of a raw identifier.
#[inline]
pub(super) fn plain_name(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

impl<P: Places> Fields<'_, P> {
    /// Writes a field, unless it is skipped. A secret is redacted.
    #[inline]
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Self, &'static str, RedactionRule)) {
        let mut name = field.name();
        if self.superseded.has(field) {
            return;
        }
        if let Some(origin) = self.origin {
            if origin.is_own(name) {
                return;
            }
            let is_message = self.style == Style::Pretty && name == MESSAGE;
            if is_message && std::mem::replace(&mut self.has_message, true) {
                name = FURTHER_MESSAGE;
            }
        }
        if !self.places.begin(self.line, name) {
            return;
        }
        match self.redaction.rule_of(name) {
            RedactionRule::Redact => self.text(name, REDACTED),
            rule => value(self, name, rule),
        }
        self.places.end(self.line, name);
    }

    /// Writes a text with the quotes that the format requires.
    #[inline]
    fn text(&mut self, name: &str, text: &str) {
        self.quoted(name, RedactionRule::Keep, |line, escape| {
            line.text(text, escape)
        });
    }

    #[inline]
    fn quoted(&mut self, name: &str, rule: RedactionRule, write: impl Fn(&mut Line, Escape)) {
        if self.style == Style::Pretty && name != MESSAGE {
            return self.as_needed(rule, write);
        }
        let quotes = match self.style {
            Style::Pretty => "",
            _ => "\"",
        };
        self.line.form(quotes);
        let start = self.line.len();
        write(self.line, self.style.escape());
        if rule == RedactionRule::Search {
            self.line.redact(start, self.redaction);
        }
        self.line.form(quotes);
    }

    /// Writes a text, in quotes if it would otherwise be ambiguous.
    fn as_needed(&mut self, rule: RedactionRule, write: impl Fn(&mut Line, Escape)) {
        let mut raw = self.line.aside();
        write(&mut raw, Escape::Raw);
        if rule == RedactionRule::Search {
            raw.redact(0, self.redaction);
        }
        if needs_quotes(raw.as_str()) {
            self.line.form("\"");
            self.line.text(raw.as_str(), Escape::Quoted);
            self.line.form("\"");
        } else {
            self.line.text(raw.as_str(), Escape::Console);
        }
        self.line.done(raw);
    }

    /// Writes a number or another value without quotes.
    #[inline]
    fn word(&mut self, word: &str) {
        self.line.whole_or(word, "0");
    }
}

impl<P: Places> Visit for Fields<'_, P> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |this, name, _| match value.is_finite() {
            true => this.word(zmij::Buffer::new().format_finite(value)),
            // JSON has no such numbers.
            false => this.text(name, not_finite(value)),
        });
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |this, _, _| {
            this.word(itoa::Buffer::new().format(value));
        });
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |this, _, _| {
            this.word(itoa::Buffer::new().format(value));
        });
    }

    // Larger integers are written as texts, in their `Debug` form: few JSON parsers could represent
    // them.

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |this, _, _| {
            this.word(if value { "true" } else { "false" });
        });
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |this, name, rule| {
            this.quoted(name, rule, |line, escape| line.text(value, escape));
        });
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.field(field, |this, name, _| {
            this.quoted(name, RedactionRule::Keep, |line, escape| {
                for byte in value {
                    if line.is_cut() {
                        break;
                    }
                    line.display(&format_args!("{byte:02x}"), escape);
                }
            });
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, |this, name, _| {
            // Errors quote their input, which may contain secrets.
            this.quoted(name, RedactionRule::Search, |line, escape| {
                line.display(value, escape);
                causes(line, value, escape);
            });
        });
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |this, name, rule| {
            let rule = rule.of_debug();
            this.quoted(name, rule, |line, escape| line.debug(value, escape));
        });
    }
}

/// Writes the causes of an error, except those whose text the line already ends with.
fn causes(line: &mut Line, error: &(dyn Error + 'static), escape: Escape) {
    let mut cause = error.source();
    // An error may be its own cause.
    for _ in 0..MOST_CAUSES {
        let Some(error) = cause else {
            return;
        };
        let start = line.len();
        line.text(": ", escape);
        let said = line.len();
        line.display(error, escape);
        let (before, new) = (&line.as_str()[..start], line.as_str().get(said..));
        if new.is_none_or(|new| before.ends_with(new)) && !line.is_cut() {
            line.truncate(start);
        }
        cause = error.source();
    }
}

/// The maximum number of causes of one error that are written.
pub(in crate::log) const MOST_CAUSES: usize = 16;

/// Returns the name of the value in the JSON form of protocol buffers.
fn not_finite(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// Returns true if a value would be ambiguous without quotes. The `Debug` form of a text has quotes
/// already.
fn needs_quotes(value: &str) -> bool {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if let Some(inner) = inner {
        return !is_inside_of_quotes(inner);
    }
    value.is_empty() || value.bytes().any(|byte| matches!(byte, b' ' | b'=' | b'"'))
}

/// Returns true if no unescaped quote is in the text.
fn is_inside_of_quotes(text: &str) -> bool {
    let mut escaped = false;
    for byte in text.bytes() {
        escaped = match byte {
            b'"' if !escaped => return false,
            b'\\' => !escaped,
            _ => false,
        };
    }
    !escaped
}
