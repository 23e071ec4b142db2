//! Reads the value after the name of a secret, by its shape.
//!
//! A value is in quotes, which may be escaped; in brackets with all their content, also after a word
//! (`Some("…")`, `Login { … }`); a scheme with its credential (`Bearer …`); the rest of a quoted argument
//! (`"--password=…"`); or bare, up to a character that ends a value in its kind of text. A quote or bracket
//! that is followed by more of a word does not end the value: a secret may contain them. Brackets are
//! counted without recursion.

use std::ops::Range;

use super::REDACTED;
use super::view::{Secret, View};

/// The name of a secret, and the start of its value.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) sign: usize,
    /// The quote after the name; empty if it has none.
    pub(super) quote: Range<usize>,
    /// The quote that opens before an argument, and ends after its value: `"--password=…"`.
    pub(super) around: Option<Quote>,
    pub(super) start: usize,
    /// True in the query of a URL, in which most signs may be part of a value.
    pub(super) is_parameter: bool,
    /// True after a colon and a space, as in a sentence.
    pub(super) is_text: bool,
    pub(super) expected: Expected,
}

/// The expected form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Several words: `Authorization: Bearer …`, `Cookie: a=…; b=…`.
    Header,
    /// The value may be a count: `token: 5 tokens left`.
    Token,
    /// The value may be the working directory.
    Pwd,
    Other,
}

impl Named {
    /// Returns the secret with this name, if there is one.
    pub(super) fn secret(&self, view: &View<'_>, strings: &mut Strings) -> Option<Secret> {
        let reader = Reader {
            view,
            named: self,
            limit: strings.end_around(view, self.start - 1),
        };
        let secret = reader.read()?;
        (secret.end > secret.start).then_some(secret)
    }
}

/// The strings of a text that is JSON: a value never extends beyond the string that it is in.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// None until it is needed.
    is_json: Option<bool>,
    /// The content of the string that was found last.
    last: Range<usize>,
}

impl Strings {
    /// Returns the end of the string around this position, or the end of the text if there is none.
    fn end_around(&mut self, view: &View<'_>, at: usize) -> usize {
        let end = view.bytes.len();
        if !*self.is_json.get_or_insert_with(|| is_json(view)) {
            return end;
        }
        while self.last.end <= at {
            match next_string(view, self.last.end + usize::from(self.last.end > 0)) {
                Some(string) => self.last = string,
                None => self.last = end..end + 1,
            }
        }
        match self.last.contains(&at) {
            true => self.last.end,
            false => end,
        }
    }
}

/// Returns the content of the next string, starting from a position outside of strings.
fn next_string(view: &View<'_>, from: usize) -> Option<Range<usize>> {
    let end = view.bytes.len();
    // With the sign at the end, which is not encoded, encoded bytes are not marks.
    let start = 1 + (from..end).find(|at| view.mark(*at, end) == Some(b'"'))?;
    Some(start..Quote::PLAIN.closing(view, start, end))
}

/// Returns true if the text may be JSON: only marks, numbers and keywords are outside of strings.
fn is_json(view: &View<'_>) -> bool {
    let end = view.bytes.len();
    let text = view.bytes.trim_ascii_start();
    if !matches!(text.first(), Some(b'{' | b'[' | b'"')) {
        return false;
    }
    let mut from = 0;
    loop {
        let string = next_string(view, from);
        let until = string.as_ref().map_or(end, |string| string.start - 1);
        let is_outside = |byte: &u8| {
            byte.is_ascii_whitespace()
                || byte.is_ascii_digit()
                || b"{}[]:,-+.Etruefalsn".contains(byte)
        };
        if !view.bytes[from..until].iter().all(is_outside) {
            return false;
        }
        match string {
            None => return true,
            Some(string) if string.end == end => return false,
            Some(string) => from = string.end + 1,
        }
    }
}

/// A quote, and the number of backslashes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    mark: u8,
    escapes: usize,
}

