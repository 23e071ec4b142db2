//! Hides secrets in fields and texts, by the names of what holds them.
//!
//! The last words of a name decide: `password`, `DB_PASSWORD`, `newPassword`, `api-key` and `session_id`
//! are names of secrets; `token_count`, `max_tokens`, `password_reset_enabled` and `key` are not. Only the
//! part of a field's name behind its last dot counts, so OpenTelemetry's `session.id` is kept.
//! [`Redaction::default`] has the list.
//!
//! A field of such a name is hidden whole. Texts that carry names of their own are read: messages,
//! errors, queries, URLs, and all that is recorded in its `Debug` or `Display` form (`?value`, `%value`).
//! In them these are hidden:
//!
//! | what | examples |
//! |---|---|
//! | behind `=`, `:`, `=>` or `:=` | `token=…`, `db password: …`, `a=1%26token%3D…` |
//! | in quotes, also escaped | `"secret": "…"`, `{\"secret\":\"…\"}`, `token: b"…"` |
//! | in brackets, with all that is in them | `password: Some("…")`, `{"token":["…"]}`, `credentials: Login { … }` |
//! | headers, with scheme and parameters | `Authorization: Bearer …`, `{"cookie": "a=…; b=…"}` |
//! | arguments | `--password=…`, `--password …`, `["--password", "…"]` |
//! | the user and password of a URL | `postgres://…:…@db`, `redirect=//…@host`, `http:\/\/…@host` |
//!
//! JSON stays JSON: a number, array or object becomes a text. Percent-encoding is undone up to three
//! times to look, and stays in the text.
//!
//! Not hidden, since it would hide too much of what is no secret:
//!
//! * a secret under another name, alone in a sentence, or in a tuple of a name and a value without a
//!   sign between them: `("password", "…")`;
//! * what `record_str` is given under a name that is neither of a secret nor of a text that is read;
//! * `true`, `false`, `null` and `None`; a number of up to four digits with words behind it
//!   (`token: 5 tokens left`); a path under the name `pwd` alone; paths of code (`token::parse`);
//! * what comes behind a comma, semicolon or space in a value without quotes, except in headers.
//!
//! In a sentence the word behind a name and a colon is hidden even where it is no secret:
//! `invalid token: expired`.

mod names;
mod view;
mod value;
mod scan;

use std::borrow::Cow;
use std::sync::Arc;

use barograph_model::value::{AnyValue, Attribute, Text};

use self::names::{Before, Names, Place};
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

impl Treatment {
    /// The treatment of a field that is recorded in its `Debug` form, which may carry names of its own.
    #[inline]
    pub(crate) fn of_debug(self) -> Self {
        match self {
            Treatment::Keep => Treatment::Read,
            treatment => treatment,
        }
    }
}

impl Redaction {
    /// Hides nothing.
    pub fn none() -> Self {
        Redaction {
            names: Arc::new(Names::default()),
        }
    }

    /// Hides what has a name of which these are the last words too. Case, `_` and `-` do not matter.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        let mut names = Names::clone(&self.names);
        names.add(name, Before::Words, Place::Anywhere);
        Redaction {
            names: Arc::new(names),
        }
    }

    /// What is done with a field of this name. Costs some nanoseconds.
    #[inline]
    pub fn treatment(&self, key: &str) -> Treatment {
        if self.names.is_empty() {
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
        match self.names.is_empty() {
            true => None,
            false => scan::redacted(text, &self.names, kind),
        }
    }
}

impl Default for Redaction {
    /// Hides what has a name that ends with `password`, `passwd`, `passphrase`, `secret`, `secret_key`,
    /// `private_key`, `access_key`, `signing_key`, `api_key`, `token`, `authorization`, `credential`,
    /// `credentials`, `cookie`, `session_id` or `sessid`, or with the word `pwd`, `jwt` or `session`; and in
    /// texts what ends with the word `sig`, `signature` or `access_key_id`, as in signed URLs. Case does
    /// not matter, nor do `_` and `-`, nor a number behind: `accessToken`, `PGPASSWORD`, `password_2`.
    ///
    /// Source: OpenTelemetry semantic conventions 1.44, `url.query`, for the signatures.
    fn default() -> Self {
        Redaction {
            names: Arc::new(Names::of_secrets()),
        }
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

#[cfg(test)]
mod tests;
