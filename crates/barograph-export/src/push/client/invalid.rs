//! What is wrong with a configuration, without the secrets in it.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::config::masked;

/// Why no client can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidClient {
    /// The endpoint, or a proxy, is no URL of the kind that was expected.
    Url(InvalidUrl),
    /// A header cannot be sent.
    Header(InvalidHeader),
    /// A file does not hold what it should.
    File(InvalidFile),
    /// Something was asked for that this build has not got.
    Feature(MissingFeature),
}

/// A URL that is not what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl {
    /// The URL without userinfo and query.
    pub url: String,
    /// What would have been right.
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
    /// Its name. The value is not told.
    pub name: String,
    /// What would have been right.
    pub expected: &'static str,
}

/// A file that does not hold what it should, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFile {
    /// Where it is; none where its contents were given in its place.
    pub path: Option<PathBuf>,
    /// What should be in it.
    pub expected: &'static str,
    /// What is the matter.
    pub reason: String,
}

/// A build without what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFeature {
    /// The feature of this crate that opens it.
    pub feature: &'static str,
    /// What needs it.
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
