//! The time of the newest item in an encoded request.

use super::fields::{Fields, Malformed, Value};
use super::request::{Encoding, Request, Signal};

impl Request {
    /// Returns the time of the newest data point, span or log record in it, in nanoseconds since 1970: the
    /// end of a span, and the time of the other two. Returns `None` if no item has one, or if the body is
    /// not of the signal and the encoding. Spans in the format of Zipkin are recognized, and have the latest
    /// of their timestamps.
    ///
    /// ```
    /// use barograph_encode::otlp::{Encoding, Request, Signal};
    /// let request = Request {
    ///     signal: Signal::Logs,
    ///     encoding: Encoding::Json,
    ///     body: br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"7"}]}]}]}"#[..].into(),
    ///     items: 1,
    /// };
    /// assert_eq!(request.newest_unix_nano(), Some(7));
    /// ```
    pub fn newest_unix_nano(&self) -> Option<u64> {
        match self.encoding {
            Encoding::Protobuf => in_protobuf(&self.body, self.signal),
            Encoding::Json => in_json(&self.body, self.signal),
        }
    }
}

/// The numbers of the fields that lead to an item, and of the times of an item. The innermost message is
/// last.
///
/// Source: OTLP 1.11, `opentelemetry/proto`: `ResourceMetrics`, `ScopeMetrics`, `Metric` with one of its
/// five kinds of data, and their points; `ResourceSpans` and `ResourceLogs` likewise.
fn path(signal: Signal) -> (&'static [&'static [u64]], &'static [u64]) {
    match signal {
        Signal::Metrics => (&[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]], &[3]),
        Signal::Traces => (&[&[1], &[2], &[2]], &[8]),
        Signal::Logs => (&[&[1], &[2], &[2]], &[1, 11]),
    }
}

fn in_protobuf(body: &[u8], signal: Signal) -> Option<u64> {
    let (path, times) = path(signal);
    let mut newest = None;
    // It descends as deep as the path, whatever the body is.
    walk(body, path, times, &mut newest).ok()?;
    newest
}

/// Raises `newest` to the latest of the times in the items that the path leads to.
fn walk(
    message: &[u8],
    path: &[&[u64]],
    times: &[u64],
    newest: &mut Option<u64>,
) -> Result<(), Malformed> {
    for field in Fields(message) {
        match (field?, path) {
            ((number, Value::Bytes(inner)), [numbers, rest @ ..]) if numbers.contains(&number) => {
                walk(inner, rest, times, newest)?;
            }
            ((number, Value::Fixed64(time)), []) if times.contains(&number) && time > 0 => {
                *newest = (*newest).max(Some(time));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A key with its quotes cannot be inside of a text, where quotes are escaped. So the keys are searched,
/// without parsing what is around them.
fn in_json(body: &[u8], signal: Signal) -> Option<u64> {
    let nanos = |key: &str| newest_number(body, key);
    match signal {
        Signal::Metrics => nanos("\"timeUnixNano\":"),
        Signal::Logs => nanos("\"timeUnixNano\":").max(nanos("\"observedTimeUnixNano\":")),
        Signal::Traces => nanos("\"endTimeUnixNano\":").or_else(|| {
            // Zipkin has the start of a span and the times of its events, in microseconds.
            nanos("\"timestamp\":")?.checked_mul(1000)
        }),
    }
}

/// Returns the largest of the numbers that follow a key, in quotes or not.
fn newest_number(body: &[u8], key: &str) -> Option<u64> {
    let mut newest = None;
    let mut rest = body;
    while let Some(at) = rest
        .windows(key.len())
        .position(|part| part == key.as_bytes())
    {
        rest = rest.get(at..)?.get(key.len()..)?;
        let number = rest.strip_prefix(b"\"").unwrap_or(rest);
        let digits = number
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = std::str::from_utf8(number.get(..digits)?).ok()?;
        newest = newest.max(number.parse().ok().filter(|number| *number > 0));
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(signal: Signal, encoding: Encoding, body: &[u8]) -> Request {
        Request {
            signal,
            encoding,
            body: body.to_vec().into(),
            items: 1,
        }
    }

    #[test]
    fn bytes_that_are_no_request_have_no_time() {
        for signal in [Signal::Metrics, Signal::Traces, Signal::Logs] {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                for body in [
                    &b""[..],
                    b"\x0a",
                    b"{",
                    b"\xff\xff",
                    b"\"timeUnixNano\":",
                    b"\"timeUnixNano\":\"\"",
                ] {
                    assert_eq!(request(signal, encoding, body).newest_unix_nano(), None);
                }
            }
        }
    }

    #[test]
    fn texts_of_a_request_are_not_times() {
        let body = br#"{"body":{"stringValue":"\"timeUnixNano\":\"9\""},"timeUnixNano":"7"}"#;
        let time = request(Signal::Logs, Encoding::Json, body).newest_unix_nano();
        assert_eq!(time, Some(7));
        let zipkin = br#"[{"timestamp":5,"duration":9},{"timestamp":3}]"#;
        let time = request(Signal::Traces, Encoding::Json, zipkin).newest_unix_nano();
        assert_eq!(time, Some(5000));
    }
}
