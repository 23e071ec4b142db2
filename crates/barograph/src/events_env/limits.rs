//! The limits of spans and log records.
//!
//! Source: OpenTelemetry environment variables, "Attribute Limits", "Span Limits", "LogRecord
//! Limits". A specific limit takes precedence over the general one.

use crate::env::Environment;

/// The limits that are set. Lengths are in characters; None means that the variable is unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) span_value_length: Option<usize>,
    pub(crate) span_attributes: Option<usize>,
    pub(crate) span_events: Option<usize>,
    pub(crate) span_links: Option<usize>,
    pub(crate) event_attributes: Option<usize>,
    pub(crate) link_attributes: Option<usize>,
    pub(crate) log_value_length: Option<usize>,
    pub(crate) log_attributes: Option<usize>,
}

impl Limits {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let mut limit = |variable| {
            environment
                .number::<u32>(variable, "a whole number from 0")
                .map(|limit| limit as usize)
        };
        let length = limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let count = limit("OTEL_ATTRIBUTE_COUNT_LIMIT");
        Limits {
            span_value_length: limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(length),
            span_attributes: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").or(count),
            span_events: limit("OTEL_SPAN_EVENT_COUNT_LIMIT"),
            span_links: limit("OTEL_SPAN_LINK_COUNT_LIMIT"),
            event_attributes: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT").or(count),
            link_attributes: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT").or(count),
            log_value_length: limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(length),
            log_attributes: limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT").or(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_limit_counts_before_the_general_one() {
        let lookup = |variable: &str| {
            let value = match variable {
                "OTEL_ATTRIBUTE_COUNT_LIMIT" => "10",
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => "20",
                "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT" => "many",
                "OTEL_SPAN_EVENT_COUNT_LIMIT" => "0",
                "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" => "",
                "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" => "-1",
                _ => return None,
            };
            Some(value.into())
        };
        let mut environment = Environment::new(&lookup);
        let limits = Limits::read(&mut environment);
        let expected = Limits {
            span_attributes: Some(20),
            span_events: Some(0),
            event_attributes: Some(10),
            link_attributes: Some(10),
            log_attributes: Some(10),
            ..Limits::default()
        };
        assert_eq!(limits, expected);
        assert_eq!(environment.into_notices().len(), 2);
    }
}