impl Quote {
    const PLAIN: Quote = Quote {
        mark: b'"',
        escapes: 0,
    };

    /// Returns the quote that ends at `end`, not beginning before `from`.
    pub(super) fn before(view: &View<'_>, from: usize, end: usize, sign: usize) -> Option<Self> {
        let at = end.checked_sub(1).filter(|at| *at >= from)?;
        let mark = view.mark(at, sign)?;
        let escapes = escapes_before(view, from, at, sign);
        matches!(mark, b'"' | b'\'').then_some(Quote {
            mark,
            // An even number of backslashes is text before the quote, not its escape.
            escapes: if escapes.is_multiple_of(2) {
                0
            } else {
                escapes
            },
        })
    }

    /// Returns the end of the quoted text. A quote that is never closed extends to the end.
    fn closing(&self, view: &View<'_>, start: usize, sign: usize) -> usize {
        for at in start..view.bytes.len() {
            if view.mark(at, sign) != Some(self.mark) {
                continue;
            }
            let escapes = escapes_before(view, start, at, sign);
            // A backslash in the value is written as two if the quotes have no backslash, and as four if
            // they have one; with more backslashes, none is expected in the value.
            let closes = match self.escapes {
                0 => escapes.is_multiple_of(2),
                1 => escapes % 4 == 1,
                expected => escapes == expected,
            };
            if closes {
                return at - self.escapes;
            }
        }
        view.bytes.len()
    }
}

fn escapes_before(view: &View<'_>, start: usize, at: usize, sign: usize) -> usize {
    let before = (start..at).rev();
    before
        .take_while(|at| view.mark(*at, sign) == Some(b'\\'))
        .count()
}

struct Reader<'a> {
    view: &'a View<'a>,
    named: &'a Named,
    limit: usize,
}

