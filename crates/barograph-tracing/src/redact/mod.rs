//! Redacts secrets in fields and texts, by the names of fields and keys.
//!
//! The last words of a name decide: `password`, `DB_PASSWORD`, `newPassword`, `api-key` and `session_id`
//! are names of secrets; `token_count`, `max_tokens`, `password_reset_enabled` and `key` are not. Of a
//! field's name only the part after its last dot counts, so OpenTelemetry's `session.id` is kept.
//! [`Redaction::default`] has the list.
//!
//! A field with such a name is redacted completely. Texts that contain names are searched: messages,
//! errors, queries, URLs, and every value recorded in its `Debug` or `Display` form (`?value`,
//! `%value`). In these texts the following is redacted:
//!
//! | where | examples |
//! |---|---|
//! | after `=`, `:`, `=>` or `:=` | `token=…`, `db password: …`, `a=1%26token%3D…` |
//! | in quotes, also escaped | `"secret": "…"`, `{\"secret\":\"…\"}`, `token: b"…"` |
//! | in brackets, all of it | `password: Some("…")`, `{"token":["…"]}`, `credentials: Login { … }` |
//! | headers, with scheme and parameters | `Authorization: Bearer …`, `{"cookie": "a=…; b=…"}` |
//! | arguments | `--password=…`, `"--password=…"`, `--password …`, `["--password", "…"]` |
//! | the user and password of a URL | `postgres://…:…@db`, `redirect=//…@host`, `http:\/\/…@host` |
//!
//! JSON stays valid JSON: a number, array or object becomes a string. Percent-encoding is decoded up to
//! three times for the search, and stays in the text.
//!
//! The following is not redacted, because that would also redact too much that is not secret:
//!
//! * a secret under another name, alone in a sentence, or in a tuple of a name and a value without a
//!   separator sign between them: `("password", "…")`;
//! * a value passed to `record_str` under a name that belongs neither to a secret nor to a text that is
//!   searched;
//! * `true`, `false`, `null` and `None`; a number of up to four digits followed by words
//!   (`token: 5 tokens left`); a path under the name `pwd` alone; paths of code (`token::parse`);
//! * anything after a comma, semicolon or space in a value without quotes, except in headers.
//!
//! In a sentence the word after a name and a colon is redacted even if it is not a secret:
//! `invalid token: expired`.

mod names;
#[cfg(test)]
mod work;
mod view;
mod value;
mod scan;
mod rule_cache;

use std::borrow::Cow;
use std::sync::Arc;

use barograph_model::value::{AnyValue, Attribute, Text};

use self::names::{Before, Names, Scope};
use self::rule_cache::RuleCache;
use self::scan::Kind;

/// The replacement for a secret.
pub const REDACTED: &str = "REDACTED";

/// A redactor of secrets, with a list of their names. Clones share the list.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tracing::redact::Redaction;
/// # }
/// use barograph::Redaction;
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
    rules: Arc<RuleCache>,
}

/// The rule of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedactionRule {
    /// It is exported unchanged.
    Keep,
    /// It is redacted, whatever its type.
    Redact,
    /// It is searched, and secrets in it are redacted.
    Search,
}

impl RedactionRule {
    /// Returns the rule of a field that is recorded in its `Debug` form, which may contain names.
    #[inline]
    pub(crate) fn of_debug(self) -> Self {
        match self {
            RedactionRule::Keep => RedactionRule::Search,
            rule => rule,
        }
    }
}

impl Redaction {
    /// Returns a redaction that changes nothing.
    pub fn none() -> Self {
        Redaction::of(Names::default())
    }

    fn of(names: Names) -> Self {
        Redaction {
            names: Arc::new(names),
            rules: Arc::new(RuleCache::new()),
        }
    }

