//! Finds the secrets in a text.
//!
//! A secret has a name of the list before it, with `=` or `:` between them, or stands before the `@`
//! of a URL. The text may be JSON, the query of a URL, a header, the `Debug` form of a struct, also
//! escaped once more: quotes and backslashes around names and values are passed over. In
//! `user[password]` and `token[0]` each part is a name.
//!
//! Percent-encoding can hide all of this: `%74oken=…`, `user%5Bpassword%5D=…`, and a whole URL as the
//! value of a parameter. So a text that has any of its signs, or of the characters of names, encoded is
//! read again with that undone, level by level, and what is found there is taken out of the text as it
//! stands. What is encoded ends no value whose sign is not: there it is a part of the value.

use memchr::{memchr, memchr2};

use super::{Names, Place, REDACTED};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// The query of a URL, without its `?`.
    Query,
}

/// The text without its secrets; none where it has none.
#[inline]
pub(super) fn redacted(text: &str, names: &Names, kind: Kind) -> Option<String> {
    let view = View {
        bytes: text.as_bytes(),
        sources: &[],
    };
    let told = replace(text, view, names, kind);
    match memchr(b'%', text.as_bytes()) {
        None => told,
        Some(_) => decoded(text, told, names, kind),
    }
}

/// How often percent-encoding is undone.
const MOST_LEVELS: usize = 3;

/// The same of what is encoded.
#[cold]
fn decoded(text: &str, mut told: Option<String>, names: &Names, kind: Kind) -> Option<String> {
    for level in 1..=MOST_LEVELS {
        let now = told.as_deref().unwrap_or(text);
        let mut bytes = now.as_bytes().to_vec();
        let mut sources: Vec<usize> = (0..=bytes.len()).collect();
        let has_more = (0..level).all(|_| decode(&mut bytes, &mut sources));
        if !has_more {
            break;
        }
        let view = View {
            bytes: &bytes,
            sources: &sources,
        };
        told = replace(now, view, names, kind).or(told);
    }
    told
}

/// Undoes one level of percent-encoding in place; whether that tells anything.
fn decode(bytes: &mut Vec<u8>, sources: &mut Vec<usize>) -> bool {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut from, mut to, mut tells) = (0, 0, false);
    while from < bytes.len() {
        let byte = match bytes[from..] {
            [b'%', ref high, ref low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        sources[to] = sources[from];
        match byte {
            Some((high, low)) => {
                // Two hexadecimal digits fit a byte.
                let byte = (high * 16 + low) as u8;
                tells |= is_in_name(byte) || b"=:[].%".contains(&byte);
                bytes[to] = byte;
                from += 3;
            }
            None => {
                bytes[to] = bytes[from];
                from += 1;
            }
        }
        to += 1;
    }
    sources[to] = sources[from];
    bytes.truncate(to);
    sources.truncate(to + 1);
    tells
}

/// The text without all secrets that a view of it shows.
fn replace(text: &str, view: View<'_>, names: &Names, kind: Kind) -> Option<String> {
    let mut secret = view.next(0, names, kind)?;
    let mut told = String::with_capacity(text.len() + REDACTED.len());
    let mut from = 0;
    loop {
        let Secret { start, end, with } = secret;
        told.push_str(&text[from..view.source(start)]);
        told.push_str(with);
        from = view.source(end);
        match view.next(end, names, kind) {
            Some(next) => secret = next,
            None => break,
        }
    }
    told.push_str(&text[from..]);
    Some(told)
}

/// Where a secret is in a view, and what takes its place.
struct Secret {
    start: usize,
    end: usize,
    with: &'static str,
}

/// Both parts of what stands before the `@`.
const USER_AND_PASSWORD: &str = "REDACTED:REDACTED";

/// A text as it is, or with percent-encoding undone.
#[derive(Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    /// Where each byte is in the text, and where the text ends; empty where that is the same.
    sources: &'a [usize],
}

