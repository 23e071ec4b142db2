//! Headers of requests, which are secrets.

use barograph_export::push::client::ClientConfig;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::env::percent_decode;

/// Reads `name=value,name=value`, percent-encoded as W3C baggage is; of one name the last counts.
/// Also gives the places of the members that make no sense and are left out: what they hold may be
/// a secret. Values are marked sensitive, so that no `Debug` shows them.
///
/// Blanks and the like are taken without encoding too, since `Authorization=Bearer x` is what people
/// write. Properties after a `;` do not exist here: it belongs to the value.
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

/// What a member has to be.
pub(crate) const EXPECTED: &str =
    "name=value, percent-encoded, and no name that the transport sets itself";
