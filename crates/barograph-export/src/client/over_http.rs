//! OTLP and Zipkin over HTTP: the headers of requests, and the meaning of responses.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::body::{Undecodable, decompress, name_of};
use super::config::Compression;
use super::invalid::masked;
use super::json;
use super::response::{Arrival, OutcomeBuilder, Response, UNREADABLE};
use crate::outcome::Outcome;
use barograph_encode::otlp::{Encoding, ExportResponse, RpcStatus};

/// Adds the protocol's headers to those of a request.
pub(super) fn set_headers(headers: &mut HeaderMap, encoding: Encoding, compression: Compression) {
    let content_type = HeaderValue::from_static(encoding.content_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(name) = name_of(compression) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
}

/// Returns the outcome that a response means.
///
/// Source: OTLP 1.11, "OTLP/HTTP Response".
pub(super) fn outcome(
    response: &Response,
    encoding: Encoding,
    outcomes: &OutcomeBuilder<'_>,
) -> Outcome {
    let body = match body_of(response) {
        Ok(body) => Some(body),
        Err(Undecodable::Garbage) => None,
        Err(Undecodable::TooLarge) => return outcomes.response_too_large(),
    };
    let encoding = encoding_of(response)
        .or((!response.headers.contains_key("content-type")).then_some(encoding));
    if response.status.is_success() {
        return match body.ok_or(()).and_then(|body| decode(&body, encoding)) {
            Ok(response) => outcomes.delivered(response),
            Err(()) => outcomes.delivered_with(UNREADABLE),
        };
    }
    failure(response, &body.unwrap_or_default(), encoding, outcomes)
}

/// Returns the outcome of a response if only its status matters: Zipkin accepts spans with a 202
/// and an empty body.
pub(super) fn plain_outcome(response: &Response, outcomes: &OutcomeBuilder<'_>) -> Outcome {
    if response.status.is_success() {
        return outcomes.delivered(ExportResponse::default());
    }
    match body_of(response) {
        Ok(body) => failure(response, &body, None, outcomes),
        Err(Undecodable::Garbage) => failure(response, &[], None, outcomes),
        Err(Undecodable::TooLarge) => outcomes.response_too_large(),
    }
}

fn body_of(response: &Response) -> Result<Cow<'_, [u8]>, Undecodable> {
    let named = response.header("content-encoding").unwrap_or("");
    decompress(&response.body, named)
}

/// Returns the outcome of a response that says that the request was not accepted.
fn failure(
    response: &Response,
    body: &[u8],
    encoding: Option<Encoding>,
    outcomes: &OutcomeBuilder<'_>,
) -> Outcome {
    let status = response.status;
    let error_type = status.as_str().to_owned();
    let message = match status.is_redirection() {
        true => redirection(response),
        false => said(body, encoding),
    };
    let message = with_status(status, message.trim());
    let retry_after = || retry_after(response.header("retry-after")?, SystemTime::now());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            outcomes.retryable(error_type, &message, retry_after(), Arrival::Excluded)
        }
        // Sent by an intermediary, which may have forwarded the request.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            outcomes.retryable(error_type, &message, retry_after(), Arrival::Possible)
        }
        _ => outcomes.permanent(error_type, &message),
    }
}

/// Prefixes a message with the status, unless the message only repeats the status.
fn with_status(status: StatusCode, message: &str) -> String {
    let bare = match message.strip_prefix(status.as_str()) {
        Some(rest) if !rest.starts_with(char::is_alphanumeric) => {
            rest.trim_start_matches([' ', ':'])
        }
        _ => message,
    };
    let is_reason = |reason: &str| bare.eq_ignore_ascii_case(reason);
    match bare {
        "" => status.to_string(),
        _ if status.canonical_reason().is_some_and(is_reason) => status.to_string(),
        _ => format!("{status}: {bare}"),
    }
}

/// Returns the encoding of a response; `None` if it is neither protobuf nor JSON.
fn encoding_of(response: &Response) -> Option<Encoding> {
    let kind = response.header("content-type")?.split(';').next()?.trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

fn decode(body: &[u8], encoding: Option<Encoding>) -> Result<ExportResponse, ()> {
    match encoding {
        // Many receivers respond with an empty body, whatever its content type.
        _ if body.is_empty() => Ok(ExportResponse::default()),
        Some(Encoding::Protobuf) => ExportResponse::from_protobuf(body).map_err(drop),
        Some(Encoding::Json) => json::export_response(body).map_err(drop),
        None => Err(()),
    }
}

/// Returns the message in the body of a failure: that of a status, or the body as text.
fn said(body: &[u8], encoding: Option<Encoding>) -> String {
    let status = match encoding {
        Some(Encoding::Protobuf) => RpcStatus::from_protobuf(body)
            .ok()
            .map(|status| status.message),
        Some(Encoding::Json) => json::status_message(body).ok(),
        None => None,
    };
    // Far more than is shown, but cheap to copy.
    let text = || String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).into_owned();
    status
        .filter(|message| !message.is_empty())
        .unwrap_or_else(text)
}

fn redirection(response: &Response) -> String {
    let location = response.header("location").map(masked);
    let to = location.map_or(Cow::Borrowed(""), |location| {
        format!(" to {location}").into()
    });
    format!("a redirection{to}, which is not followed")
}

/// Parses the time to wait: seconds, or an HTTP date.
///
/// Source: RFC 9110, 10.2.3.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

const MAX_TEXT: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_once() {
        let not_found = |body| with_status(StatusCode::NOT_FOUND, body);
        for body in ["", "404", "Not Found", "404 Not Found", "404: not found"] {
            assert_eq!(not_found(body), "404 Not Found", "{body:?}");
        }
        let reported = "404 Not Found: page not found";
        assert_eq!(not_found("404 page not found"), reported);
        assert_eq!(not_found("page not found"), reported);
        assert_eq!(not_found("4041 pages"), "404 Not Found: 4041 pages");
    }

    #[test]
    fn the_time_to_wait_has_two_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("Sun Nov  6 08:49:37 1994", Some(7)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(252_618_189_029)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1601 00:00:00 GMT", None),
            ("Sun, 31 Feb 2099 00:00:00 GMT", None),
            ("+1", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
