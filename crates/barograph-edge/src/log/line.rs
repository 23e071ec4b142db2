//! A line in the making, which does not get longer than it may.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::escape::{self, Escape};
use super::time;
use crate::redact::{REDACTED, Redaction};

/// The most bytes of a line, its end included.
pub(super) const MOST: usize = 16 * 1024;

/// Bytes that are kept free for what belongs at the end of each line.
const RESERVE: usize = 256;

/// What stands where a text was cut.
const CUT: &str = "…";

/// A text with a limit. What the line itself says goes in whole while there is room; texts of others
/// are cut.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    /// The text of the line aside, while there is none.
    aside: String,
    most: usize,
    is_cut: bool,
}

impl Line {
    /// An empty line.
    pub(super) const fn new() -> Self {
        Line::piece(String::new(), MOST - RESERVE)
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.is_cut = false;
    }

    /// A piece of a line that begins with this text, of no more bytes than this.
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

    /// Whether something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether there is room for so many bytes and the mark of a cut. If not, the line is cut.
    #[inline]
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        let has = !self.is_cut && self.text.len() + bytes + CUT.len() <= self.most;
        self.is_cut |= !has;
        has
    }

    /// Appends what belongs to the line's form, of the reserve if need be.
    #[inline]
    pub(super) fn form(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a time.
    #[inline]
    pub(super) fn time(&mut self, unix_nanos: u64) {
        time::push(&mut self.text, unix_nanos);
    }

    /// Appends a word, or one that is shorter when there is no room for it.
    #[inline]
    pub(super) fn whole_or(&mut self, word: &str, shorter: &str) {
        let word = if self.has_room(word.len()) {
            word
        } else {
            shorter
        };
        self.text.push_str(word);
    }

    /// Takes back all that was appended since the line had this length.
    pub(super) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }

    /// A line of its own for what is not decided yet; its text comes back with [`Line::done`].
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

    /// Takes a text back, for the next time.
    pub(super) fn done(&mut self, aside: Line) {
        self.is_cut |= aside.is_cut;
        self.aside = aside.text;
    }

    /// Appends a text of others.
    #[inline]
    pub(super) fn text(&mut self, text: &str, escape: Escape) {
        if !self.is_cut && !escape::push(&mut self.text, text, escape, self.most - CUT.len()) {
            self.text.push_str(CUT);
            self.is_cut = true;
        }
    }

    /// Appends the `Debug` form of something of others.
    pub(super) fn debug(&mut self, value: &dyn fmt::Debug, escape: Escape) {
        let start = self.text.len();
        let written = write!(Escaped { line: self, escape }, "{value:?}");
        // A full line stops it too. One that fails of itself has said nothing that makes sense.
        if written.is_err() && !self.is_cut {
            self.text.truncate(start);
            self.text(UNTOLD, escape);
        }
    }

    /// Appends the `Display` form of something of others.
    pub(super) fn display(&mut self, value: &dyn fmt::Display, escape: Escape) {
        self.debug(&format_args!("{value}"), escape);
    }

    /// Takes the secrets out of all that was appended since the line had this length.
    pub(super) fn redact(&mut self, from: usize, redaction: &Redaction) {
        let Cow::Owned(told) = redaction.text(&self.text[from..]) else {
            return;
        };
        self.text.truncate(from);
        // Every secret may have been shorter than the word that stands for it.
        if self.text.len() + told.len() <= self.most {
            self.text.push_str(&told);
        } else {
            self.text.push_str(REDACTED);
            self.text.push_str(CUT);
            self.is_cut = true;
        }
    }
}

/// What stands for a value whose `Debug` fails.
const UNTOLD: &str = "<error in Debug>";

/// Escapes what a formatter gives it, and stops the formatter when the line is full.
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