impl View<'_> {
    #[inline]
    fn source(&self, at: usize) -> usize {
        self.sources.get(at).copied().unwrap_or(at)
    }

    #[inline]
    fn is_encoded(&self, at: usize) -> bool {
        match self.sources.get(at..at + 2) {
            Some(&[start, end]) => end - start > 1,
            _ => false,
        }
    }

    /// A byte as it may end or quote the value behind the sign.
    #[inline]
    fn mark(&self, at: usize, sign: usize) -> Option<u8> {
        let byte = *self.bytes.get(at)?;
        // A backslash that is encoded escapes nothing in the text as it stands.
        let is_data = self.is_encoded(at) && (byte == b'\\' || !self.is_encoded(sign));
        Some(if is_data { b'x' } else { byte })
    }

    /// How many of these marks there are from here on.
    fn run(&self, from: usize, sign: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let marks = (from..).map_while(|at| self.mark(at, sign));
        marks.take_while(|mark| is_part(*mark)).count()
    }

    /// The first secret that does not begin before `from`.
    #[inline]
    fn next(&self, from: usize, names: &Names, kind: Kind) -> Option<Secret> {
        let mut at = from;
        while let Some(found) = memchr2(b'=', b':', &self.bytes[at..]) {
            at += found;
            let secret = match self.bytes[at..].starts_with(b"://") {
                true => self.login(at),
                false => self.value(from, at, names, kind),
            };
            if secret.is_some() {
                return secret;
            }
            at += 1;
        }
        None
    }

    /// What stands before the `@` of the URL whose `://` begins here.
    fn login(&self, sign: usize) -> Option<Secret> {
        let start = sign + 3;
        let ends = |mark: u8| mark.is_ascii_whitespace() || b"/?#\"'\\<>".contains(&mark);
        let length = self.run(start, sign, |mark| !ends(mark));
        let is_at = |at: &usize| self.mark(*at, sign) == Some(b'@');
        let end = (start..start + length).rev().find(is_at)?;
        let with = match self.bytes[start..end].contains(&b':') {
            true => USER_AND_PASSWORD,
            false => REDACTED,
        };
        Some(Secret { start, end, with })
    }

    /// The value behind the sign, if a name before it is one of the list.
    fn value(&self, from: usize, sign: usize, names: &Names, kind: Kind) -> Option<Secret> {
        let before = &self.bytes[from..sign];
        let end = before.iter().rposition(|b| !is_around(*b))? + 1;
        let name = Name::before(&before[..end], names)?;
        let start = from + name.start;
        let is_parameter = self.bytes[sign] == b'='
            && match start.checked_sub(1) {
                None => kind == Kind::Query,
                Some(at) => matches!(self.bytes[at], b'?' | b'&' | b'#'),
            };
        let (start, quote) = self.opening(sign);
        let end = match quote {
            Some(quote) => self.closing(start, sign, &quote),
            None if is_parameter => self.unquoted(start, sign, ends_parameter),
            None if name.is_of_many_words => self.unquoted(start, sign, |mark| {
                ends_value(mark) && !is_between_words(mark)
            }),
            None => self.unquoted(start, sign, ends_value),
        };
        let with = REDACTED;
        (end > start).then_some(Secret { start, end, with })
    }

    /// Where a value begins, behind spaces and a quote.
    fn opening(&self, sign: usize) -> (usize, Option<Quote>) {
        let start = sign + 1;
        let start = start + self.run(start, sign, |mark| matches!(mark, b' ' | b'\t'));
        let escapes = self.run(start, sign, |mark| mark == b'\\');
        match self.mark(start + escapes, sign) {
            Some(mark @ (b'"' | b'\'')) => (start + escapes + 1, Some(Quote { mark, escapes })),
            _ => (start, None),
        }
    }

    /// Where the value inside of the quotes ends. One that is never closed goes to the end.
    fn closing(&self, start: usize, sign: usize, quote: &Quote) -> usize {
        for at in start..self.bytes.len() {
            if self.mark(at, sign) != Some(quote.mark) {
                continue;
            }
            let before = (start..at).rev();
            let escapes = before.take_while(|at| self.mark(*at, sign) == Some(b'\\'));
            let escapes = escapes.count();
            // A backslash in the value is two before a quote without any, and four before one with
            // one; with more of them, none is expected.
            let closes = match quote.escapes {
                0 => escapes % 2 == 0,
                1 => escapes % 4 == 1,
                expected => escapes == expected,
            };
            if closes {
                return at - quote.escapes;
            }
        }
        self.bytes.len()
    }

    /// Where a value ends because its kind of text goes on. Not inside of an escape, since what is left
    /// of that would be none.
    fn unquoted(&self, start: usize, sign: usize, ends: impl Fn(u8) -> bool) -> usize {
        let mut at = start;
        while let Some(mark) = self.mark(at, sign) {
            match mark {
                b'\\' => match self.mark(at + 1, sign) {
                    None | Some(b'"' | b'n' | b'r' | b't') => break,
                    Some(_) => at += 1,
                },
                mark if ends(mark) => break,
                _ => {}
            }
            at += 1;
        }
        // A backslash may have been followed by the first byte of a longer character.
        let is_boundary = |at: &usize| self.bytes[*at] & 0xc0 != 0x80;
        (at..self.bytes.len())
            .find(is_boundary)
            .unwrap_or(self.bytes.len())
    }
}

