//! The names of secrets, and the rule that matches them.
//!
//! The last words of a name decide. Words end at `_` and `-`, where lower case turns into upper case,
//! and at digits: `DB_PASSWORD`, `new-password`, `dbPassword` and `password_2` all end with `password`;
//! `password_reset_enabled`, `token_count` and `max_tokens` do not.

/// The places in which a name counts as the name of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Scope {
    Texts,
    Anywhere,
}

/// The characters that may precede the end of a longer name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Another word, with a word boundary between: `user_session` but not `possession`.
    Words,
    /// Any characters: `PGPASSWORD`, `accesstoken`.
    Anything,
}

/// The names, indexed by their last letter. Bit masks reject most other names at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_last: [Vec<Ending>; 32],
    /// For each last byte modulo 32, a mask of the bytes that may come before it; `thirds`: before those.
    seconds: [u32; 32],
    thirds: [u32; 32],
    /// The length of the shortest name; 0 if there are none.
    shortest: usize,
}

#[derive(Clone, Debug)]
struct Ending {
    /// In lower case, without `_` and `-`.
    letters: Box<[u8]>,
    /// The letter before the last one.
    second: u8,
    before: Before,
    scope: Scope,
}

impl Names {
    /// Returns the default list.
    pub(super) fn of_secrets() -> Self {
        let mut names = Names::default();
        for name in ANYWHERE {
            names.add(name, Before::Anything, Scope::Anywhere);
        }
        for name in WORDS {
            names.add(name, Before::Words, Scope::Anywhere);
        }
        for name in SIGNATURES {
            names.add(name, Before::Words, Scope::Texts);
        }
        names
    }

    pub(super) fn add(&mut self, name: &str, before: Before, scope: Scope) {
        let letters = name.trim().bytes().filter(|byte| !is_separator(*byte));
        let letters: Box<[u8]> = letters.map(|byte| byte.to_ascii_lowercase()).collect();
        let Some(&last) = letters.last() else {
            return;
        };
        let last = usize::from(last % 32);
        // A separator may stand between any two letters.
        let mut others = letters.iter().rev().skip(1);
        self.seconds[last] |= others.next().map_or(0, bit) | bit(&b'_');
        self.thirds[last] |= self.seconds[last] | others.next().map_or(0, bit);
        self.shortest = match self.shortest {
            0 => letters.len(),
            shortest => shortest.min(letters.len()),
        };
        self.by_last[last].push(Ending {
            second: letters[letters.len().saturating_sub(2)],
            letters,
            before,
            scope,
        });
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.shortest == 0
    }

    /// Returns true if this is the name of a secret, with or without a number at the end.
    #[inline]
    pub(super) fn has(&self, name: &[u8], scope: Scope) -> bool {
        if self.ends(name, scope) {
            return true;
        }
        match name.last() {
            Some(last) if last.is_ascii_digit() || is_separator(*last) => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || is_separator(*byte);
                let end = name.iter().rposition(|byte| !is_number(byte));
                end.is_some_and(|end| self.ends(&name[..=end], scope))
            }
            _ => false,
        }
    }

    #[inline]
    fn ends(&self, name: &[u8], scope: Scope) -> bool {
        let Some(last) = name.last().map(|last| usize::from(last % 32)) else {
            return false;
        };
        if name.len() < self.shortest {
            return false;
        }
        let may = match name {
            [.., third, second, _] => {
                self.seconds[last] & bit(second) != 0 && self.thirds[last] & bit(third) != 0
            }
            _ => true,
        };
        may && self.find(name, last, scope)
    }

    fn find(&self, name: &[u8], last: usize, scope: Scope) -> bool {
        let second = name[name.len().saturating_sub(2)].to_ascii_lowercase();
        let has_separator = name.iter().any(|byte| is_separator(*byte));
        self.by_last[last].iter().any(|ending| {
            let is_near = is_separator(second) || ending.second == second;
            is_near && ending.scope >= scope && ending.ends(name, has_separator)
        })
    }
}

impl Ending {
    #[inline]
    fn ends(&self, name: &[u8], has_separator: bool) -> bool {
        let start = match has_separator {
            true => self.start_in_words(name),
            false => name
                .len()
                .checked_sub(self.letters.len())
                .filter(|start| name[*start..].eq_ignore_ascii_case(&self.letters)),
        };
        start.is_some_and(|start| self.before == Before::Anything || is_start_of_word(name, start))
    }

    fn start_in_words(&self, name: &[u8]) -> Option<usize> {
        let mut at = name.len();
        for letter in self.letters.iter().rev() {
            at = name[..at].iter().rposition(|byte| !is_separator(*byte))?;
            if !name[at].eq_ignore_ascii_case(letter) {
                return None;
            }
        }
        Some(at)
    }
}

fn is_start_of_word(name: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|at| name[at]) else {
        return true;
    };
    let is_before_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    match name[at].is_ascii_uppercase() {
        _ if is_separator(before) || before.is_ascii_digit() => true,
        true => before.is_ascii_lowercase() || before.is_ascii_uppercase() && is_before_lower,
        false => false,
    }
}

#[inline]
fn bit(byte: &u8) -> u32 {
    match byte {
        b'-' => 1 << (b'_' % 32),
        byte => 1 << (byte % 32),
    }
}

#[inline]
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-')
}

/// Names that no other word ends with.
const ANYWHERE: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "private_key",
    "access_key",
    "signing_key",
    "api_key",
    "token",
    "authorization",
    "credential",
    "credentials",
    "cookie",
    "session_id",
    "sessid",
];

const WORDS: [&str; 3] = ["pwd", "jwt", "session"];

/// Source: OpenTelemetry semantic conventions 1.44, `url.query`: `sig`, `X-Amz-Signature`,
/// `X-Goog-Signature`, `AWSAccessKeyId`.
const SIGNATURES: [&str; 3] = ["sig", "signature", "access_key_id"];
