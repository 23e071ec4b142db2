//! Content negotiation: the `Accept` and `Accept-Encoding` headers of a scraper.
//!
//! Negotiation never fails. Invalid elements are ignored, and a scraper that asks for nothing
//! supported gets the format that every scraper reads.
//!
//! Source: Prometheus, "Scrape protocol content negotiation"; RFC 9110, 12.5.

use std::fmt;

use crate::prometheus::config::Config;
use crate::prometheus::name::Escaping;

/// The format, escaping and compression of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    format: Format,
    escaping: Escaping,
    escaping_stated: bool,
    compression: Compression,
}

impl Negotiated {
    /// Creates the negotiated result for `format` with `escaping`, uncompressed.
    pub fn new(format: Format, escaping: Escaping) -> Self {
        Negotiated {
            format,
            escaping,
            escaping_stated: format.states_escaping(),
            compression: Compression::Identity,
        }
    }

    /// Sets the compression.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Returns the format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns the escaping of names that not every scraper reads.
    pub fn escaping(&self) -> Escaping {
        self.escaping
    }

    /// Returns the compression.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns the value of the `Content-Type` header. Prometheus 3 rejects a page without it.
    pub fn content_type(&self) -> String {
        if self.escaping_stated {
            format!("{}; escaping={}", self.format, self.escaping.as_str())
        } else {
            self.format.to_string()
        }
    }

    /// Returns the value of the `Content-Encoding` header, if the page is compressed.
    pub fn content_encoding(&self) -> Option<&'static str> {
        match self.compression {
            Compression::Gzip => Some("gzip"),
            Compression::Identity => None,
        }
    }
}

/// A text format and its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The text format that every scraper reads.
    #[default]
    Text0_0_4,
    /// The text format with the escaping as a parameter.
    Text1_0_0,
    /// OpenMetrics as specified by its draft.
    OpenMetrics0_0_1,
    /// OpenMetrics 1.0.
    OpenMetrics1_0_0,
}

impl Format {
    /// Returns true for OpenMetrics.
    pub fn is_open_metrics(self) -> bool {
        matches!(self, Format::OpenMetrics0_0_1 | Format::OpenMetrics1_0_0)
    }

    fn states_escaping(self) -> bool {
        matches!(self, Format::Text1_0_0 | Format::OpenMetrics1_0_0)
    }

    fn of(media_type: &str, version: Option<&str>) -> Option<Self> {
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("text/plain") {
            match version {
                None | Some("0.0.4") => Some(Format::Text0_0_4),
                Some("1.0.0") => Some(Format::Text1_0_0),
                Some(_) => None,
            }
        } else if is("application/openmetrics-text") {
            match version {
                None | Some("0.0.1") => Some(Format::OpenMetrics0_0_1),
                Some("1.0.0") => Some(Format::OpenMetrics1_0_0),
                Some(_) => None,
            }
        } else if (is("*/*") || is("text/*")) && version.is_none() {
            Some(Format::Text0_0_4)
        } else {
            None
        }
    }
}

impl fmt::Display for Format {
    /// Writes the `Content-Type` without the escaping.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Text0_0_4 => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text1_0_0 => "text/plain; version=1.0.0; charset=utf-8",
            Format::OpenMetrics0_0_1 => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8"
            }
            Format::OpenMetrics1_0_0 => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        })
    }
}

/// The compression of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    Identity,
    /// gzip at its fastest level.
    Gzip,
}

/// Selects the page for a scraper that sent these headers.
///
/// The values of several headers of one name must be joined by `,` first. The supported element
/// with the highest `q` wins, the first among equals; if there is none, the text format 0.0.4.
///
/// ```
/// use barograph_encode::prometheus::{Config, Format, negotiate};
/// let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1";
/// let negotiated = negotiate(Some(accept), Some("gzip"), &Config::new());
/// assert_eq!(negotiated.format(), Format::OpenMetrics1_0_0);
/// assert_eq!(negotiated.content_encoding(), Some("gzip"));
/// ```
pub fn negotiate(
    accept: Option<&str>,
    accept_encoding: Option<&str>,
    config: &Config,
) -> Negotiated {
    let negotiated = negotiate_format(accept.unwrap_or_default(), config);
    negotiated.with_compression(negotiate_compression(accept_encoding.unwrap_or_default()))
}

fn negotiate_format(accept: &str, config: &Config) -> Negotiated {
    let mut best: Option<(Quality, Negotiated)> = None;
    for item in items(accept) {
        let (mut quality, mut version, mut escaping) = (Some(Quality::MAX), None, None);
        for (name, value) in item.parameters() {
            match name.to_ascii_lowercase().as_str() {
                "q" => quality = Quality::parse(value),
                "version" => version = Some(value),
                "escaping" => escaping = Escaping::from_parameter(value),
                _ => {}
            }
        }
        let (Some(quality), Some(format)) = (quality, Format::of(item.value, version)) else {
            continue;
        };
        let better = best.is_none_or(|(q, _)| quality > q);
        if quality > Quality::NONE && better {
            let stated = format.states_escaping() || escaping.is_some();
            let escaping = config.translation.escaping(escaping.unwrap_or_default());
            let negotiated = Negotiated {
                escaping_stated: stated,
                ..Negotiated::new(format, escaping)
            };
            best = Some((quality, negotiated));
        }
    }
    best.map(|(_, negotiated)| negotiated).unwrap_or_default()
}

fn negotiate_compression(accept_encoding: &str) -> Compression {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for item in items(accept_encoding) {
        let stated = item
            .parameters()
            .find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = match stated {
            Some((_, value)) => Quality::parse(value),
            None => Some(Quality::MAX),
        };
        match item.value.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = gzip.max(quality),
            "identity" => identity = identity.max(quality),
            "*" => any = any.max(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(Quality::NONE);
    let identity = identity.or(any).unwrap_or(Quality::NONE);
    if gzip > Quality::NONE && gzip >= identity {
        Compression::Gzip
    } else {
        Compression::Identity
    }
}

/// A weight in thousandths, as defined by RFC 9110.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Quality(u16);

impl Quality {
    const NONE: Quality = Quality(0);
    const MAX: Quality = Quality(1000);

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let thousandths = format!("{fraction:0<3}").parse().ok()?;
        match (whole, thousandths) {
            ("0", thousandths) => Some(Quality(thousandths)),
            ("1", 0) => Some(Quality::MAX),
            _ => None,
        }
    }
}

/// One element of a list header.
struct Item<'a> {
    value: &'a str,
    rest: &'a str,
}

impl<'a> Item<'a> {
    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        split_unquoted(self.rest, ';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim();
            let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            Some((name.trim(), unquoted.unwrap_or(value)))
        })
    }
}

/// Iterates over the elements of a list header, up to [`MAX_HEADER`] bytes.
fn items(header: &str) -> impl Iterator<Item = Item<'_>> {
    let mut end = header.len().min(MAX_HEADER);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    split_unquoted(&header[..end], ',').map(|item| {
        let (value, rest) = item.split_once(';').unwrap_or((item, ""));
        Item {
            value: value.trim(),
            rest,
        }
    })
}

/// Splits at a separator that is not in double quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let splits = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
}

const MAX_HEADER: usize = 8 * 1024;

#[cfg(test)]
mod tests;
