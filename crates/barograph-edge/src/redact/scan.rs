//! Finds the secrets in a text.
//!
//! A secret has a name of the list before it, with `=` or `:` between them, or stands before the `@`
//! of a URL. The text may be JSON, the query of a URL, a header, the `Debug` form of a struct, also
//! escaped once more: quotes and backslashes around names and values are passed over.

use std::ops::Range;

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
    while let Some(found) = text[at..].iter().position(|b| matches!(b, b'=' | b':')) {
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
    // `Some("…")` and `Password("…")` are passed over too.
    let quotes = behind.iter().position(|b| !is_around(*b))?;
    let quoted = behind[..quotes].contains(&b'"');
    let spaced = is_of_many_words(name);
    let value = &behind[quotes..];
    let ends = |b: &u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' => true,
        // Inside of quotes the rest is a part of it.
        _ if quoted => false,
        b' ' | b'\t' | b';' => !spaced,
        b'&' | b',' | b')' | b'}' | b']' | b'\'' | b'<' | b'>' => true,
        _ => false,
    };
    let length = value.iter().position(ends).unwrap_or(value.len());
    let start = sign + 1 + quotes;
    (length > 0).then_some(Secret {
        at: start..start + length,
        with: REDACTED,
    })
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
