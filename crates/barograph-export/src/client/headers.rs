//! The headers that a configuration adds to requests.

use std::path::PathBuf;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::invalid::{InvalidFile, InvalidHeader};
use super::message::Secrets;
use super::small_file;

/// The headers that a configuration adds to requests. `Debug` shows their names, and no values.
///
/// ```
/// use barograph_export::client::Headers;
///
/// let headers = Headers::new().with("x-tenant", "shop")?.with_token_file("/run/token");
/// # Ok::<_, barograph_export::client::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    values: HeaderMap,
    files: Vec<HeaderFile>,
}

/// A header with its value in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderFile {
    name: HeaderName,
    /// The text in front of the file's contents, such as `Bearer `.
    before: &'static str,
    path: PathBuf,
}

impl Headers {
    /// Creates an empty list.
    pub fn new() -> Self {
        Headers::default()
    }

    /// Adds a header. A later header of the same name replaces it. The name must not be one that the
    /// protocol sets itself, and the value must be ASCII without control characters.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidHeader`], which does not contain the value.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.insert(name, value)?;
        Ok(self)
    }

    /// Adds a header like [`with`](Self::with).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidHeader`], which does not contain the value. Nothing is added then.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        let name = header_name(name)?;
        let value = header_value(&name, value)?;
        self.values.insert(name, value);
        Ok(())
    }

    /// Adds a header with the contents of a file as its value, without surrounding white space. The
    /// file is read for each request, so that it may change. It takes precedence over a header of the
    /// same name.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidHeader`] if the name is one that [`with`](Self::with) does not accept.
    pub fn with_file(
        mut self,
        name: &str,
        path: impl Into<PathBuf>,
    ) -> Result<Self, InvalidHeader> {
        self.files.push(HeaderFile {
            name: header_name(name)?,
            before: "",
            path: path.into(),
        });
        Ok(self)
    }

    /// Adds `authorization: Bearer` with the token in a file; otherwise like
    /// [`with_file`](Self::with_file).
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(HeaderFile {
            name: AUTHORIZATION,
            before: "Bearer ",
            path: path.into(),
        });
        self
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.files.is_empty()
    }

    /// Returns the names of headers that may hold secrets. Vendors use many names for a key, so every
    /// header counts except those that only identify the sender.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &HeaderName> {
        let names = self.values.keys();
        let names = names.filter(|name| !["user-agent", "x-scope-orgid"].contains(&name.as_str()));
        names.chain(self.files.iter().map(|file| &file.name))
    }

    /// Adds the headers with given values to those of a request, and their values to `secrets`.
    pub(super) fn add_values(&self, headers: &mut HeaderMap, secrets: &mut Secrets) {
        for (name, value) in &self.values {
            secrets.add(&String::from_utf8_lossy(value.as_bytes()));
            headers.insert(name, value.clone());
        }
    }

    /// Adds the headers with values in files, as they are now, to those of a request, and their
    /// values to `secrets`.
    pub(super) fn add_files(
        &self,
        headers: &mut HeaderMap,
        secrets: &mut Secrets,
    ) -> Result<(), InvalidFile> {
        for file in &self.files {
            let invalid = |reason: String| InvalidFile {
                path: Some(file.path.clone()),
                expected: "the value of a header",
                reason,
            };
            let contents =
                small_file::read(&file.path).map_err(|error| invalid(error.to_string()))?;
            let contents = contents.trim_ascii();
            if contents.is_empty() {
                return Err(invalid("it is empty".to_owned()));
            }
            let value = HeaderValue::from_bytes(&[file.before.as_bytes(), contents].concat());
            let mut value = value.map_err(|_| invalid("control characters in it".to_owned()))?;
            value.set_sensitive(true);
            secrets.add(&String::from_utf8_lossy(contents));
            headers.insert(&file.name, value);
        }
        Ok(())
    }
}

fn header_name(name: &str) -> Result<HeaderName, InvalidHeader> {
    let invalid = |expected| InvalidHeader {
        name: name.to_owned(),
        expected,
    };
    let parsed = HeaderName::try_from(name.trim());
    let parsed = parsed.map_err(|_| invalid("the name of an HTTP header"))?;
    match RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
        true => Err(invalid("one that the protocol does not set itself")),
        false => Ok(parsed),
    }
}

/// Headers that describe the encoding or the transfer of the request.
const RESERVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue, InvalidHeader> {
    let invalid = || InvalidHeader {
        name: name.to_string(),
        expected: "a value of ASCII without control characters",
    };
    let value = value.trim();
    // gRPC allows nothing else, and most HTTP receivers accept nothing else.
    if !value.is_ascii() {
        return Err(invalid());
    }
    let mut parsed = HeaderValue::from_str(value).map_err(|_| invalid())?;
    // HTTP/2 then keeps it out of its compression tables.
    parsed.set_sensitive(true);
    Ok(parsed)
}