    /// Also redacts values whose name ends with these words. Case, `_` and `-` are ignored.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        let mut names = Names::clone(&self.names);
        names.add(name, Before::Words, Scope::Anywhere);
        Redaction::of(names)
    }

    /// Returns the rule of a field with this name. Takes a few nanoseconds.
    #[inline]
    pub fn rule_for(&self, key: &str) -> RedactionRule {
        if self.names.is_empty() {
            return RedactionRule::Keep;
        }
        let last = last_part(key);
        if self.names.has(last.as_bytes(), Scope::Anywhere) {
            RedactionRule::Redact
        } else if is_searched(key, last) {
            RedactionRule::Search
        } else {
            RedactionRule::Keep
        }
    }

    /// Returns what [`rule_for`](Self::rule_for) returns, in less time for names of callsites, which
    /// are asked for again and again.
    #[inline]
    pub(crate) fn rule_of(&self, name: &'static str) -> RedactionRule {
        self.rules.rule(name, |name| self.rule_for(name))
    }

    /// Returns the redacted value of a field.
    pub fn redact<'a>(&self, key: &str, value: &'a str) -> Cow<'a, str> {
        match self.rule_for(key) {
            RedactionRule::Keep => Cow::Borrowed(value),
            RedactionRule::Redact => Cow::Borrowed(REDACTED),
            RedactionRule::Search if key == "url.query" => self.redact_as(Kind::Query, value),
            RedactionRule::Search => self.text(value),
        }
    }

    /// Returns the redacted value of an attribute. Texts in arrays and maps are redacted too.
    pub fn value(&self, key: &str, value: AnyValue) -> AnyValue {
        match (self.rule_for(key), value) {
            (RedactionRule::Redact, _) => AnyValue::from(REDACTED),
            (rule, value) => self.inner(rule, value),
        }
    }

    /// Returns the attribute with its value redacted.
    pub fn attribute(&self, Attribute { key, value }: Attribute) -> Attribute {
        let value = self.value(&key, value);
        Attribute { key, value }
    }

    fn inner(&self, rule: RedactionRule, value: AnyValue) -> AnyValue {
        match value {
            AnyValue::Str(text) if rule == RedactionRule::Search => {
                AnyValue::Str(self.owned_text(text))
            }
            AnyValue::Array(values) => {
                let values = values.into_iter();
                AnyValue::Array(values.map(|value| self.inner(rule, value)).collect())
            }
            AnyValue::Map(attributes) => {
                let attributes = attributes.into_iter();
                AnyValue::Map(attributes.map(|one| self.attribute(one)).collect())
            }
            value => value,
        }
    }

    /// Redacts an owned text, as [`text`](Redaction::text) does for a borrowed one.
    #[inline]
    pub fn owned_text(&self, text: Text) -> Text {
        match self.redacted(&text, Kind::Text) {
            Some(redacted) => Cow::Owned(redacted),
            None => text,
        }
    }

    /// Redacts a text in place, as [`text`](Redaction::text) does.
    #[inline]
    pub(crate) fn text_in_place(&self, text: &mut String) {
        if let Some(redacted) = self.redacted(text, Kind::Text) {
            *text = redacted;
        }
    }

    /// Returns a text without its secrets: values after names of the list, also percent-encoded ones,
    /// and the user and password of URLs.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_as(Kind::Text, text)
    }

    fn redact_as<'a>(&self, kind: Kind, text: &'a str) -> Cow<'a, str> {
        match self.redacted(text, kind) {
            Some(redacted) => Cow::Owned(redacted),
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
    /// Redacts values whose name ends with `password`, `passwd`, `passphrase`, `secret`, `secret_key`,
    /// `private_key`, `access_key`, `signing_key`, `api_key`, `token`, `authorization`, `credential`,
    /// `credentials`, `cookie`, `session_id` or `sessid`, or with the word `pwd`, `jwt` or `session`; in
    /// texts also with the word `sig`, `signature` or `access_key_id`, as in signed URLs. Case, `_`, `-`
    /// and a number at the end are ignored: `accessToken`, `PGPASSWORD`, `password_2`.
    ///
    /// Source: OpenTelemetry semantic conventions 1.44, `url.query`, for the signatures.
    fn default() -> Self {
        Redaction::of(Names::of_secrets())
    }
}

#[inline]
fn last_part(key: &str) -> &str {
    let dot = key.as_bytes().iter().rposition(|byte| *byte == b'.');
    // In UTF-8 the byte of a dot is never part of another character.
    dot.and_then(|dot| key.get(dot + 1..)).unwrap_or(key)
}

/// Returns true if the values of a field contain names, or messages from other code.
#[inline]
fn is_searched(key: &str, last: &str) -> bool {
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
