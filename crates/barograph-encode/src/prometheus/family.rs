//! One family on a page: its header, and the lines of its points.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::snapshot::{Point, Value};

use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::escape;
use crate::prometheus::fast_line::FastLine;
use crate::prometheus::histogram::HistogramLines;
use crate::prometheus::label::{LabelWriter, write_label};
use crate::prometheus::line::{LineWriter, Sample, Style, write_metric};
use crate::prometheus::name::FamilyName;
use crate::prometheus::number::{Dialect, Number};
use crate::report::{Rejection, Report};
use crate::walk::Uniqueness;

/// A writer of one family.
pub(super) struct FamilyWriter {
    descriptor: Arc<Descriptor>,
    style: Style,
    /// The header, written in front of the first series; `None` afterwards.
    header: Option<Vec<u8>>,
    labels: LabelWriter,
    lines: Lines,
    fast: Option<FastLine>,
    series: u64,
    content: Vec<u8>,
    text: Vec<u8>,
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
    /// The label and the bit of each state.
    States {
        sample: Sample,
        states: Vec<(Vec<u8>, usize)>,
    },
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
            Kind::Histogram => Lines::Histogram(HistogramLines::new(sample, created())),
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
            text: Vec::new(),
        }
    }

    /// Writes the lines of a point, or writes nothing and counts the rejection.
    #[inline]
    pub(super) fn point(&mut self, out: &mut ChunkWriter, report: &mut Report, point: &Point<'_>) {
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
        match self.write_checked(out, report, point) {
            Ok(()) => self.series += 1,
            Err(rejection) => report.reject(rejection, &self.descriptor.name),
        }
    }

    /// Counts the series written.
    pub(super) fn finish(&mut self, report: &mut Report) {
        report.count_series(self.series);
        self.series = 0;
    }

    #[inline(never)]
    fn write_checked(
        &mut self,
        out: &mut ChunkWriter,
        report: &mut Report,
        point: &Point<'_>,
    ) -> Result<(), Rejection> {
        // Everything is checked before the first byte is written.
        let kind = self.descriptor.kind;
        match (&mut self.lines, &point.value) {
            (Lines::Number { .. }, value) => number(kind, value).map(|_| ())?,
            (Lines::Histogram(lines), Value::Histogram(value)) => {
                lines.prepare(value, self.style.dialect)?
            }
            (Lines::Info { .. }, Value::Info) | (Lines::States { .. }, Value::StateSet(_)) => {}
            _ => return Err(Rejection::WrongValue),
        }
        self.labels.write(&mut self.content, point)?;
        if let Some(header) = self.header.take() {
            out.text(&header);
            report.count_family();
        }
        let mut line = LineWriter {
            out,
            content: &self.content,
            text: &mut self.text,
            style: self.style,
        };
        match (&mut self.lines, &point.value) {
            (Lines::Number { sample, created }, value) => {
                // OpenMetrics does not allow exemplars on gauges.
                let exemplars = point.exemplars.iter().filter(|_| kind == Kind::Counter);
                let newest = exemplars.max_by_key(|exemplar| exemplar.time_unix_nano);
                line.line_with(sample, number(kind, value)?, newest);
                line.created(created.as_ref(), point);
            }
            (Lines::Histogram(lines), Value::Histogram(value)) => lines.write(line, point, value),
            (Lines::Info { sample }, _) => line.line(sample, b"", Number::U64(1)),
            (Lines::States { sample, states }, Value::StateSet(on)) => {
                for (label, bit) in states {
                    let is_on = on.checked_shr(*bit as u32).unwrap_or(0) & 1;
                    line.line(sample, label, Number::U64(is_on));
                }
            }
            _ => return Err(Rejection::WrongValue),
        }
        Ok(())
    }
}

/// Converts a value, if it is valid for a family of this kind.
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

/// Returns the label and the bit of each state, without duplicates.
fn states(descriptor: &Descriptor, name: &str) -> Vec<(Vec<u8>, usize)> {
    let mut states: Vec<(Vec<u8>, usize)> = Vec::new();
    for (bit, state) in descriptor.states.iter().enumerate() {
        let mut label = Vec::new();
        write_label(&mut label, name, &[state]);
        if states.iter().all(|(earlier, _)| *earlier != label) {
            states.push((label, bit));
        }
    }
    states
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
    // Without a help text, the original name is better than nothing.
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