/// The quote around a value, and how many backslashes stand before it.
struct Quote {
    mark: u8,
    escapes: usize,
}

/// A name of the list, before a sign.
struct Name {
    /// Where it begins, with what stands before its brackets.
    start: usize,
    is_of_many_words: bool,
}

impl Name {
    /// The name that ends with this text, if it or a part of it in brackets is one of the list.
    fn before(text: &[u8], names: &Names) -> Option<Self> {
        let mut is_secret = false;
        let mut end = text.len();
        while let Some(inside) = text[..end].strip_suffix(b"]") {
            let least = inside.len().saturating_sub(MOST_IN_BRACKETS);
            let open = least + inside[least..].iter().rposition(|byte| *byte == b'[')?;
            let part = inside[open + 1..].trim_ascii();
            is_secret |= names.has(unquote(part), Place::Texts);
            end = open;
        }
        let mut start = start_of_name(&text[..end]);
        is_secret |= names.has(&text[start..end], Place::Texts);
        let name = start..end;
        // An index: `token.0`.
        if text[start..end].iter().all(u8::is_ascii_digit)
            && let Some(before) = text[..start].strip_suffix(b".")
        {
            start = start_of_name(before);
            is_secret |= names.has(&before[start..], Place::Texts);
        }
        is_secret.then(|| Name {
            start,
            is_of_many_words: is_of_many_words(&text[name]),
        })
    }
}

/// How long a part of a name in brackets is at the most.
const MOST_IN_BRACKETS: usize = 128;

fn start_of_name(text: &[u8]) -> usize {
    let other = text.iter().rposition(|byte| !is_in_name(*byte));
    other.map_or(0, |other| other + 1)
}

/// A part in brackets without quotes, also escaped ones.
fn unquote(part: &[u8]) -> &[u8] {
    let start = part.iter().position(|byte| is_in_name(*byte));
    let end = part.iter().rposition(|byte| is_in_name(*byte));
    match (start, end) {
        (Some(start), Some(end)) => &part[start..=end],
        _ => &[],
    }
}

/// What ends a value in any text.
fn ends_value(mark: u8) -> bool {
    (ends_parameter(mark) && mark != b'#')
        || matches!(mark, b';' | b'\'' | b',' | b')' | b'}' | b']')
}

/// What ends the value of a parameter of a URL, in which other signs may be a part of it.
fn ends_parameter(mark: u8) -> bool {
    matches!(
        mark,
        b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'&' | b'#' | b'<' | b'>'
    )
}

/// What stands between the words of one value.
fn is_between_words(mark: u8) -> bool {
    matches!(mark, b' ' | b'\t' | b';')
}

/// Names whose values have spaces in them: `Authorization: Bearer …`.
fn is_of_many_words(name: &[u8]) -> bool {
    let ends_with = |end: &[u8]| {
        name.len()
            .checked_sub(end.len())
            .is_some_and(|from| name[from..].eq_ignore_ascii_case(end))
    };
    ends_with(b"authorization") || ends_with(b"cookie")
}

fn is_around(byte: u8) -> bool {
    matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b'\t')
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
