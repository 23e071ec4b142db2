//! One family on a page: its header, and the lines of its points.

use std::sync::Arc;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::exemplar::Exemplar;
use barograph_model::label::Labels;
use barograph_model::snapshot::{HistogramValue, Point, Value};

use crate::prometheus::escape;
use crate::prometheus::exemplar;
use crate::prometheus::label::{LabelWriter, Uniqueness, write_label};
use crate::prometheus::name::{Escaping, FamilyName, Place, Translation, is_legacy};
use crate::prometheus::number::{self, Dialect, Number};
use crate::prometheus::out::{Block, Fragment, Out, Values, put};
use crate::prometheus::report::{Rejection, Report};

/// How everything on a page is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) dialect: Dialect,
    pub(super) translation: Translation,
    pub(super) escaping: Escaping,
    /// Whether lines say when a series began to count.
    pub(super) created: bool,
}

/// Writes one family.
pub(super) struct FamilyWriter {
    descriptor: Arc<Descriptor>,
    style: Style,
    /// Written in front of the first series; none once it is.
    header: Option<Vec<u8>>,
    labels: LabelWriter,
    lines: Lines,
    fast: Option<FastLine>,
    series: u64,
    content: Vec<u8>,
    line: Vec<u8>,
}

/// The lines of a series, by kind.
enum Lines {
    Number {
        sample: Sample,
        created: Option<Sample>,
    },
    Histogram(HistogramLines),
    Info {
        sample: Sample,
    },
    /// Label and bit of each state.
    States {
        sample: Sample,
        states: Vec<(Vec<u8>, usize)>,
    },
}

struct HistogramLines {
    bucket: Sample,
    sum: Sample,
    count: Sample,
    created: Option<Sample>,
    bounds: Option<Spelled>,
    block: Block,
}

/// Bucket bounds, each as the end of its line's labels.
struct Spelled {
    bounds: Bounds,
    ends: Vec<Fragment>,
}

