//! The headers of requests, which are secrets.

use barograph_export::client::ClientConfig;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::environment::percent_decode;

/// Parses `name=value,name=value`, percent-encoded like W3C baggage; the last value of a name
/// applies. Also returns the positions of invalid members, which are left out; not their text, which
/// may be a secret. Values are marked sensitive, so that no `Debug` shows them.
///
/// Blanks and similar characters are accepted without encoding, too, since `Authorization=Bearer x`
/// is a common spelling. Properties after a `;` are not supported: the `;` is part of the value.
///
/// Source: OTLP exporter, "Specifying headers via environment variables".
pub(crate) fn parse(text: &str) -> (HeaderMap, Vec<String>) {
    let mut headers = HeaderMap::new();
    let mut bad = Vec::new();
    for (at, member) in text.split(',').enumerate() {
        if member.trim().is_empty() {
            continue;
        }
        match header(member) {
            Some((name, value)) => {
                headers.insert(name, value);
            }
            None => bad.push((at + 1).to_string()),
        }
    }
    (headers, bad)
}

fn header(member: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = member.split_once('=')?;
    let (name, value) = (percent_decode(name.trim())?, percent_decode(value.trim())?);
    ClientConfig::header(&name, &value).ok()
}

/// A description of a valid member.
pub(crate) const EXPECTED: &str =
    "name=value, percent-encoded, and no name that the transport sets itself";
