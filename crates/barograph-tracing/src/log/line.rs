//! A log line under construction, with a maximum length.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use barograph_model::timestamp::push_rfc3339;

use super::escape::{self, Escape};
use crate::redact::{REDACTED, Redaction};

/// The maximum length of a line, in bytes, including its line end.
pub(super) const MOST: usize = 16 * 1024;

/// The bytes that are reserved for the end of each line.
const RESERVE: usize = 256;

/// The mark at the place where a text was cut.
const CUT: &str = "…";

/// A text with a maximum length. The fixed parts of a line are written whole while there is room;
/// foreign texts are cut.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    /// The memory for the next line that `Line::aside` returns.
    aside: String,
    most: usize,
    is_cut: bool,
}

impl Line {
    /// Creates an empty line.
    pub(super) const fn new() -> Self {
        Line::piece(String::new(), MOST - RESERVE)
    }

    /// Empties the line, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.is_cut = false;
    }

    /// Creates a piece of a line that begins with `text` and has at most `most` bytes.
    pub(super) const fn piece(text: String, most: usize) -> Self {
        Line {
            text,
            aside: String::new(),
            most,
            is_cut: false,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Returns true if something was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns true if there is room for this number of bytes and the mark of a cut. Otherwise it
    /// marks the line as cut.
    #[inline]
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        let has = !self.is_cut && self.text.len() + bytes + CUT.len() <= self.most;
        self.is_cut |= !has;
        has
    }

    /// Appends a fixed part of the line, which may use the reserve.
    #[inline]
    pub(super) fn form(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a time.
    #[inline]
    pub(super) fn time(&mut self, unix_nanos: u64) {
        push_rfc3339(&mut self.text, unix_nanos);
    }

    /// Appends a word, or a shorter one if there is no room for it.
    #[inline]
    pub(super) fn whole_or(&mut self, word: &str, shorter: &str) {
        let word = if self.has_room(word.len()) {
            word
        } else {
            shorter
        };
        self.text.push_str(word);
    }

    /// Removes everything that was appended since the line had this length.
    pub(super) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }

    /// Returns a separate line for text that is not final yet; its memory is given back with
    /// [`Line::done`].
    pub(super) fn aside(&mut self) -> Line {
        let mut text = std::mem::take(&mut self.aside);
        text.clear();
        Line {
            text,
            aside: String::new(),
            most: self.most.saturating_sub(self.text.len()).max(CUT.len()),
            is_cut: self.is_cut,
        }
    }

    /// Takes back the memory of a separate line for the next time.
    pub(super) fn done(&mut self, aside: Line) {
        self.is_cut |= aside.is_cut;
        self.aside = aside.text;
    }

    /// Appends a foreign text.
    #[inline]
    pub(super) fn text(&mut self, text: &str, escape: Escape) {
        if !self.is_cut && !escape::push(&mut self.text, text, escape, self.most - CUT.len()) {
            self.text.push_str(CUT);
            self.is_cut = true;
        }
    }

    /// Appends the `Debug` form of a foreign value.
    pub(super) fn debug(&mut self, value: &dyn fmt::Debug, escape: Escape) {
        let start = self.text.len();
        let written = write!(Escaped { line: self, escape }, "{value:?}");
        // A full line also stops the formatter. The output of a `Debug` that fails by itself is
        // useless.
        if written.is_err() && !self.is_cut {
            self.text.truncate(start);
            self.text(DEBUG_FAILED, escape);
        }
    }

    /// Appends the `Display` form of a foreign value.
    pub(super) fn display(&mut self, value: &dyn fmt::Display, escape: Escape) {
        self.debug(&format_args!("{value}"), escape);
    }

    /// Redacts the secrets in everything that was appended since the line had this length.
    pub(super) fn redact(&mut self, from: usize, redaction: &Redaction) {
        let Cow::Owned(redacted) = redaction.text(&self.text[from..]) else {
            return;
        };
        self.text.truncate(from);
        // The text may have grown, because a secret may be shorter than its replacement.
        if self.text.len() + redacted.len() <= self.most {
            self.text.push_str(&redacted);
        } else {
            self.text.push_str(REDACTED);
            self.text.push_str(CUT);
            self.is_cut = true;
        }
    }
}

/// The replacement of a value whose `Debug` fails.
const DEBUG_FAILED: &str = "<error in Debug>";

/// Escapes the output of a formatter, and stops the formatter when the line is full.
struct Escaped<'a> {
    line: &'a mut Line,
    escape: Escape,
}

impl fmt::Write for Escaped<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.line.text(text, self.escape);
        match self.line.is_cut {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}
