//! Headers of requests, which are secrets.

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
pub(crate) fn parse(text: &str) -> (HeaderMap, Vec<usize>) {
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
            None => bad.push(at + 1),
        }
    }
    (headers, bad)
}

/// Whether there is a header that is more than the name of who is asking.
pub(crate) fn have_credentials(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(HeaderName::as_str);
    // Every vendor has a name of its own for a key, so all are taken for one but these.
    names.any(|name| !["user-agent", "x-scope-orgid"].contains(&name))
}

fn header(member: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = member.split_once('=')?;
    let name = HeaderName::try_from(percent_decode(name.trim())?).ok()?;
    if BY_THE_TRANSPORT.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
        return None;
    }
    // gRPC has no other letters.
    let value = percent_decode(value.trim()).filter(|value| value.is_ascii())?;
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// What a member has to be.
pub(crate) const EXPECTED: &str =
    "name=value, percent-encoded, and no name that the transport sets itself";

/// What says how a request is written and sent; changed from outside, no receiver could read it.
const BY_THE_TRANSPORT: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
