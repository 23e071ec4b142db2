//! Finds the secrets in a text.
//!
//! A secret has a name of the list before it, with `=` or `:` between them, or stands before the `@`
//! of a URL. The text may be JSON, the query of a URL, a header, the `Debug` form of a struct, also
//! escaped once more: quotes and backslashes around names and values are passed over.

use std::ops::Range;

use memchr::memchr2;

use super::{Names, Place, REDACTED};

/// Where the next secret is, and where to go on.
pub(super) struct Secret {
    at: Range<usize>,
    with: &'static str,
}

/// Both parts of what stands before the `@`.
const USER_AND_PASSWORD: &str = "REDACTED:REDACTED";

/// The first secret that does not begin before `from`.
pub(super) fn next(text: &[u8], from: usize, names: &Names) -> Option<Secret> {
    let mut at = from;
    while let Some(found) = memchr2(b'=', b':', &text[at..]) {
        at += found;
        let secret = match text[at..].starts_with(b"://") {
            true => login(text, at + 3),
            false => value(text, from, at, names),
        };
        if secret.is_some() {
            return secret;
        }
        at += 1;
    }
    None
}

/// The text without `first` and all secrets behind it.
pub(super) fn replace(text: &str, first: Secret, names: &Names) -> String {
    let mut told = String::with_capacity(text.len() + REDACTED.len());
    let mut from = 0;
    let mut secret = Some(first);
    while let Some(Secret { at, with }) = secret {
        told.push_str(&text[from..at.start]);
        told.push_str(with);
        from = at.end;
        secret = next(text.as_bytes(), from, names);
    }
    told.push_str(&text[from..]);
    told
}

/// What stands before the `@` of the URL whose authority begins here.
fn login(text: &[u8], start: usize) -> Option<Secret> {
    let rest = &text[start..];
    let end = rest
        .iter()
        .position(|b| b.is_ascii_whitespace() || b"/?#\"'\\<>".contains(b));
    let authority = &rest[..end.unwrap_or(rest.len())];
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let with = match authority[..at].contains(&b':') {
        true => USER_AND_PASSWORD,
        false => REDACTED,
    };
    Some(Secret {
        at: start..start + at,
        with,
    })
}

/// The value behind the sign at `sign`, if the name before it is one of the list.
fn value(text: &[u8], from: usize, sign: usize, names: &Names) -> Option<Secret> {
    let before = &text[from..sign];
    let end = before.iter().rposition(|b| !is_around(*b))? + 1;
    let start = before[..end].iter().rposition(|b| !is_in_name(*b));
    let name = &before[start.map_or(0, |other| other + 1)..end];
    if !names.has(name, Place::Texts) {
        return None;
    }
    let behind = &text[sign + 1..];
    let (start, quote) = opening(behind);
    let value = &behind[start..];
    let length = match quote {
        Some(quote) => quote.closing(value),
        None => unquoted(value, is_of_many_words(name)),
    };
    let start = sign + 1 + start;
    (length > 0).then_some(Secret {
        at: start..start + length,
        with: REDACTED,
    })
}

/// The quote around a value, and how many backslashes stand before it.
struct Quote {
    mark: u8,
    escapes: usize,
}

/// Where a value begins, behind spaces and a quote.
fn opening(behind: &[u8]) -> (usize, Option<Quote>) {
    let spaces = run(behind, |byte| matches!(byte, b' ' | b'\t'));
    let rest = &behind[spaces..];
    let escapes = run(rest, |byte| byte == b'\\');
    match rest.get(escapes) {
        Some(&mark @ (b'"' | b'\'')) => (spaces + escapes + 1, Some(Quote { mark, escapes })),
        _ => (spaces, None),
    }
}

impl Quote {
    /// The length of the value inside of the quotes. One that is never closed goes to the end.
    fn closing(&self, value: &[u8]) -> usize {
        let mut from = 0;
        while let Some(found) = value[from..].iter().position(|byte| *byte == self.mark) {
            let at = from + found;
            let escapes = value[..at]
                .iter()
                .rev()
                .take_while(|b| **b == b'\\')
                .count();
            // A backslash in the value is two before a quote without any, and four before one with
            // one; with more of them, none is expected.
            let closes = match self.escapes {
                0 => escapes % 2 == 0,
                1 => escapes % 4 == 1,
                expected => escapes == expected,
            };
            if closes {
                return at - self.escapes;
            }
            from = at + 1;
        }
        value.len()
    }
}

/// The length of a value that ends where its kind of text goes on. It does not end inside of an
/// escape, since what is left of that would be none.
fn unquoted(value: &[u8], spaced: bool) -> usize {
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match byte {
            b'\\' => match value.get(at + 1) {
                None | Some(b'"' | b'n' | b'r' | b't') => break,
                Some(_) => at += 1,
            },
            b' ' | b'\t' | b';' if spaced => {}
            b' ' | b'\t' | b'\n' | b'\r' | b';' | b'"' | b'\'' => break,
            b'&' | b',' | b')' | b'}' | b']' | b'<' | b'>' => break,
            _ => {}
        }
        at += 1;
    }
    // A backslash may have been followed by the first byte of a longer character.
    (at..value.len())
        .find(|at| value[*at] & 0xc0 != 0x80)
        .unwrap_or(value.len())
}

fn run(text: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| is_part(**byte)).count()
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
