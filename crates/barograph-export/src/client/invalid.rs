//! Errors in a configuration, without the secrets in it.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// The reason why no client can be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidClient {
    /// The endpoint, or a proxy, is not a URL of the expected kind.
    Url(InvalidUrl),
    /// A header cannot be sent.
    Header(InvalidHeader),
    /// A file has invalid contents, or cannot be read.
    File(InvalidFile),
    /// This build lacks a feature that the configuration needs.
    Feature(MissingFeature),
}

/// A URL that is not of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl {
    /// The URL without userinfo and query.
    pub url: String,
    /// The form that was expected.
    pub expected: &'static str,
}

impl InvalidUrl {
    pub(super) fn new(url: &str, expected: &'static str) -> Self {
        let url = masked(url);
        InvalidUrl { url, expected }
    }
}

/// A header that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHeader {
    /// The name of the header. The value is never included.
    pub name: String,
    /// The form that was expected.
    pub expected: &'static str,
}

/// A file with invalid contents, or one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFile {
    /// The path of the file; `None` if its contents were given directly.
    pub path: Option<PathBuf>,
    /// The contents that were expected.
    pub expected: &'static str,
    /// The reason why it is invalid.
    pub reason: String,
}

/// A feature that this build lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFeature {
    /// The Cargo feature of this crate that has to be enabled.
    pub feature: &'static str,
    /// The functionality that needs it.
    pub wanted: &'static str,
}

impl fmt::Display for InvalidClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidClient::Url(invalid) => invalid.fmt(f),
            InvalidClient::Header(invalid) => invalid.fmt(f),
            InvalidClient::File(invalid) => invalid.fmt(f),
            InvalidClient::Feature(missing) => missing.fmt(f),
        }
    }
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`: expected {}",
            self.url.escape_debug(),
            self.expected
        )
    }
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "header `{}`: expected {}",
            self.name.escape_debug(),
            self.expected
        )
    }
}

impl fmt::Display for InvalidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "`{}`: ", path.display())?,
            None => f.write_str("given: ")?,
        }
        write!(f, "expected {}: {}", self.expected, self.reason)
    }
}

impl fmt::Display for MissingFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs the feature `{}`", self.wanted, self.feature)
    }
}

impl Error for InvalidClient {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            InvalidClient::Url(invalid) => invalid,
            InvalidClient::Header(invalid) => invalid,
            InvalidClient::File(invalid) => invalid,
            InvalidClient::Feature(missing) => missing,
        })
    }
}

impl Error for InvalidUrl {}
impl Error for InvalidHeader {}
impl Error for InvalidFile {}
impl Error for MissingFeature {}

impl From<InvalidUrl> for InvalidClient {
    fn from(invalid: InvalidUrl) -> Self {
        InvalidClient::Url(invalid)
    }
}

impl From<InvalidHeader> for InvalidClient {
    fn from(invalid: InvalidHeader) -> Self {
        InvalidClient::Header(invalid)
    }
}

impl From<InvalidFile> for InvalidClient {
    fn from(invalid: InvalidFile) -> Self {
        InvalidClient::File(invalid)
    }
}

impl From<MissingFeature> for InvalidClient {
    fn from(missing: MissingFeature) -> Self {
        InvalidClient::Feature(missing)
    }
}

/// Masks everything that could be a secret in a text that should be a URL but may be invalid.
pub(super) fn masked(text: &str) -> String {
    // The text may be invalid just where its userinfo or its query begins or ends. So everything is
    // masked up to the last @, and from the first question mark or hash on.
    let tail = text.find(['?', '#']);
    let Some(at) = text.rfind('@') else {
        return tail.map_or(text.to_owned(), |tail| format!("{}{MASK}", &text[..=tail]));
    };
    let scheme = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), _)) => format!("{scheme}://"),
        _ => String::new(),
    };
    match tail {
        Some(tail) if tail < at => format!("{scheme}{MASK}"),
        Some(tail) => format!("{scheme}{MASK}{}{MASK}", &text[at..=tail]),
        None => format!("{scheme}{MASK}{}", &text[at..]),
    }
}

/// The replacement for masked text.
pub(super) const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_are_masked() {
        for (text, shown) in [
            ("collector:4318", "collector:4318"),
            ("http://host:4318/v1", "http://host:4318/v1"),
            ("http://c/p?k=v", "http://c/p?***"),
            ("http://c/p#k", "http://c/p#***"),
            ("http://u:p@c/p", "http://***@c/p"),
            ("u:p@c", "***@c"),
            ("s3cret://x@c", "***@c"),
            ("http://u:a@b@c?k", "http://***@c?***"),
            ("http://u:p?w@c", "http://***"),
            ("https://c?k@v", "https://***"),
            ("c#@v", "***"),
            ("http@://c", "***@://c"),
            ("?", "?***"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
