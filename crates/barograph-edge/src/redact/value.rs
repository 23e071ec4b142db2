//! Reads what stands behind the name of a secret, by its shape.
//!
//! In quotes, with whatever escapes them; in brackets with all that is in them, also behind a word
//! (`Some("…")`, `Login { … }`); a scheme with its credential (`Bearer …`); or bare, to where its kind
//! of text goes on. A quote or bracket that is followed by more of a word ends nothing: a secret may
//! have them inside. Brackets are counted, not recursed into.

use std::ops::Range;

use super::REDACTED;
use super::view::{Secret, View};

/// The name of a secret, and where what it names begins.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) sign: usize,
    /// The quote behind the name; empty where it has none.
    pub(super) quote: Range<usize>,
    pub(super) start: usize,
    /// In the query of a URL, in which most signs may be a part of a value.
    pub(super) is_parameter: bool,
    /// Behind a colon and a space, as in a sentence.
    pub(super) is_text: bool,
    pub(super) expected: Expected,
}

/// What is expected of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Several words: `Authorization: Bearer …`, `Cookie: a=…; b=…`.
    Header,
    /// A number may count: `token: 5 tokens left`.
    Token,
    /// May be the working directory.
    Pwd,
    Other,
}

impl Named {
    /// The secret of this name, if there is one.
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

/// Where the strings of a text that is JSON are: no value goes on behind the string that it is in.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// Not known before it is asked for.
    is_json: Option<bool>,
    /// The inside of the string that was found last.
    last: Range<usize>,
}

impl Strings {
    /// Where the string around this place ends; the end of the text where there is none.
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

/// The inside of the next string from here, outside of one.
fn next_string(view: &View<'_>, from: usize) -> Option<Range<usize>> {
    let end = view.bytes.len();
    // There is no sign at the end, so what is encoded is no mark.
    let start = 1 + (from..end).find(|at| view.mark(*at, end) == Some(b'"'))?;
    Some(start..Quote::PLAIN.closing(view, start, end))
}

/// Whether the text may be JSON: nothing but marks, numbers and its three words is outside of strings.
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

/// A quote, and how many backslashes stand before it.
#[derive(Clone, Copy, Debug)]
struct Quote {
    mark: u8,
    escapes: usize,
}

impl Quote {
    const PLAIN: Quote = Quote {
        mark: b'"',
        escapes: 0,
    };

    /// Where the text inside of the quotes ends. One that is never closed goes to the end.
    fn closing(&self, view: &View<'_>, start: usize, sign: usize) -> usize {
        for at in start..view.bytes.len() {
            if view.mark(at, sign) != Some(self.mark) {
                continue;
            }
            let escapes = escapes_before(view, start, at, sign);
            // A backslash in the value is two before a quote without any, and four before one with
            // one; with more of them, none is expected.
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

    /// The quote that is here, with its backslashes.
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

    /// Whether a bare value tells nothing: a flag, a count, the working directory.
    fn is_harmless(&self, start: usize, behind: usize) -> bool {
        let word = &self.view.bytes[start..behind];
        let is_whole = self
            .mark(behind)
            .is_none_or(|mark| ends_value(mark) || mark == b'\\');
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

    /// What is between the brackets, or from `start` on where they are of a struct.
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
            // A word with brackets in it.
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

    /// Where a value without quotes around it ends.
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
        // A part in quotes begins where the value does, and where another one ended.
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

    /// Whether a word goes on here.
    fn is_inside(&self, at: usize) -> bool {
        self.mark(at).is_some_and(|mark| {
            mark.is_ascii_alphanumeric() || !mark.is_ascii() || b"_-+/$@~^*=".contains(&mark)
        })
    }

    /// Whether words are here, as behind `unexpected token: { `.
    fn is_sentence(&self, at: usize) -> bool {
        let behind = at + self.run(at, |mark| mark.is_ascii_alphabetic());
        behind > at
            && self.mark(behind) == Some(b' ')
            && self
                .mark(behind + 1)
                .is_some_and(|mark| mark.is_ascii_alphanumeric())
    }

    /// Whether `, name=` is here, as in the credential of a digest.
    fn is_before_parameter(&self, at: usize) -> bool {
        let start = at + self.run(at, |mark| mark == b' ');
        let length = self.run(start, |mark| mark.is_ascii_alphanumeric() || mark == b'-');
        length > 0 && self.mark(start + length) == Some(b'=')
    }
}

/// What may stand before the quotes of a literal.
const LITERALS: [&[u8]; 7] = [b"", b"b", b"c", b"r", b"u", b"br", b"cr"];

/// What a credential may stand behind.
const SCHEMES: [&str; 6] = ["Bearer", "Basic", "Digest", "Token", "Negotiate", "ApiKey"];

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
