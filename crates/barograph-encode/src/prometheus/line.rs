//! The lines of a series.

use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::Point;

use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::escape;
use crate::prometheus::exemplar;
use crate::prometheus::name::{Escaping, NameKind, Translation, is_legacy};
use crate::prometheus::number::{Dialect, Number};

/// The options that apply to everything on a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) dialect: Dialect,
    pub(super) translation: Translation,
    pub(super) escaping: Escaping,
    /// True if `_created` lines are written.
    pub(super) created: bool,
}

/// The name of a sample, formatted as the beginning of a line.
pub(super) struct Sample {
    /// The text in front of labels.
    pub(super) open: Vec<u8>,
    /// The text in front of the value if there are no labels.
    bare: Vec<u8>,
}

impl Sample {
    pub(super) fn new(name: &str) -> Self {
        let mut quoted = Vec::new();
        write_metric(&mut quoted, name);
        let parts: [&[u8]; 4] = if is_legacy(name, NameKind::Metric) {
            [b"", b"{", b"", b" "]
        } else {
            [b"{", b",", b"{", b"} "]
        };
        Sample {
            open: [parts[0], &quoted, parts[1]].concat(),
            bare: [parts[2], &quoted, parts[3]].concat(),
        }
    }
}

/// Writes a metric's name, quoted if necessary.
pub(super) fn write_metric(out: &mut Vec<u8>, name: &str) {
    if is_legacy(name, NameKind::Metric) {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'"');
        escape::value(out, name);
        out.push(b'"');
    }
}

/// A writer for the lines of one point.
pub(super) struct LineWriter<'a> {
    pub(super) out: &'a mut ChunkWriter,
    /// The labels without braces.
    pub(super) content: &'a [u8],
    /// A buffer that is reused.
    pub(super) text: &'a mut Vec<u8>,
    pub(super) style: Style,
}

impl LineWriter<'_> {
    /// Writes a line with the point's labels, followed by `label` if it is not empty.
    pub(super) fn line(&mut self, sample: &Sample, label: &[u8], number: Number) {
        self.begin(sample, label);
        number.write(self.out);
        self.out.text(b"\n");
    }

    /// Writes a line with an exemplar, if there is one and the format supports it.
    pub(super) fn line_with(&mut self, sample: &Sample, number: Number, with: Option<&Exemplar>) {
        self.begin(sample, b"");
        number.write(self.out);
        self.end(with);
    }

    /// Writes the line with the start time of the point, if it is known.
    pub(super) fn created(&mut self, sample: Option<&Sample>, point: &Point<'_>) {
        if let (Some(sample), Some(nanos)) = (sample, point.start_unix_nano) {
            self.begin(sample, b"");
            self.text.clear();
            exemplar::write_seconds(self.text, nanos);
            self.text.push(b'\n');
            self.out.text(self.text);
        }
    }

    /// Returns the beginning of a line, up to the value of an additional label: the part that all
    /// lines with this label share.
    pub(super) fn prefix(&mut self, sample: &Sample, name: &[u8]) -> &[u8] {
        self.text.clear();
        self.text.extend_from_slice(&sample.open);
        self.text.extend_from_slice(self.content);
        if !self.content.is_empty() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(name);
        self.text
    }

    /// Writes the result of `prefix` to the page.
    pub(super) fn write_prefix(&mut self, sample: &Sample, name: &[u8]) {
        self.prefix(sample, name);
        self.out.text(self.text);
    }

    /// Writes the end of a line: the exemplar, if any, and the newline.
    pub(super) fn end(&mut self, exemplar: Option<&Exemplar>) {
        self.text.clear();
        if let (Some(exemplar), Dialect::OpenMetrics) = (exemplar, self.style.dialect) {
            exemplar::write(
                self.text,
                exemplar,
                self.style.translation,
                self.style.escaping,
            );
        }
        self.text.push(b'\n');
        self.out.text(self.text);
    }

    fn begin(&mut self, sample: &Sample, label: &[u8]) {
        if self.content.is_empty() && label.is_empty() {
            self.out.text(&sample.bare);
            return;
        }
        self.prefix(sample, label);
        if label.is_empty() {
            self.text.pop();
        }
        self.text.extend_from_slice(b"} ");
        self.out.text(self.text);
    }
}
