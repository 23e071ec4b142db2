//! Reads the parts of a line: names, labels, quoted texts and numbers.

use std::borrow::Cow;

use super::Dialect;
use super::problem::PageRule;

/// Names and values of labels.
pub(super) type LabelPairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The part of a line that was not read yet.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    /// The position of the next byte.
    at: usize,
    dialect: Dialect,
    /// True if a quoted name was read.
    pub(super) has_quoted_name: bool,
}

/// A part of a line that is not what was expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unexpected {
    pub(super) rule: PageRule,
    /// The position in the line, in bytes.
    pub(super) at: usize,
    pub(super) found: String,
    pub(super) expected: Box<str>,
}

/// The kind of a name. Only metric names may contain a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameOf {
    Metric,
    Label,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str, dialect: Dialect) -> Self {
        Cursor {
            line,
            at: 0,
            dialect,
            has_quoted_name: false,
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the error that something else was expected here.
    pub(super) fn unexpected(&self, rule: PageRule, expected: impl Into<Box<str>>) -> Unexpected {
        Unexpected {
            rule,
            at: self.at,
            found: self.rest().to_owned(),
            expected: expected.into(),
        }
    }

    /// Skips a text, and returns true if it is here.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_here = self.rest().starts_with(text);
        if is_here {
            self.at += text.len();
        }
        is_here
    }

    /// Skips blanks, which may be anywhere between two parts in text. OpenMetrics has none there.
    pub(super) fn skip_blanks(&mut self) {
        if self.dialect == Dialect::Text {
            self.at = self.line.len() - self.rest().trim_start_matches(BLANKS).len();
        }
    }

    /// Skips the separator of two parts: one space in OpenMetrics, any number of blanks in text.
    pub(super) fn separator(&mut self) -> Result<(), Unexpected> {
        let begin = self.at;
        match self.dialect {
            Dialect::Text => self.skip_blanks(),
            Dialect::OpenMetrics => drop(self.take(" ")),
        }
        match self.at > begin {
            true => Ok(()),
            false => Err(self.unexpected(PageRule::Syntax, "a space")),
        }
    }

    /// Fails unless the line ends here.
    pub(super) fn end(&mut self) -> Result<(), Unexpected> {
        self.skip_blanks();
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.unexpected(PageRule::Syntax, "the end of the line")),
        }
    }

    /// Reads up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(BLANKS).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Reads a name, quoted or not.
    pub(super) fn name(&mut self, of: NameOf) -> Result<Cow<'a, str>, Unexpected> {
        if self.rest().starts_with('"') {
            return self.quoted_name();
        }
        let is_part =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && of == NameOf::Metric);
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let expected = match of {
                NameOf::Metric => "the name of a metric, [a-zA-Z_:][a-zA-Z0-9_:]* or quoted",
                NameOf::Label => "the name of a label, [a-zA-Z_][a-zA-Z0-9_]* or quoted",
            };
            return Err(self.unexpected(PageRule::Name, expected));
        }
        self.at += end;
        Ok(Cow::Borrowed(name))
    }

    /// Reads a name in quotes.
    pub(super) fn quoted_name(&mut self) -> Result<Cow<'a, str>, Unexpected> {
        let begin = self.clone();
        let name = self.quoted("a name in double quotes")?;
        self.has_quoted_name = true;
        match name.is_empty() {
            true => Err(begin.unexpected(PageRule::Name, "a name of at least one character")),
            false => Ok(name),
        }
    }

    /// Reads labels up to the closing brace, which is not read.
    pub(super) fn labels(&mut self) -> Result<LabelPairs<'a>, Unexpected> {
        let mut labels: LabelPairs<'a> = Vec::new();
        self.skip_blanks();
        if self.rest().starts_with('}') {
            return Ok(labels);
        }
        loop {
            let begin = self.clone();
            let name = self.name(NameOf::Label)?;
            self.skip_blanks();
            if !self.take("=") {
                return Err(self.unexpected(PageRule::Syntax, "= after the name of a label"));
            }
            self.skip_blanks();
            let value = self.quoted("a label value in double quotes")?;
            if name.starts_with("__") {
                let expected = "another name: those that begin with __ are reserved";
                return Err(begin.unexpected(PageRule::Name, expected));
            }
            if labels.iter().any(|(key, _)| *key == name) {
                let expected = "each label once in a sample";
                return Err(begin.unexpected(PageRule::DuplicateLabel, expected));
            }
            labels.push((name, value));
            self.skip_blanks();
            if !self.take(",") {
                return Ok(labels);
            }
            self.skip_blanks();
            // A comma may follow the last label in text.
            if self.dialect == Dialect::Text && self.rest().starts_with('}') {
                return Ok(labels);
            }
        }
    }

    /// Reads the closing brace of labels.
    pub(super) fn close(&mut self) -> Result<(), Unexpected> {
        match self.take("}") {
            true => Ok(()),
            false => Err(self.unexpected(PageRule::Syntax, ", or } after a label")),
        }
    }

    /// Reads a text in double quotes.
    fn quoted(&mut self, expected: &str) -> Result<Cow<'a, str>, Unexpected> {
        if !self.rest().starts_with('"') {
            return Err(self.unexpected(PageRule::Syntax, expected));
        }
        let begin = self.at;
        let inside = &self.line[begin + 1..];
        let mut escaped = false;
        let end = inside.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let Some(end) = end else {
            let expected = format!("{expected}, with an end on this line");
            return Err(self.unexpected(PageRule::Syntax, expected));
        };
        let text = unescape(&inside[..end], Quotes::Escaped).map_err(|at| {
            self.at = begin + 1 + at;
            self.unexpected(PageRule::Syntax, r#"one of the escapes \\, \" and \n"#)
        })?;
        self.at = begin + end + 2;
        Ok(text)
    }

    /// Reads a number that a sample or an exemplar may have.
    pub(super) fn number(&mut self) -> Result<f64, Unexpected> {
        let begin = self.clone();
        let word = self.word();
        number(word).ok_or_else(|| Unexpected {
            found: word.to_owned(),
            ..begin.unexpected(PageRule::Value, "a number, +Inf, -Inf or NaN")
        })
    }

    /// Reads a timestamp in the unit of the format, and returns seconds.
    pub(super) fn timestamp(&mut self) -> Result<f64, Unexpected> {
        let begin = self.clone();
        let word = self.word();
        let (timestamp, expected) = match self.dialect {
            Dialect::Text => {
                let milliseconds = word.parse::<i64>().ok();
                let seconds = milliseconds.map(|milliseconds| milliseconds as f64 / 1000.0);
                (seconds, "a timestamp, a whole number of milliseconds")
            }
            Dialect::OpenMetrics => {
                let seconds = number(word).filter(|seconds| seconds.is_finite());
                (seconds, "a timestamp, a number of seconds")
            }
        };
        timestamp.ok_or_else(|| Unexpected {
            found: word.to_owned(),
            ..begin.unexpected(PageRule::Timestamp, expected)
        })
    }
}

/// The treatment of quotes in an escaped text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `\"` stands for a quote.
    Escaped,
    /// A quote stands for itself, and `\"` is not an escape.
    Plain,
}

/// Replaces the escapes of a text, or returns the position of the first that is not one.
pub(super) fn unescape(text: &str, quotes: Quotes) -> Result<Cow<'_, str>, usize> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some((_, '\\')) => '\\',
                Some((_, 'n')) => '\n',
                Some((_, '"')) if quotes == Quotes::Escaped => '"',
                _ => return Err(at),
            },
            c => c,
        });
    }
    Ok(Cow::Owned(plain))
}

/// Parses a number. Rust's own parser knows all forms of the formats, and one more: NaN with a sign.
pub(super) fn number(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let is_signed = text.starts_with(['+', '-']);
    (!number.is_nan() || !is_signed).then_some(number)
}

const BLANKS: [char; 2] = [' ', '\t'];
