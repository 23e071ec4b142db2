//! The spans around an event, with their fields already formatted.
//!
//! Values are formatted once, when the span starts, because they are not available later; a line
//! only copies them.

use std::ops::Range;

use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::unique::Indices;
use super::value::{Fields, Places, Style, plain_name};
use super::{EventContext, Format};
use crate::filter::Filter;
use crate::log::line::Line;
use crate::redact::Redaction;

/// The maximum total length of the values of a span, in bytes.
const MOST_OF_VALUES: usize = 4 * 1024;

/// A span and all its ancestors.
pub(super) struct Spans<'a, 'f, S>
where
    S: LookupSpan<'a>,
{
    leaf: Option<SpanRef<'a, S>>,
    owner: usize,
    filter: Option<&'f Filter>,
}

impl<'a, 'f, S> Spans<'a, 'f, S>
where
    S: LookupSpan<'a>,
{
    /// Returns the spans of `scene` from `leaf` up.
    pub(super) fn new(leaf: Option<SpanRef<'a, S>>, scene: &EventContext<'f>) -> Self {
        Spans {
            leaf,
            owner: scene.owner,
            filter: scene.filter,
        }
    }

    /// Calls `show` for each span with its fields, the outermost one first.
    #[inline]
    pub(super) fn each(&self, mut show: impl FnMut(&'static str, &Note)) {
        if let Some(leaf) = &self.leaf {
            for span in leaf.scope().from_root() {
                if self.filter.is_none_or(|it| it.enables(span.metadata())) {
                    self.show(&span, &mut show);
                }
            }
        }
    }

    #[inline]
    fn show(&self, span: &SpanRef<'a, S>, show: &mut impl FnMut(&'static str, &Note)) {
        let extensions = span.extensions();
        let note = extensions
            .get::<Notes>()
            .and_then(|notes| notes.of(self.owner));
        show(span.name(), note.unwrap_or(&EMPTY));
    }
}

/// The formatted fields of a span.
#[derive(Debug)]
pub(super) struct Note {
    owner: usize,
    values: String,
    fields: Vec<(&'static str, Range<usize>)>,
}

static EMPTY: Note = Note {
    owner: 0,
    values: String::new(),
    fields: Vec::new(),
};

impl Note {
    /// Returns each field with its value.
    #[inline]
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let value = |range: &Range<usize>| self.values.get(range.clone()).unwrap_or_default();
        self.fields
            .iter()
            .map(move |(name, range)| (*name, value(range)))
    }

    fn add(&mut self, values: &impl RecordFields, style: Style, redaction: &Redaction) {
        // The old value of a field stays in the text, unused, until the text is too long.
        if self.values.len() > MOST_OF_VALUES / 2 {
            self.leave_out_old();
        }
        let mut line = Line::piece(std::mem::take(&mut self.values), MOST_OF_VALUES);
        values.record(&mut Fields {
            line: &mut line,
            style,
            redaction,
            origin: None,
            superseded: Indices::default(),
            has_message: false,
            places: NotePlaces {
                fields: &mut self.fields,
                start: 0,
                style,
            },
        });
        self.values = line.into_text();
    }
}

impl Note {
    /// Creates a note with room for this number of fields of the usual length, so that it rarely
    /// grows.
    fn new(owner: usize, fields: usize) -> Self {
        Note {
            owner,
            values: String::with_capacity((fields * USUAL).min(MOST_OF_VALUES)),
            fields: Vec::with_capacity(fields),
        }
    }

    fn leave_out_old(&mut self) {
        let mut values = String::with_capacity(self.values.len());
        for (_, range) in &mut self.fields {
            let start = values.len();
            values.push_str(self.values.get(range.clone()).unwrap_or_default());
            *range = start..values.len();
        }
        self.values = values;
    }
}

struct NotePlaces<'a> {
    fields: &'a mut Vec<(&'static str, Range<usize>)>,
    start: usize,
    style: Style,
}

impl Places for NotePlaces<'_> {
    #[inline]
    fn begin(&mut self, line: &mut Line, name: &'static str) -> bool {
        self.start = line.len();
        // A field with a dot in its name belongs to the semantic conventions, for machines; people
        // find it in the trace.
        let is_for_people = || name == NAME || !name.contains('.');
        // A redacted value or a number is short.
        (self.style != Style::Pretty || is_for_people()) && line.has_room(SHORT)
    }

    #[inline]
    fn end(&mut self, line: &mut Line, name: &'static str) {
        let value = self.start..line.len();
        let name = plain_name(name);
        match self.fields.iter_mut().find(|(other, _)| *other == name) {
            Some(field) => field.1 = value,
            None => self.fields.push((name, value)),
        }
    }
}

/// The field with the name of the span.
pub(super) const NAME: &str = "otel.name";
/// The minimum room for a value, in bytes.
const SHORT: usize = 32;
/// The usual length of a value, in bytes. Some fields are empty until the span ends, or forever.
const USUAL: usize = 16;

/// The notes of all owners; in most services there is one owner.
#[derive(Debug)]
struct Notes {
    first: Note,
    more: Vec<Note>,
}

impl Notes {
    #[inline]
    fn of(&self, owner: usize) -> Option<&Note> {
        match self.first.owner == owner {
            true => Some(&self.first),
            false => self.more.iter().find(|note| note.owner == owner),
        }
    }

    fn of_mut(&mut self, owner: usize) -> Option<&mut Note> {
        match self.first.owner == owner {
            true => Some(&mut self.first),
            false => self.more.iter_mut().find(|note| note.owner == owner),
        }
    }
}

/// Notes the fields that a span starts with, or that are recorded later. The last value of a field is
/// kept.
pub(in crate::log) fn note<S>(
    values: &impl RecordFields,
    id: &Id,
    layers: &Context<'_, S>,
    (format, owner): (Format, usize),
    redaction: &Redaction,
) where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(span) = layers.span(id) else {
        return;
    };
    // The note is taken out while the extensions are not borrowed, because the `Debug` of a value
    // may itself log.
    let taken = span.extensions_mut().get_mut::<Notes>().and_then(|notes| {
        let note = notes.of_mut(owner)?;
        Some(std::mem::replace(note, Note::new(owner, 0)))
    });
    let fields = span.metadata().fields().len();
    let mut new = taken.unwrap_or_else(|| Note::new(owner, fields));
    new.add(values, format.style(), redaction);
    let mut extensions = span.extensions_mut();
    match extensions.get_mut::<Notes>() {
        None => extensions.insert(Notes {
            first: new,
            more: Vec::new(),
        }),
        Some(notes) => match notes.of_mut(owner) {
            Some(note) => *note = new,
            None => notes.more.push(new),
        },
    }
}
