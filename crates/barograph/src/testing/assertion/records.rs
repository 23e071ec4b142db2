//! Spans and log records as a tree of lines.

use std::collections::HashMap;

use barograph_model::context::{SpanId, TraceContext};
use barograph_model::log::LogRecord;
use barograph_model::span::{SpanEvent, SpanRecord, Status};
use barograph_model::value::Attribute;

use super::line::Line;
use super::text;
use crate::testing::recording::{Recorder, Recording, Records};

/// Returns the lines of all spans, in the order in which they began, and of the log records in them.
pub(super) fn lines(recorder: &Recorder) -> Vec<Line> {
    let Some(recording) = recorder.recording() else {
        return Vec::new();
    };
    let records = recording.records();
    let tree = Tree::new(&records);
    let mut lines = Vec::new();
    let show = Show {
        recorder,
        recording,
    };
    show.children(&tree, None, 0, &mut lines);
    if records.lost > 0 {
        lines.push(Line::new(0).fixed(format!("lost {} records", records.lost)));
    }
    lines
}

/// The records by the span that they are in; those in no span of the capture are under `None`.
struct Tree<'a>(HashMap<Option<SpanId>, Vec<(u64, Item<'a>)>>);

/// A record, with the number of the moment at which it began in front of it.
#[derive(Clone, Copy)]
enum Item<'a> {
    Span(&'a SpanRecord),
    Open(&'a SpanRecord),
    Event(&'a SpanEvent),
    Log(&'a LogRecord),
}

impl<'a> Tree<'a> {
    fn new(records: &'a Records) -> Self {
        let ended = records.spans.iter().map(|span| Item::Span(span));
        let spans = ended.chain(records.open.iter().map(Item::Open));
        let mut tree = HashMap::new();
        let known: Vec<_> = spans.clone().filter_map(|item| item.span()).collect();
        for span in &known {
            tree.insert(Some(span.context.span_id()), Vec::new());
        }
        let mut add = |parent: Option<SpanId>, number, item| {
            let parent = parent.filter(|id| tree.contains_key(&Some(*id)));
            tree.entry(parent).or_default().push((number, item));
        };
        for item in spans {
            if let Some(span) = item.span() {
                let parent = span.parent.map(|parent| parent.span_id);
                add(parent, span.start_unix_nano, item);
                for event in &span.events {
                    let id = span.context.span_id();
                    add(Some(id), event.time_unix_nano, Item::Event(event));
                }
            }
        }
        for log in &records.logs {
            let parent = log.context.map(|context| context.span_id());
            add(parent, log.time_unix_nano, Item::Log(log));
        }
        for items in tree.values_mut() {
            items.sort_by_key(|(number, _)| *number);
        }
        Tree(tree)
    }
}

impl<'a> Item<'a> {
    fn span(self) -> Option<&'a SpanRecord> {
        match self {
            Item::Span(span) | Item::Open(span) => Some(span),
            Item::Event(_) | Item::Log(_) => None,
        }
    }
}

/// Writes records as the settings of the capture want them.
struct Show<'a> {
    recorder: &'a Recorder,
    recording: &'a Recording,
}

impl Show<'_> {
    fn children(&self, tree: &Tree<'_>, of: Option<SpanId>, depth: usize, lines: &mut Vec<Line>) {
        for (_, item) in tree.0.get(&of).into_iter().flatten() {
            lines.push(self.line(*item, depth));
            if let Some(span) = item.span() {
                self.children(tree, Some(span.context.span_id()), depth + 1, lines);
            }
        }
    }

    fn line(&self, item: Item<'_>, depth: usize) -> Line {
        let line = Line::new(depth);
        match item {
            Item::Span(span) | Item::Open(span) => {
                let mut line = line
                    .fixed(format!("span {} ", text::plain(&span.name)))
                    .fixed(span.kind.as_str());
                if matches!(item, Item::Open(_)) {
                    line = line.fixed(" unfinished");
                }
                line = match &span.status {
                    Status::Unset => line,
                    Status::Ok => line.fixed(" ok"),
                    Status::Error { description } => line.named("error", text::quoted(description)),
                };
                if !span.links.is_empty() {
                    line = line.named("links", span.links.len().to_string());
                }
                line = self.times(line, span.start_unix_nano, Some(span.end_unix_nano));
                line = self.ids(line, Some(span.context), span.parent.map(|it| it.span_id));
                line.fixed(" ").fields(fields(&span.attributes))
            }
            Item::Event(event) => {
                let line = line.fixed(format!("event {}", text::plain(&event.name)));
                let line = self.times(line, event.time_unix_nano, None);
                line.fixed(" ").fields(fields(&event.attributes))
            }
            Item::Log(log) => {
                let body = log
                    .body
                    .as_ref()
                    .map_or_else(|| text::quoted(""), text::value);
                let mut line = line
                    .fixed(format!("log {} ", log.severity.as_str()))
                    .value(text::plain(&log.scope))
                    .fixed(" ")
                    .value(body);
                line = self.times(line, log.time_unix_nano, None);
                line = self.ids(line, log.context, None);
                let name = log.event_name.clone();
                let name = name.map(|name| ("event.name".to_owned(), text::quoted(&name)));
                // The position of a line in the source changes with every edit above it.
                let is_own = |attribute: &&Attribute| !is_code(&attribute.key);
                let own = log.attributes.iter().filter(is_own);
                line.fixed(" ").fields(fields(own).chain(name))
            }
        }
    }

    fn times(&self, line: Line, start: u64, end: Option<u64>) -> Line {
        let time = |number| self.recording.numbering.time(number);
        let Some(start) = time(start).filter(|_| self.recorder.with_times) else {
            return line;
        };
        let at = start.saturating_sub(self.recorder.start_unix_nano);
        let line = line.named("at", text::seconds(at));
        match end.and_then(time) {
            Some(end) => line.named("duration", text::seconds(end.saturating_sub(start))),
            None => line,
        }
    }

    fn ids(&self, line: Line, context: Option<TraceContext>, parent: Option<SpanId>) -> Line {
        let Some(context) = context.filter(|_| self.recorder.with_ids) else {
            return line;
        };
        let line = line
            .named("trace_id", context.trace_id().to_string())
            .named("span_id", context.span_id().to_string());
        match parent {
            Some(parent) => line.named("parent_id", parent.to_string()),
            None => line,
        }
    }
}

fn fields<'a>(
    attributes: impl IntoIterator<Item = &'a Attribute>,
) -> impl Iterator<Item = (String, String)> {
    let field = |it: &Attribute| (it.key.to_string(), text::value(&it.value));
    attributes.into_iter().map(field)
}

/// Returns true for `code.file.path` and `code.line.number`.
fn is_code(key: &str) -> bool {
    key.starts_with("code.")
}
