//! Finds the secrets in a text.
//!
//! A name is read backwards from a sign (`=`, `:`, `=>`, `:=`), past spaces, `+`, quotes and backslashes,
//! or forwards from the `--` of an argument. If it is the name of a secret (`names`), its value is read
//! by its shape (`value`). The user and password of a URL stand between `//` and `@`. In
//! `user[password]` and `token[0]` each part is a name. The time is linear in the length of the text,
//! and a text without `%` in which nothing is redacted causes no allocation.
//!
//! Percent-encoding can hide all of this: `%74oken=…`, `user%5Bpassword%5D=…`, and a whole URL as the
//! value of a parameter. So a text in which such signs, or characters of names, are encoded is decoded
//! and searched again, level by level, and the secrets found are removed from the original text. An
//! encoded character does not end a value whose sign is not encoded: there it is part of the value.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

use super::REDACTED;
use super::names::{Names, Scope};
use super::value::{Expected, Named, Quote, Strings};
use super::view::{Secret, View};

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// The query of a URL, without its `?`.
    Query,
}

/// Returns the text without its secrets, or none if it has none.
#[inline]
pub(super) fn redacted(text: &str, names: &Names, kind: Kind) -> Option<String> {
    let has_flags = has_flags(text.as_bytes());
    let sign = memchr3(b'=', b':', b'%', text.as_bytes());
    if sign.is_none() && !has_flags {
        return None;
    }
    found(text, has_flags, names, kind)
}

/// Returns true if the text contains `--`. The loop has no branch, because it runs over most texts.
#[inline]
fn has_flags(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    pairs.fold(false, |has, (a, b)| has | (*a == b'-') & (*b == b'-'))
}

fn found(text: &str, has_flags: bool, names: &Names, kind: Kind) -> Option<String> {
    let view = View {
        bytes: text.as_bytes(),
        sources: &[],
        has_flags,
    };
    let redacted = replace(text, view, names, kind);
    match memchr(b'%', text.as_bytes()) {
        None => redacted,
        Some(_) => decoded(text, redacted, names, kind),
    }
}

/// The maximum number of levels of percent-encoding that are decoded.
const MOST_LEVELS: usize = 3;

/// Redacts the secrets that are percent-encoded.
#[cold]
fn decoded(text: &str, mut redacted: Option<String>, names: &Names, kind: Kind) -> Option<String> {
    for level in 1..=MOST_LEVELS {
        let now = redacted.as_deref().unwrap_or(text);
        let mut bytes = now.as_bytes().to_vec();
        let mut sources: Vec<usize> = (0..=bytes.len()).collect();
        let has_more = (0..level).all(|_| decode(&mut bytes, &mut sources));
        if !has_more {
            break;
        }
        let view = View {
            bytes: &bytes,
            sources: &sources,
            has_flags: has_flags(&bytes),
        };
        redacted = replace(now, view, names, kind).or(redacted);
    }
    redacted
}

