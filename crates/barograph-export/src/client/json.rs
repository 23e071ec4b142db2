//! Decoding of JSON responses: export responses, and the status of a failed request.
//!
//! No tree is built: unknown fields are skipped, so that decoding costs no more than the length of
//! the response.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor};

use barograph_encode::otlp::{ExportResponse, Malformed};

/// Decodes an `ExportMetricsServiceResponse` or its counterpart for traces or logs.
pub(super) fn export_response(bytes: &[u8]) -> Result<ExportResponse, Malformed> {
    let object: ResponseObject = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
    let partial = object.partial.unwrap_or_default();
    Ok(ExportResponse {
        rejected: partial.rejected,
        message: partial.message,
    })
}

/// Decodes the message in a `google.rpc.Status`.
pub(super) fn status_message(bytes: &[u8]) -> Result<String, Malformed> {
    let object: ResponseObject = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
    Ok(object.message)
}

/// Any of these objects; unknown fields are ignored.
#[derive(Default)]
struct ResponseObject {
    partial: Option<Box<ResponseObject>>,
    rejected: i64,
    message: String,
}

impl<'de> Deserialize<'de> for ResponseObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ResponseObjectVisitor)
    }
}

struct ResponseObjectVisitor;

impl<'de> Visitor<'de> for ResponseObjectVisitor {
    type Value = ResponseObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResponseObject, A::Error> {
        let mut object = ResponseObject::default();
        // Parsers of protobuf's JSON also accept the field names of the .proto files.
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "partialSuccess" | "partial_success" => object.partial = map.next_value()?,
                "rejectedDataPoints"
                | "rejected_data_points"
                | "rejectedSpans"
                | "rejected_spans"
                | "rejectedLogRecords"
                | "rejected_log_records" => {
                    object.rejected = map.next_value::<Number>()?.0;
                }
                "errorMessage" | "error_message" | "message" => {
                    object.message = map.next_value::<Option<String>>()?.unwrap_or_default();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(object)
    }
}

/// A 64-bit integer: a string in protobuf's JSON, but a number is accepted too.
struct Number(i64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, as a number or as a text")
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number(0))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        let in_range = i64::try_from(number).map(Number);
        in_range.map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        let number = text.parse().map(Number);
        number.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(json: &str) -> Result<(i64, String), Malformed> {
        export_response(json.as_bytes()).map(|response| (response.rejected, response.message))
    }

    #[test]
    fn export_responses_are_read() {
        for (json, rejected, message) in [
            ("{}", 0, ""),
            (r#"{"partialSuccess":null}"#, 0, ""),
            (r#"{"partialSuccess":{}}"#, 0, ""),
            (
                r#"{"x":[{}],"partialSuccess":{"rejectedDataPoints":"7","errorMessage":"a\u0001"}}"#,
                7,
                "a\u{1}",
            ),
            (r#"{"partial_success":{"rejected_spans":7}}"#, 7, ""),
            (
                r#"{"partialSuccess":{"rejectedLogRecords":null,"errorMessage":null}}"#,
                0,
                "",
            ),
        ] {
            assert_eq!(response(json), Ok((rejected, message.to_owned())), "{json}");
        }
    }

    #[test]
    fn anything_but_an_export_response_is_malformed() {
        let deep = "[".repeat(100_000);
        let within = format!(r#"{{"x":{deep}"#);
        for json in [
            "",
            "[]",
            "1",
            "{",
            r#"{"partialSuccess":{"rejectedSpans":1.5}}"#,
            &deep,
            &within,
        ] {
            assert_eq!(response(json), Err(Malformed));
        }
    }

    #[test]
    fn the_message_of_a_status_is_found() {
        let json = br#"{"code":3,"message":"no","details":[{"@type":"x"}]}"#;
        assert_eq!(status_message(json), Ok("no".to_owned()));
    }
}