impl Reader<'_> {
    fn read(&self) -> Option<Secret> {
        let start = self.skip_blank();
        let word = self.run(start, |mark| mark.is_ascii_alphanumeric() || mark == b'_');
        let behind = start + word;
        if !self.named.is_parameter {
            if self.is_harmless(start, behind) {
                return None;
            }
            if let Some(quote) = self.named.around {
                return Some(self.to(start, self.closing(start, quote), 0..0));
            }
            let is_type = self
                .mark(start)
                .is_some_and(|mark| mark.is_ascii_uppercase());
            let open = match self.mark(behind) {
                Some(b' ') if is_type && self.mark(behind + 1) == Some(b'{') => behind + 1,
                _ => behind,
            };
            match self.mark(open) {
                Some(b'{') if word == 0 || is_type => return self.bracketed(start, open),
                Some(b'[') if word == 0 => return self.bracketed(start, open),
                Some(b'(') => return self.bracketed(start, open),
                _ => {}
            }
        }
        // The letters before the quotes of `b"…"`, `r#"…"#`.
        let hashes = if word == 0 {
            0
        } else {
            self.run(behind, |mark| mark == b'#')
        };
        match self.quote(behind + hashes) {
            Some(quote) if LITERALS.contains(&&self.view.bytes[start..behind]) => {
                self.quoted(behind + hashes, quote)
            }
            _ => Some(self.to(start, self.bare(start), self.named.quote.clone())),
        }
    }

    #[inline]
    fn mark(&self, at: usize) -> Option<u8> {
        match at < self.limit {
            true => self.view.mark(at, self.named.sign),
            false => None,
        }
    }

    fn run(&self, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let marks = (from..).map_while(|at| self.mark(at));
        marks.take_while(|mark| is_part(*mark)).count()
    }

    /// Returns the quote at this position, with its backslashes.
    fn quote(&self, at: usize) -> Option<Quote> {
        let escapes = self.run(at, |mark| mark == b'\\');
        match self.mark(at + escapes)? {
            mark @ (b'"' | b'\'') => Some(Quote { mark, escapes }),
            _ => None,
        }
    }

    fn skip_blank(&self) -> usize {
        let start = self.named.start;
        let has_quote = !self.named.quote.is_empty();
        start
            + self.run(start, |mark| {
                matches!(mark, b' ' | b'\t') || has_quote && matches!(mark, b'\n' | b'\r')
            })
    }

    /// Returns true if a bare value is not secret: a flag, a count, the working directory.
    fn is_harmless(&self, start: usize, behind: usize) -> bool {
        let word = &self.view.bytes[start..behind];
        let is_whole = self
            .mark(behind)
            .is_none_or(|mark| match self.named.around {
                Some(quote) => self.quote(behind) == Some(quote),
                None => ends_value(mark) || mark == b'\\',
            });
        if is_whole && matches!(word, b"true" | b"false" | b"null" | b"None") {
            return true;
        }
        match self.named.expected {
            Expected::Token => {
                self.named.is_text
                    && (1..=4).contains(&word.len())
                    && word.iter().all(u8::is_ascii_digit)
                    && self.mark(behind) == Some(b' ')
                    && self
                        .mark(behind + 1)
                        .is_some_and(|mark| mark.is_ascii_alphabetic())
            }
            Expected::Pwd => {
                let is_drive = word.len() == 1 && self.mark(behind) == Some(b':');
                is_drive || word.is_empty() && matches!(self.mark(behind), Some(b'/' | b'~'))
            }
            Expected::Header | Expected::Other => false,
        }
    }

    fn to(&self, start: usize, end: usize, quote: Range<usize>) -> Secret {
        Secret {
            start,
            end: end.min(self.limit),
            with: REDACTED,
            quote,
        }
    }

    fn quoted(&self, at: usize, quote: Quote) -> Option<Secret> {
        let start = at + quote.escapes + 1;
        let end = self.closing(start, quote);
        let behind = end + quote.escapes + 1;
        let again = self.quote(behind);
        let goes_on = again
            .is_some_and(|again| again.mark == quote.mark && again.escapes == quote.escapes)
            || self.is_inside(behind);
        Some(match goes_on {
            true => self.to(at, self.bare(at), at..start),
            false => self.to(start, end, 0..0),
        })
    }

    fn closing(&self, start: usize, quote: Quote) -> usize {
        quote
            .closing(self.view, start, self.named.sign)
            .min(self.limit)
    }

    /// Returns the content of the brackets, or all from `start` on if they belong to a struct.
    fn bracketed(&self, start: usize, open: usize) -> Option<Secret> {
        let inside = open + 1 + self.run(open + 1, |mark| mark.is_ascii_whitespace());
        if self.named.is_text && open == start && inside > open + 1 && self.is_sentence(inside) {
            return None;
        }
        let (mut at, mut depth) = (open, 0_usize);
        while let Some(mark) = self.mark(at) {
            match mark {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            at = match self.quote(at) {
                Some(quote) => {
                    let inside = at + quote.escapes + 1;
                    self.closing(inside, quote) + quote.escapes + 1
                }
                None => at + self.run(at, |mark| mark == b'\\').max(1),
            };
        }
        let close = at.min(self.limit);
        if inside >= close {
            return None;
        }
        let name_quote = self.named.quote.clone();
        if self.is_inside(close + 1) {
            // A word that contains brackets.
            return Some(self.to(start, self.bare(start), name_quote));
        }
        if self.mark(open) == Some(b'{') {
            return Some(self.to(start, close + 1, name_quote));
        }
        let trailing = self.view.bytes[inside..close].iter().rev();
        let trailing = trailing
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let quote = match self.quote(inside) {
            Some(quote) => inside..inside + quote.escapes + 1,
            None if open == start => name_quote,
            None => 0..0,
        };
        Some(self.to(inside, close - trailing, quote))
    }

    /// Returns the end of a value without quotes around it.
    fn bare(&self, start: usize) -> usize {
        let end = self.word(start);
        let is_scheme = |scheme: &&str| {
            scheme
                .as_bytes()
                .eq_ignore_ascii_case(&self.view.bytes[start..end])
        };
        let blank = self.run(end, |mark| mark == b' ');
        let end = match blank > 0 && SCHEMES.iter().any(is_scheme) {
            true => self.word(end + blank),
            false => end,
        };
        // A backslash may have been followed by the first byte of a longer character.
        let is_boundary = |at: &usize| self.view.bytes[*at] & 0xc0 != 0x80;
        let bytes = self.view.bytes.len();
        (end.min(bytes)..bytes).find(is_boundary).unwrap_or(bytes)
    }

    fn word(&self, start: usize) -> usize {
        let (mut at, mut depth) = (start, 0_usize);
        // A quoted part begins where the value does, and where the previous one ended.
        let mut opens = start;
        while let Some(mark) = self.mark(at) {
            if let Some(quote) = self.quote(at) {
                let behind = at + quote.escapes + 1;
                let is_header = self.named.expected == Expected::Header;
                if at == opens || is_header && self.mark(at - 1) == Some(b'=') {
                    at = self.closing(behind, quote) + quote.escapes + 1;
                    opens = at;
                } else if self.is_inside(behind) || (mark == b'\'' && self.named.is_parameter) {
                    at = behind;
                } else {
                    break;
                }
                continue;
            }
            match mark {
                b'\\' => {
                    let escapes = self.run(at, |mark| mark == b'\\');
                    at += escapes;
                    if !escapes.is_multiple_of(2) {
                        if matches!(self.mark(at), None | Some(b'n' | b'r' | b't')) {
                            at -= 1;
                            break;
                        }
                        at += 1;
                    }
                    continue;
                }
                _ if self.named.is_parameter && ends_parameter(mark) => break,
                _ if self.named.is_parameter => {}
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth > 0 => depth -= 1,
                b')' | b']' | b'}' if self.is_inside(at + 1) => {}
                b' ' | b'\t' | b';' if self.named.expected == Expected::Header => {}
                b',' if self.named.expected == Expected::Header
                    && self.is_before_parameter(at + 1) => {}
                mark if ends_value(mark) => break,
                _ => {}
            }
            at += 1;
        }
        at.min(self.limit)
    }

    /// Returns true if a word continues here.
    fn is_inside(&self, at: usize) -> bool {
        self.mark(at).is_some_and(|mark| {
            mark.is_ascii_alphanumeric() || !mark.is_ascii() || b"_-+/$@~^*=".contains(&mark)
        })
    }

    /// Returns true if words follow here, as after `unexpected token: { `.
    fn is_sentence(&self, at: usize) -> bool {
        let behind = at + self.run(at, |mark| mark.is_ascii_alphabetic());
        behind > at
            && self.mark(behind) == Some(b' ')
            && self
                .mark(behind + 1)
                .is_some_and(|mark| mark.is_ascii_alphanumeric())
    }

    /// Returns true if `, name=` follows here, as in the credential of a digest.
    fn is_before_parameter(&self, at: usize) -> bool {
        let start = at + self.run(at, |mark| mark == b' ');
        let length = self.run(start, |mark| mark.is_ascii_alphanumeric() || mark == b'-');
        length > 0 && self.mark(start + length) == Some(b'=')
    }
}

/// The prefixes that may stand before the quotes of a literal.
const LITERALS: [&[u8]; 7] = [b"", b"b", b"c", b"r", b"u", b"br", b"cr"];

/// The schemes that may precede a credential.
const SCHEMES: [&str; 6] = ["Bearer", "Basic", "Digest", "Token", "Negotiate", "ApiKey"];

/// Returns true for a character that ends a value in any text.
fn ends_value(mark: u8) -> bool {
    (ends_parameter(mark) && mark != b'#')
        || matches!(mark, b';' | b'\'' | b',' | b')' | b'}' | b']')
}

/// Returns true for a character that ends a parameter of a URL, which may contain other signs.
fn ends_parameter(mark: u8) -> bool {
    matches!(
        mark,
        b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'&' | b'#' | b'<' | b'>'
    )
}
