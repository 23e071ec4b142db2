//! Pages from a URL, a file or the standard input, read within limits.

use std::fs::File;
use std::io::{self, Read};

use barograph_encode::prometheus::parse::Dialect;

use crate::arguments::{PageFormat, Reading};
use crate::fetch::{self, MAX_BODY};
use crate::report::{Unusable, bytes};

/// A page as it was received.
#[derive(Debug)]
pub(crate) struct Input {
    /// The argument that named it.
    pub(crate) name: String,
    pub(crate) page: Vec<u8>,
    pub(crate) dialect: Dialect,
    pub(crate) declared: Declared,
}

/// The declaration of a page's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// It was not fetched, so that nothing declares it.
    Nowhere,
    /// The server sent no `Content-Type`.
    Missing,
    /// The `Content-Type`.
    ContentType(String),
}

impl Input {
    /// Reads the page that an argument names.
    pub(crate) fn read(name: &str, reading: &Reading) -> Result<Self, Unusable> {
        if fetch::is_url(name) {
            return Self::fetch(name, reading);
        }
        let page = match name {
            "-" => limited(io::stdin().lock(), "the standard input")?,
            _ => {
                let file = File::open(name).map_err(|error| unreadable(name, &error))?;
                limited(file, name)?
            }
        };
        let dialect = match reading.format {
            PageFormat::Auto => Dialect::from_content(&page),
            PageFormat::Text => Dialect::Text,
            PageFormat::Openmetrics => Dialect::OpenMetrics,
        };
        Ok(Input {
            name: name.to_owned(),
            page,
            dialect,
            declared: Declared::Nowhere,
        })
    }

    fn fetch(url: &str, reading: &Reading) -> Result<Self, Unusable> {
        let accept = match reading.format {
            PageFormat::Auto => concat!(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,",
                "text/plain;version=0.0.4;q=0.5"
            ),
            PageFormat::Text => "text/plain;version=0.0.4",
            PageFormat::Openmetrics => {
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
            }
        };
        let response = fetch::get(url, accept, reading.timeout)?;
        if response.status != 200 {
            let status = response.status;
            let advice = match status {
                404 => "by default the page is at /metrics",
                401 | 403 => {
                    "this page is not for everyone: fetch it with curl, and pass it as a file"
                }
                _ => "does the service log an error?",
            };
            return Err(Unusable::new(
                format!("{url} answered with the status {status}"),
                advice,
            ));
        }
        let kind = response.content_type;
        let dialect = match &kind {
            Some(kind) => Dialect::from_content_type(kind).ok_or_else(|| {
                let message = format!("{url} has the Content-Type {kind:?}");
                Unusable::new(
                    message,
                    "expected text/plain or application/openmetrics-text",
                )
            })?,
            None => Dialect::from_content(&response.body),
        };
        Ok(Input {
            name: url.to_owned(),
            page: response.body,
            dialect,
            declared: kind.map_or(Declared::Missing, Declared::ContentType),
        })
    }
}

fn limited(from: impl Read, name: &str) -> Result<Vec<u8>, Unusable> {
    let mut page = Vec::new();
    let read = from.take(MAX_BODY + 1).read_to_end(&mut page);
    read.map_err(|error| unreadable(name, &error))?;
    match page.len() as u64 > MAX_BODY {
        true => Err(Unusable::new(
            format!("{name} is longer than {}", bytes(MAX_BODY)),
            "is this a page of metrics?",
        )),
        false => Ok(page),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Unusable {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "expected a file, a URL that begins with http://, or - for the standard input"
        }
        _ => "",
    };
    Unusable::new(format!("cannot read {name:?}: {error}"), advice)
}
