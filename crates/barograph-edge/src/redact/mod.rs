//! Secrets are taken out of what is told, by the names of what holds them.
//!
//! A field is hidden when the last part of its name is one of a list: `password`,
//! `db.password`, `http.request.header.Set-Cookie`. Texts that carry names of their own are read:
//! queries, URLs, messages and errors, in which `token=…`, `"secret": "…"` and the user and password
//! of a URL are hidden.
//!
//! It is a net, not a wall: a secret under a harmless name, or alone in a sentence, goes through.

mod scan;

use std::borrow::Cow;
use std::sync::Arc;

use barograph_model::value::{AnyValue, Attribute, Text};

use self::scan::Kind;

/// What stands for a secret.
pub const REDACTED: &str = "REDACTED";

/// Which names are of secrets. Clones share the list.
///
/// ```
/// use barograph_edge::redact::Redaction;
/// let redaction = Redaction::default();
/// assert_eq!(redaction.redact("db.Password", "hunter2"), "REDACTED");
/// assert_eq!(redaction.redact("url.query", "page=2&token=abc"), "page=2&token=REDACTED");
/// assert_eq!(
///     redaction.text("cannot reach postgres://app:hunter2@db/orders"),
///     "cannot reach postgres://REDACTED:REDACTED@db/orders",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Redaction {
    names: Arc<Names>,
}

/// What is done with the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It goes out as it is.
    Keep,
    /// It is hidden, whatever its type.
    Hide,
    /// It is read, and secrets in it are hidden.
    Read,
}

impl Redaction {
    /// Hides nothing.
    pub fn none() -> Self {
        Redaction {
            names: Arc::new(Names::default()),
        }
    }

    /// Hides fields of this name too. Case does not matter, and `-` is `_`.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        let mut names = Names::clone(&self.names);
        names.add(name, Place::Anywhere);
        Redaction {
            names: Arc::new(names),
        }
    }

    /// What is done with a field of this name. Costs some nanoseconds.
    #[inline]
    pub fn treatment(&self, key: &str) -> Treatment {
        if self.names.all.is_empty() {
            return Treatment::Keep;
        }
        let last = last_part(key);
        if self.names.has(last.as_bytes(), Place::Anywhere) {
            Treatment::Hide
        } else if is_read(key, last) {
            Treatment::Read
        } else {
            Treatment::Keep
        }
    }

    /// The value of a field as it may be told.
    pub fn redact<'a>(&self, key: &str, value: &'a str) -> Cow<'a, str> {
        match self.treatment(key) {
            Treatment::Keep => Cow::Borrowed(value),
            Treatment::Hide => Cow::Borrowed(REDACTED),
            Treatment::Read if key == "url.query" => self.read(value, Kind::Query),
            Treatment::Read => self.text(value),
        }
    }

    /// The value of an attribute as it may be told. In arrays and maps each text is looked at.
    pub fn value(&self, key: &str, value: AnyValue) -> AnyValue {
        match (self.treatment(key), value) {
            (Treatment::Hide, _) => AnyValue::from(REDACTED),
            (treatment, value) => self.inner(treatment, value),
        }
    }

    fn inner(&self, treatment: Treatment, value: AnyValue) -> AnyValue {
        match value {
            AnyValue::Str(text) if treatment == Treatment::Read => AnyValue::Str(self.told(text)),
            AnyValue::Array(values) => {
                let values = values.into_iter();
                AnyValue::Array(values.map(|value| self.inner(treatment, value)).collect())
            }
            AnyValue::Map(attributes) => {
                let told = |Attribute { key, value }| {
                    let value = self.value(&key, value);
                    Attribute { key, value }
                };
                AnyValue::Map(attributes.into_iter().map(told).collect())
            }
            value => value,
        }
    }

    /// The same as [`text`](Redaction::text), of a text that is one's own.
    #[inline]
    pub fn told(&self, text: Text) -> Text {
        match self.redacted(&text, Kind::Text) {
            Some(told) => Cow::Owned(told),
            None => text,
        }
    }

    /// Takes the secrets out of a text, as [`text`](Redaction::text) does.
    #[inline]
    pub(crate) fn hide(&self, text: &mut String) {
        if let Some(told) = self.redacted(text, Kind::Text) {
            *text = told;
        }
    }

    /// A text without the secrets in it: values behind names of the list, also percent-encoded ones,
    /// and who a URL logs in as.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.read(text, Kind::Text)
    }

    fn read<'a>(&self, text: &'a str, kind: Kind) -> Cow<'a, str> {
        match self.redacted(text, kind) {
            Some(told) => Cow::Owned(told),
            None => Cow::Borrowed(text),
        }
    }

    #[inline]
    fn redacted(&self, text: &str, kind: Kind) -> Option<String> {
        match self.names.all.is_empty() {
            true => None,
            false => scan::redacted(text, &self.names, kind),
        }
    }
}