impl FamilyWriter {
    pub(super) fn new(
        descriptor: Arc<Descriptor>,
        name: &FamilyName,
        style: Style,
        uniqueness: Uniqueness,
    ) -> Self {
        let open_metrics = style.dialect == Dialect::OpenMetrics;
        let sample = |suffix: &str| Sample::new(&format!("{}{suffix}", name.family));
        let main = |suffix: &str| match style.dialect {
            Dialect::OpenMetrics => sample(suffix),
            Dialect::Text => Sample::new(&name.text),
        };
        let created = || (open_metrics && style.created).then(|| sample("_created"));
        let lines = match descriptor.kind {
            Kind::Counter => Lines::Number {
                sample: main("_total"),
                created: created(),
            },
            Kind::Histogram => Lines::Histogram(HistogramLines {
                bucket: sample("_bucket"),
                sum: sample("_sum"),
                count: sample("_count"),
                created: created(),
                bounds: None,
                block: Block::default(),
            }),
            Kind::Info => Lines::Info {
                sample: main("_info"),
            },
            Kind::StateSet => Lines::States {
                sample: main(""),
                states: states(&descriptor, &name.family),
            },
            _ => Lines::Number {
                sample: main(""),
                created: None,
            },
        };
        let reserved = match descriptor.kind {
            Kind::Histogram => Some("le"),
            Kind::StateSet => Some(&*name.family),
            _ => None,
        };
        let labels = LabelWriter::new(
            Arc::clone(&descriptor),
            style.translation,
            style.escaping,
            reserved,
            uniqueness,
        );
        let fast = match &lines {
            Lines::Number {
                sample,
                created: None,
            } => FastLine::new(sample, &labels),
            _ => None,
        };
        FamilyWriter {
            header: Some(header(&descriptor, name, style.dialect)),
            descriptor,
            style,
            labels,
            lines,
            fast,
            series: 0,
            content: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Writes the lines of a point, or none and counts it.
    #[inline]
    pub(super) fn point(&mut self, out: &mut Out, report: &mut Report, point: &Point<'_>) {
        if let Some(fast) = &mut self.fast
            && self.header.is_none()
            && !point.is_overflow
            && (point.exemplars.is_empty() || self.style.dialect == Dialect::Text)
            && self.labels.owns_names(&point.labels)
            && let Ok(number) = number(self.descriptor.kind, &point.value)
            && fast.write(out, &point.labels, number).is_some()
        {
            self.series += 1;
            return;
        }
        match self.point_with_care(out, report, point) {
            Ok(()) => self.series += 1,
            Err(rejection) => report.reject(rejection, &self.descriptor.name),
        }
    }

    /// Counts what was written.
    pub(super) fn finish(&mut self, report: &mut Report) {
        report.count_series(self.series);
        self.series = 0;
    }

    #[inline(never)]
    fn point_with_care(
        &mut self,
        out: &mut Out,
        report: &mut Report,
        point: &Point<'_>,
    ) -> Result<(), Rejection> {
        // Everything is checked before the first byte is written.
        let kind = self.descriptor.kind;
        match (&mut self.lines, &point.value) {
            (Lines::Number { .. }, value) => number(kind, value).map(|_| ())?,
            (Lines::Histogram(lines), Value::Histogram(value)) => {
                lines.prepare(value, self.style)?
            }
            (Lines::Info { .. }, Value::Info) | (Lines::States { .. }, Value::StateSet(_)) => {}
            _ => return Err(Rejection::WrongValue),
        }
        self.labels.write(&mut self.content, point)?;
        if let Some(header) = self.header.take() {
            out.text(&header);
            report.count_family();
        }
        let (content, line) = (&self.content, &mut self.line);
        match (&mut self.lines, &point.value) {
            (Lines::Number { sample, created }, value) => {
                let number = number(kind, value)?;
                line.clear();
                sample.open(line, content, b"");
                number.push(line);
                if kind == Kind::Counter && self.style.dialect == Dialect::OpenMetrics {
                    let newest = point.exemplars.iter().max_by_key(|e| e.time_unix_nano);
                    push_exemplar(line, newest, self.style);
                }
                line.push(b'\n');
                push_created(line, created.as_ref(), content, point);
                out.text(line);
            }
            (Lines::Histogram(lines), Value::Histogram(value)) => {
                lines.write(out, content, line, point, value, self.style);
            }
            (Lines::Info { sample }, _) => {
                line.clear();
                sample.open(line, content, b"");
                line.extend_from_slice(b"1\n");
                out.text(line);
            }
            (Lines::States { sample, states }, Value::StateSet(on)) => {
                line.clear();
                for (label, bit) in states {
                    sample.open(line, content, label);
                    let is_on = on.checked_shr(*bit as u32).unwrap_or(0) & 1 == 1;
                    line.extend_from_slice(if is_on { b"1\n" } else { b"0\n" });
                }
                out.text(line);
            }
            _ => return Err(Rejection::WrongValue),
        }
        Ok(())
    }
}

impl HistogramLines {
    /// Checks a value, and spells its bounds where they are not those of the point before.
    fn prepare(&mut self, value: &HistogramValue<'_>, style: Style) -> Result<(), Rejection> {
        let sum = value
            .buckets
            .iter()
            .try_fold(0_u64, |sum, n| sum.checked_add(*n));
        if value.buckets.len() != value.bounds.buckets() || sum.is_none() {
            return Err(Rejection::WrongBuckets);
        }
        let known = self
            .bounds
            .as_ref()
            .is_some_and(|known| known.are(value.bounds));
        if !known {
            self.bounds = Some(Spelled::new(value.bounds, style.dialect));
        }
        Ok(())
    }

    fn write(
        &mut self,
        out: &mut Out,
        content: &[u8],
        line: &mut Vec<u8>,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
        style: Style,
    ) {
        line.clear();
        line.extend_from_slice(&self.bucket.open);
        line.extend_from_slice(content);
        line.extend_from_slice(if content.is_empty() {
            b"le=\""
        } else {
            b",le=\""
        });
        let mut exemplars = Vec::new();
        if style.dialect == Dialect::OpenMetrics && !point.exemplars.is_empty() {
            exemplars.resize(value.buckets.len(), None);
            for exemplar in point.exemplars {
                exemplars[value.bounds.bucket_of(exemplar.value)] = Some(exemplar);
            }
        }
        let is_short = self.block.set(line).is_some();
        let ends = self
            .bounds
            .as_ref()
            .map_or(&[][..], |spelled| &spelled.ends);
        let mut count = 0;
        for (i, (end, in_bucket)) in ends.iter().zip(value.buckets).enumerate() {
            count += in_bucket;
            let exemplar = exemplars.get(i).copied().flatten();
            let room = self.block.len() + end.len() + number::MAX;
            if let (None, true, Some((buf, at))) = (exemplar, is_short, out.reserve(room)) {
                let at = self.block.put(buf, at);
                let at = end.put(buf, at);
                let at = number::put_u64(buf, at, count);
                put(buf, at, b"\n");
                out.advance(at + 1);
            } else {
                let mut text = line.clone();
                end.push(&mut text);
                Number::U64(count).push(&mut text);
                push_exemplar(&mut text, exemplar, style);
                text.push(b'\n');
                out.text(&text);
            }
        }
        line.clear();
        if style.dialect == Dialect::Text || has_sum(value) {
            self.sum.open(line, content, b"");
            Number::F64(value.sum).push(line);
            line.push(b'\n');
            self.count.open(line, content, b"");
            Number::U64(count).push(line);
            line.push(b'\n');
        }
        push_created(line, self.created.as_ref(), content, point);
        out.text(line);
    }
}

impl Spelled {
    fn new(bounds: &Bounds, dialect: Dialect) -> Self {
        let all = bounds.as_slice().iter().copied().chain([f64::INFINITY]);
        let end = |bound| {
            let text = format!("{}\"}} ", number::bound(bound, dialect));
            Fragment::new(text.as_bytes()).expect("a number is shorter than a chunk")
        };
        Spelled {
            ends: all.map(end).collect(),
            bounds: bounds.clone(),
        }
    }

    fn are(&self, bounds: &Bounds) -> bool {
        let (known, given) = (self.bounds.as_slice(), bounds.as_slice());
        // Ours are ours to keep, so the same place means the same bounds.
        std::ptr::eq(known, given) || known == given
    }
}

/// The name of a sample, as the beginning of a line.
struct Sample {
    /// In front of labels.
    open: Vec<u8>,
    /// In front of the value, where there are none.
    bare: Vec<u8>,
}

impl Sample {
    fn new(name: &str) -> Self {
        let mut quoted = Vec::new();
        write_metric(&mut quoted, name);
        let parts: [&[u8]; 4] = if is_legacy(name, Place::Metric) {
            [b"", b"{", b"", b" "]
        } else {
            [b"{", b",", b"{", b"} "]
        };
        Sample {
            open: [parts[0], &quoted, parts[1]].concat(),
            bare: [parts[2], &quoted, parts[3]].concat(),
        }
    }

    /// Begins a line with labels and one more label, each of which may be empty.
    fn open(&self, line: &mut Vec<u8>, content: &[u8], label: &[u8]) {
        if content.is_empty() && label.is_empty() {
            line.extend_from_slice(&self.bare);
            return;
        }
        line.extend_from_slice(&self.open);
        line.extend_from_slice(content);
        if !content.is_empty() && !label.is_empty() {
            line.push(b',');
        }
        line.extend_from_slice(label);
        line.extend_from_slice(b"} ");
    }
}

/// One line for a point with fixed labels and one number, without a look at anything twice.
struct FastLine {
    /// From the beginning of the line to the first value.
    open: Fragment,
    /// Behind each value.
    after: Vec<Fragment>,
    /// How much a line takes, values aside.
    room: usize,
    values: Values,
}

impl FastLine {
    fn new(sample: &Sample, labels: &LabelWriter) -> Option<Self> {
        let pattern = labels.pattern()?;
        let (first, others) = pattern.names.split_first()?;
        let open = Fragment::new(&[&*sample.open, &*pattern.constant, first].concat())?;
        let between = others
            .iter()
            .map(|name| Fragment::new(&[b"\"", &**name].concat()));
        let after: Vec<Fragment> = between
            .chain([Fragment::new(b"\"} ")])
            .collect::<Option<_>>()?;
        let room = open.len() + after.iter().map(Fragment::len).sum::<usize>() + number::MAX;
        Some(FastLine {
            open,
            after,
            room,
            values: Values::new(),
        })
    }

    /// Writes the line, or nothing where the values need more care.
    #[inline(never)] // On its own, its few variables stay in registers.
    fn write(&mut self, out: &mut Out, labels: &Labels<'_>, number: Number) -> Option<()> {
        let ends = labels.ends();
        let text = labels.text().as_bytes().get(..usize::from(*ends.last()?))?;
        self.values.lay(text)?;
        let (buf, at) = out.reserve(self.room + text.len())?;
        let mut at = self.open.put(buf, at);
        let mut from = 0;
        for (&end, after) in ends.iter().zip(&self.after) {
            if end < from || usize::from(end) > text.len() {
                return None;
            }
            at = self.values.put(buf, at, from, end - from);
            at = after.put(buf, at);
            from = end;
        }
        at = number.put(buf, at);
        put(buf, at, b"\n");
        out.advance(at + 1);
        Some(())
    }
}

/// A value that a family of this kind can show.
#[inline]
fn number(kind: Kind, value: &Value<'_>) -> Result<Number, Rejection> {
    let number = match *value {
        Value::U64(value) => return Ok(Number::U64(value)),
        Value::I64(value) => Number::I64(value),
        Value::F64(value) => Number::F64(value),
        _ => return Err(Rejection::WrongValue),
    };
    let is_count = match number {
        Number::U64(_) => true,
        Number::I64(value) => value >= 0,
        Number::F64(value) => value >= 0.0,
    };
    if kind == Kind::Counter && !is_count {
        return Err(Rejection::NotACount);
    }
    Ok(number)
}

/// OpenMetrics takes the sum for a counter, and wants it together with the count or not at all.
fn has_sum(value: &HistogramValue<'_>) -> bool {
    let first = value.bounds.as_slice().first();
    value.sum >= 0.0 && first.is_none_or(|bound| *bound >= 0.0)
}

fn push_exemplar(line: &mut Vec<u8>, exemplar: Option<&Exemplar>, style: Style) {
    if let Some(exemplar) = exemplar {
        exemplar::write(line, exemplar, style.translation, style.escaping);
    }
}

fn push_created(line: &mut Vec<u8>, sample: Option<&Sample>, content: &[u8], point: &Point<'_>) {
    if let (Some(sample), Some(nanos)) = (sample, point.start_unix_nano) {
        sample.open(line, content, b"");
        exemplar::write_seconds(line, nanos);
        line.push(b'\n');
    }
}

/// Each state once, as a label, with its bit.
fn states(descriptor: &Descriptor, name: &str) -> Vec<(Vec<u8>, usize)> {
    let states = &descriptor.states;
    let first = |i: usize| states[..i].iter().all(|earlier| *earlier != states[i]);
    let label = |i: usize| {
        let mut label = Vec::new();
        write_label(&mut label, name, &[&states[i]]);
        (label, i)
    };
    (0..states.len()).filter(|i| first(*i)).map(label).collect()
}

fn header(descriptor: &Descriptor, name: &FamilyName, dialect: Dialect) -> Vec<u8> {
    let (page, kind) = match dialect {
        Dialect::OpenMetrics => (
            &name.family,
            match descriptor.kind {
                Kind::Counter => "counter",
                Kind::UpDownCounter | Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
                Kind::Info => "info",
                Kind::StateSet => "stateset",
                _ => "unknown",
            },
        ),
        Dialect::Text => (
            &name.text,
            match descriptor.kind {
                Kind::Counter => "counter",
                Kind::UpDownCounter | Kind::Gauge | Kind::Info | Kind::StateSet => "gauge",
                Kind::Histogram => "histogram",
                _ => "untyped",
            },
        ),
    };
    let mut header = Vec::new();
    let begin = |header: &mut Vec<u8>, what: &[u8]| {
        header.extend_from_slice(what);
        write_metric(header, page);
        header.push(b' ');
    };
    begin(&mut header, b"# HELP ");
    // Where nobody said what it is, the name as it was given says more than nothing.
    let help = if descriptor.help.is_empty() {
        &descriptor.name
    } else {
        &descriptor.help
    };
    match dialect {
        Dialect::OpenMetrics => escape::value(&mut header, help),
        Dialect::Text => escape::text_help(&mut header, help),
    }
    header.push(b'\n');
    begin(&mut header, b"# TYPE ");
    header.extend_from_slice(kind.as_bytes());
    header.push(b'\n');
    if dialect == Dialect::OpenMetrics && !name.unit.is_empty() {
        begin(&mut header, b"# UNIT ");
        header.extend_from_slice(name.unit.as_bytes());
        header.push(b'\n');
    }
    header
}

/// Writes a metric's name, in quotes where it cannot stand without.
fn write_metric(out: &mut Vec<u8>, name: &str) {
    if is_legacy(name, Place::Metric) {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'"');
        escape::value(out, name);
        out.push(b'"');
    }
}
