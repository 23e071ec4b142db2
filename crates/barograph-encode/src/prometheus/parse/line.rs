//! One line of a page.

use std::borrow::Cow;

use super::Dialect;
use super::cursor::{Cursor, NameOf, Quotes, Unexpected, unescape};
use super::family::{FamilyKind, ParsedExemplar, ParsedSample};
use super::problem::PageRule;

/// One line of a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// A line without meaning: a blank one or a comment, which only text may have.
    Nothing,
    Help(Cow<'a, str>, Cow<'a, str>),
    Type(Cow<'a, str>, FamilyKind),
    Unit(Cow<'a, str>, Cow<'a, str>),
    /// The last line of OpenMetrics.
    Eof,
    Sample(ParsedSample<'a>),
}

/// Parses a line. Also returns true if it has a quoted name.
pub(super) fn parse(
    line: &str,
    number: usize,
    dialect: Dialect,
) -> (Result<Line<'_>, Unexpected>, bool) {
    let mut cursor = Cursor::new(line, dialect);
    let parsed = parse_with(&mut cursor, number, dialect);
    (parsed, cursor.has_quoted_name)
}

fn parse_with<'a>(
    cursor: &mut Cursor<'a>,
    number: usize,
    dialect: Dialect,
) -> Result<Line<'a>, Unexpected> {
    cursor.skip_blanks();
    match (cursor.rest().chars().next(), dialect) {
        (None, Dialect::Text) => Ok(Line::Nothing),
        (None, Dialect::OpenMetrics) => {
            Err(cursor.unexpected(PageRule::Syntax, "no blank line in OpenMetrics"))
        }
        (Some('#'), _) => comment(cursor, dialect),
        _ => sample(cursor, number, dialect).map(Line::Sample),
    }
}

/// Parses a line that begins with `#`. In text it is a comment unless a keyword follows.
fn comment<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Result<Line<'a>, Unexpected> {
    if dialect == Dialect::OpenMetrics && cursor.rest() == "# EOF" {
        return Ok(Line::Eof);
    }
    let begin = cursor.clone();
    cursor.take("#");
    if dialect == Dialect::OpenMetrics && !cursor.take(" ") {
        let expected = "# HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments";
        return Err(begin.unexpected(PageRule::Syntax, expected));
    }
    cursor.skip_blanks();
    let keyword = cursor.word();
    match (keyword, dialect) {
        ("HELP", _) => {
            let name = described(cursor)?;
            if dialect == Dialect::Text && cursor.rest().is_empty() {
                return Ok(Line::Help(name, Cow::Borrowed("")));
            }
            // Blanks that follow the first one are part of the text.
            if !(cursor.take(" ") || dialect == Dialect::Text && cursor.take("\t")) {
                return Err(cursor.unexpected(PageRule::Syntax, "a space"));
            }
            let (quotes, expected) = match dialect {
                Dialect::Text => (Quotes::Plain, r"one of the escapes \\ and \n"),
                Dialect::OpenMetrics => (Quotes::Escaped, r#"one of the escapes \\, \" and \n"#),
            };
            let text = unescape(cursor.rest(), quotes).map_err(|at| {
                let found = cursor.rest()[at..].to_owned();
                Unexpected {
                    at: cursor.at() + at,
                    found,
                    ..cursor.unexpected(PageRule::Syntax, expected)
                }
            })?;
            Ok(Line::Help(name, text))
        }
        ("TYPE", _) => {
            let name = described(cursor)?;
            cursor.separator()?;
            let begin = cursor.clone();
            let word = cursor.word();
            cursor.end()?;
            let kind = FamilyKind::parse(word, dialect).ok_or_else(|| {
                let kinds = FamilyKind::of_dialect(dialect).iter();
                let kinds: Vec<_> = kinds.map(|kind| kind.as_str_in(dialect)).collect();
                begin.unexpected(PageRule::Metadata, format!("a type: {}", kinds.join(", ")))
            })?;
            Ok(Line::Type(name, kind))
        }
        ("UNIT", Dialect::OpenMetrics) => {
            let name = described(cursor)?;
            cursor.separator()?;
            let unit = cursor.word();
            cursor.end()?;
            Ok(Line::Unit(name, Cow::Borrowed(unit)))
        }
        (_, Dialect::Text) => Ok(Line::Nothing),
        (_, Dialect::OpenMetrics) => {
            let expected = "# HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments";
            Err(begin.unexpected(PageRule::Syntax, expected))
        }
    }
}

/// Parses the name that follows a keyword.
fn described<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, Unexpected> {
    cursor.separator()?;
    let name = cursor.name(NameOf::Metric)?;
    match cursor.rest().starts_with([' ', '\t']) || cursor.rest().is_empty() {
        true => Ok(name),
        false => Err(cursor.unexpected(PageRule::Name, "a space after the name of a metric")),
    }
}

fn sample<'a>(
    cursor: &mut Cursor<'a>,
    line: usize,
    dialect: Dialect,
) -> Result<ParsedSample<'a>, Unexpected> {
    let (name, labels) = if cursor.take("{") {
        // A quoted name is the first element in the braces.
        cursor.skip_blanks();
        let name = cursor.quoted_name()?;
        cursor.skip_blanks();
        let labels = match cursor.take(",") {
            true => cursor.labels()?,
            false => Vec::new(),
        };
        cursor.close()?;
        (name, labels)
    } else {
        let name = cursor.name(NameOf::Metric)?;
        let before_blanks = cursor.clone();
        cursor.skip_blanks();
        let labels = match cursor.take("{") {
            true => {
                let labels = cursor.labels()?;
                cursor.close()?;
                labels
            }
            false => {
                *cursor = before_blanks;
                Vec::new()
            }
        };
        (name, labels)
    };
    cursor.separator()?;
    let value = cursor.number()?;
    let (mut timestamp, mut exemplar) = (None, None);
    match dialect {
        Dialect::Text => {
            cursor.skip_blanks();
            if cursor.rest().starts_with('#') {
                let expected = "the end of the line: only OpenMetrics has exemplars";
                return Err(cursor.unexpected(PageRule::Exemplar, expected));
            }
            if !cursor.rest().is_empty() {
                timestamp = Some(cursor.timestamp()?);
            }
        }
        Dialect::OpenMetrics => {
            if !cursor.rest().starts_with(" # ") && cursor.take(" ") {
                timestamp = Some(cursor.timestamp()?);
            }
            if cursor.take(" # ") {
                exemplar = Some(parse_exemplar(cursor)?);
            }
        }
    }
    cursor.end()?;
    Ok(ParsedSample {
        line,
        name,
        labels,
        value,
        timestamp,
        exemplar,
    })
}

fn parse_exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<ParsedExemplar<'a>, Unexpected> {
    if !cursor.take("{") {
        return Err(cursor.unexpected(PageRule::Exemplar, "the labels of an exemplar in braces"));
    }
    let labels = cursor.labels()?;
    cursor.close()?;
    cursor.separator()?;
    let value = cursor.number()?;
    let timestamp = match cursor.take(" ") {
        true => Some(cursor.timestamp()?),
        false => None,
    };
    Ok(ParsedExemplar {
        labels,
        value,
        timestamp,
    })
}