/// Decodes one level of percent-encoding in place. Returns true if an ASCII character was decoded.
fn decode(bytes: &mut Vec<u8>, sources: &mut Vec<usize>) -> bool {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut from, mut to, mut has_ascii) = (0, 0, false);
    while from < bytes.len() {
        let byte = match bytes[from..] {
            [b'%', ref high, ref low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        sources[to] = sources[from];
        match byte {
            Some((high, low)) => {
                // The value of two hexadecimal digits fits in a byte.
                let byte = (high * 16 + low) as u8;
                has_ascii |= byte.is_ascii();
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
    has_ascii
}

/// Returns the text without the secrets that are visible in a view of it, or none if there are none.
fn replace(text: &str, view: View<'_>, names: &Names, kind: Kind) -> Option<String> {
    let mut strings = Strings::default();
    let mut secret = view.next(0, names, kind, &mut strings)?;
    let mut redacted = String::with_capacity(text.len() + REDACTED.len());
    let mut from = 0;
    loop {
        let quote = view.source(secret.quote.start)..view.source(secret.quote.end);
        redacted.push_str(&text[from..view.source(secret.start)]);
        redacted.push_str(&text[quote.clone()]);
        redacted.push_str(secret.with);
        redacted.push_str(&text[quote]);
        from = view.source(secret.end);
        match view.next(secret.end, names, kind, &mut strings) {
            Some(next) => secret = next,
            None => break,
        }
    }
    redacted.push_str(&text[from..]);
    Some(redacted)
}

/// The replacement for both parts before the `@`.
const USER_AND_PASSWORD: &str = "REDACTED:REDACTED";

impl View<'_> {
    /// Returns the first secret that does not begin before `from`.
    #[inline]
    fn next(
        &self,
        from: usize,
        names: &Names,
        kind: Kind,
        strings: &mut Strings,
    ) -> Option<Secret> {
        let mut at = from;
        while let Some(found) = self.sign(at) {
            at = found;
            let after = self.bytes.get(at + 1);
            if self.bytes[at] != b'-' {
                let secret = self.behind_sign(from, at, names, kind, strings);
                if secret.is_some() {
                    return secret;
                }
            } else if after == Some(&b'-')
                && let Some(named) = self.flag(from, at, names)
                && let Some(secret) = named.secret(self, strings)
            {
                return Some(secret);
            }
            at += 1;
        }
        None
    }

    #[inline]
    fn sign(&self, from: usize) -> Option<usize> {
        let rest = &self.bytes[from..];
        let found = match self.has_flags {
            false => memchr2(b'=', b':', rest),
            true => memchr3(b'=', b':', b'-', rest),
        };
        found.map(|found| from + found)
    }

    #[inline]
    fn behind_sign(
        &self,
        from: usize,
        sign: usize,
        names: &Names,
        kind: Kind,
        strings: &mut Strings,
    ) -> Option<Secret> {
        let is_of_url = self.bytes[sign..].starts_with(b"://");
        let named = match is_of_url {
            true => None,
            false => self.named(from, sign, names, kind),
        };
        let secret = named.and_then(|named| named.secret(self, strings));
        let may_be_url = |byte: &u8| *byte == b'/' || is_around(*byte);
        match secret {
            None if self.bytes.get(sign + 1).is_some_and(may_be_url) => self.login(sign),
            secret => secret,
        }
    }

    /// Returns the text before the `@` of the URL whose `//`, possibly as `\/\/`, follows the sign.
    fn login(&self, sign: usize) -> Option<Secret> {
        let is_around = |mark| is_around(mark) && mark != b'+';
        let mut start = sign + 1 + self.run(sign + 1, sign, is_around);
        for _ in 0..2 {
            start += self.run(start, sign, |mark| mark == b'\\');
            if self.mark(start, sign) != Some(b'/') {
                return None;
            }
            start += 1;
        }
        let ends = |mark: u8| mark.is_ascii_whitespace() || b"/?#\"'\\<>".contains(&mark);
        let length = self.run(start, sign, |mark| !ends(mark));
        let is_at = |at: &usize| self.mark(*at, sign) == Some(b'@');
        let end = (start..start + length).rev().find(is_at)?;
        let with = match self.bytes[start..end].contains(&b':') {
            true => USER_AND_PASSWORD,
            false => REDACTED,
        };
        Some(Secret {
            start,
            end,
            with,
            quote: 0..0,
        })
    }

    /// Returns the value after this sign, if the name before it is one of the list.
    #[inline]
    fn named(&self, from: usize, sign: usize, names: &Names, kind: Kind) -> Option<Named> {
        let (byte, next) = (self.bytes[sign], self.bytes.get(sign + 1));
        let is_path =
            byte == b':' && (next == Some(&b':') || self.bytes[from..sign].ends_with(b":"));
        if is_path {
            return None;
        }
        let before = &self.bytes[from..sign];
        let end = before.iter().rposition(|b| !is_around(*b))? + 1;
        let name = Name::before(&before[..end], names)?;
        let start = from + name.start;
        let is_parameter = byte == b'='
            && next != Some(&b'>')
            && match start.checked_sub(1) {
                None => kind == Kind::Query,
                Some(at) => matches!(self.bytes[at], b'?' | b'&' | b'#'),
            };
        let more = match byte {
            b'=' => self.run(sign + 1, sign, |mark| matches!(mark, b'=' | b'>')),
            _ => self.run(sign + 1, sign, |mark| mark == b'='),
        };
        let quote = self.quote_before(from + end, sign);
        let is_argument = byte == b'=' && quote.is_empty() && self.bytes[start] == b'-';
        let around = is_argument.then(|| Quote::before(self, from, start, sign));
        Some(Named {
            sign,
            quote,
            around: around.flatten(),
            start: sign + 1 + if is_parameter { 0 } else { more },
            is_parameter,
            is_text: byte == b':' && next == Some(&b' '),
            expected: name.expected,
        })
    }

    /// Returns the value after `--password `, also in a list of arguments: `"--password", "…"`.
    fn flag(&self, from: usize, sign: usize, names: &Names) -> Option<Named> {
        // Encoded characters are part of the name here as they are below: otherwise each of many `--%25`
        // would be read to the end of the text.
        let is_inside = sign > from && self.mark(sign - 1, sign).is_some_and(is_in_name);
        if is_inside {
            return None;
        }
        let end = sign + self.run(sign, sign, is_in_name);
        let name = &self.bytes[sign..end];
        let escapes = self.run(end, sign, |mark| mark == b'\\');
        let quote = match self.mark(end + escapes, sign) {
            Some(b'"' | b'\'') => end..end + escapes + 1,
            _ => end..end,
        };
        // The next item of a list of arguments.
        let is_in_list = !quote.is_empty() && self.mark(quote.end, sign) == Some(b',');
        let start = quote.end + usize::from(is_in_list);
        let blank = self.run(start, sign, |mark| mark.is_ascii_whitespace());
        let is_other = matches!(
            self.mark(start + blank, sign),
            Some(b'-' | b'=' | b':') | None
        );
        let has_value = (is_in_list || blank > 0) && !is_other;
        (has_value && names.has(name, Scope::Texts)).then(|| Named {
            sign,
            quote: self.quote_before(end, start),
            around: None,
            start,
            is_parameter: false,
            is_text: false,
            expected: expected_of(name),
        })
    }

    /// Returns the last quote in this range, with the backslashes that escape it.
    fn quote_before(&self, start: usize, end: usize) -> Range<usize> {
        let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
        let Some(at) = self.bytes[start..end].iter().rposition(is_quote) else {
            return 0..0;
        };
        let at = start + at;
        let before = self.bytes[start..at].iter().rev();
        let escapes = before.take_while(|byte| **byte == b'\\').count();
        // An even number of backslashes is text before the quote, not its escape.
        let escapes = if escapes.is_multiple_of(2) {
            0
        } else {
            escapes
        };
        at - escapes..at + 1
    }
}

/// A name of the list, before a sign.
struct Name {
    /// The start of the name, including the part before its brackets.
    start: usize,
    expected: Expected,
}

impl Name {
    /// Returns the name at the end of this text, if it or a part of it in brackets is one of the list.
    #[inline]
    fn before(text: &[u8], names: &Names) -> Option<Self> {
        let mut is_secret = false;
        let mut end = text.len();
        while let Some(inside) = text[..end].strip_suffix(b"]") {
            let least = inside.len().saturating_sub(MOST_IN_BRACKETS);
            let open = least + inside[least..].iter().rposition(|byte| *byte == b'[')?;
            let part = inside[open + 1..].trim_ascii();
            is_secret |= names.has(unquote(part), Scope::Texts);
            end = open;
        }
        let mut start = start_of_name(&text[..end]);
        is_secret |= names.has(&text[start..end], Scope::Texts);
        let name = start..end;
        // An index: `token.0`.
        if text[start..end].iter().all(u8::is_ascii_digit)
            && let Some(before) = text[..start].strip_suffix(b".")
        {
            start = start_of_name(before);
            is_secret |= names.has(&before[start..], Scope::Texts);
        }
        is_secret.then(|| Name {
            start,
            expected: expected_of(&text[name]),
        })
    }
}

/// The maximum length of a part of a name in brackets.
const MOST_IN_BRACKETS: usize = 128;

fn start_of_name(text: &[u8]) -> usize {
    let other = text.iter().rposition(|byte| !is_in_name(*byte));
    let start = other.map_or(0, |other| other + 1);
    if !text[..start].ends_with(b"\\") {
        return start;
    }
    // An escape sequence ends before the name: `\npassword`, `\u0026token`.
    match text[start..] {
        [b'n' | b'r' | b't', _, ..] => start + 1,
        [b'u', ref digits @ .., _]
            if digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit) =>
        {
            start + 5
        }
        _ => start,
    }
}

/// Returns a part in brackets without its quotes, including escaped ones.
fn unquote(part: &[u8]) -> &[u8] {
    let start = part.iter().position(|byte| is_in_name(*byte));
    let end = part.iter().rposition(|byte| is_in_name(*byte));
    match (start, end) {
        (Some(start), Some(end)) => &part[start..=end],
        _ => &[],
    }
}

fn expected_of(name: &[u8]) -> Expected {
    let ends_with = |end: &[u8]| {
        let from = name.len().checked_sub(end.len());
        from.is_some_and(|from| name[from..].eq_ignore_ascii_case(end))
    };
    if ends_with(b"authorization") || ends_with(b"cookie") {
        Expected::Header
    } else if ends_with(b"token") {
        Expected::Token
    } else if name.eq_ignore_ascii_case(b"pwd") {
        Expected::Pwd
    } else {
        Expected::Other
    }
}

fn is_around(byte: u8) -> bool {
    #[cfg(test)]
    super::work::count();
    matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b'\t' | b'+')
}

fn is_in_name(byte: u8) -> bool {
    #[cfg(test)]
    super::work::count();
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