impl Default for Redaction {
    /// Hides what is named `password`, `passwd`, `pwd`, `passphrase`, `secret`, `client_secret`,
    /// `secret_key`, `private_key`, `access_key`, `api_key`, `apikey`, `x-api-key`, `token`,
    /// `access_token`, `refresh_token`, `id_token`, `auth_token`, `api_token`, `session_token`,
    /// `x-auth-token`, `x-csrf-token`, `authorization`, `proxy-authorization`, `credential`,
    /// `credentials`, `cookie`, `set-cookie`; and in texts the signatures of signed URLs.
    ///
    /// Source: OpenTelemetry semantic conventions 1.44, `url.query`, for the signatures.
    fn default() -> Self {
        let mut names = Names::default();
        for name in SECRETS {
            names.add(name, Place::Anywhere);
        }
        for name in SIGNATURES {
            names.add(name, Place::Texts);
        }
        Redaction {
            names: Arc::new(names),
        }
    }
}

/// Where a name is one of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Place {
    Texts,
    Anywhere,
}

/// The list, behind masks that turn away most other names at once.
#[derive(Clone, Debug, Default)]
struct Names {
    all: Vec<(Box<[u8]>, Place)>,
    /// For each length modulo 32, bit `n`: a name of that length begins with this letter, modulo 32.
    firsts: [u32; 32],
}

impl Names {
    fn add(&mut self, name: &str, place: Place) {
        let name: Box<[u8]> = name.trim().bytes().map(plain).collect();
        let Some(&first) = name.first() else {
            return;
        };
        self.firsts[name.len() % 32] |= 1 << (first % 32);
        self.all.push((name, place));
    }

    #[inline]
    fn has(&self, name: &[u8], place: Place) -> bool {
        let Some(&first) = name.first() else {
            return false;
        };
        let may = self.firsts[name.len() % 32] >> (plain(first) % 32) & 1 == 1;
        may && self.find(name, place)
    }

    fn find(&self, name: &[u8], place: Place) -> bool {
        self.all.iter().any(|(secret, of)| {
            *of >= place
                && secret.len() == name.len()
                && secret.iter().zip(name).all(|(a, b)| *a == plain(*b))
        })
    }
}

#[inline]
fn plain(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    }
}

#[inline]
fn last_part(key: &str) -> &str {
    let dot = key.as_bytes().iter().rposition(|byte| *byte == b'.');
    // A dot is no part of another character.
    dot.and_then(|dot| key.get(dot + 1..)).unwrap_or(key)
}

/// Whether the values of a field carry names of their own, or are sentences of others.
#[inline]
fn is_read(key: &str, last: &str) -> bool {
    match last.len() {
        3 => matches!(last, "url" | "uri" | "err" | "dsn"),
        4 => matches!(key, "url.full" | "url.path"),
        5 => matches!(last, "error" | "query" | "cause"),
        6 => matches!(key, "http.target" | "error.source") || last == "source",
        7 => matches!(last, "message" | "details"),
        9 => last == "exception",
        10 => last == "stacktrace",
        11 => last == "description",
        _ => false,
    }
}

const SECRETS: [&str; 28] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "client_secret",
    "secret_key",
    "private_key",
    "access_key",
    "secret_access_key",
    "api_key",
    "apikey",
    "x_api_key",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "api_token",
    "session_token",
    "x_auth_token",
    "x_csrf_token",
    "authorization",
    "proxy_authorization",
    "credential",
    "credentials",
    "cookie",
    "set_cookie",
];

const SIGNATURES: [&str; 7] = [
    "sig",
    "signature",
    "AWSAccessKeyId",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
];

#[cfg(test)]
mod tests;
