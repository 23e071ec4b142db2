//! The limits of spans and log records.
//!
//! Source: OpenTelemetry environment variables, "Attribute Limits", "Span Limits", "LogRecord
//! Limits". A specific limit takes precedence over the general one.

use barograph_tracing::log::LogLimits;
use barograph_tracing::trace::SpanLimits;

use crate::environment::Environment;
use crate::variables::{
    ATTRIBUTES, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, LOG_ATTRIBUTES, LOG_VALUE_LENGTH,
    SPAN_ATTRIBUTES, SPAN_EVENTS, SPAN_LINKS, SPAN_VALUE_LENGTH, VALUE_LENGTH, Variable,
};

/// Reads the limits of spans and those of log records. Lengths are in characters.
pub(crate) fn read(environment: &mut Environment<'_>) -> (SpanLimits, LogLimits) {
    let mut limit = |variable: Variable| {
        let limit = environment.number::<u32>(&variable)?;
        Some(limit as usize)
    };
    let (length, count) = (limit(VALUE_LENGTH), limit(ATTRIBUTES));
    let mut set = |field: &mut usize, variable, general: Option<usize>| {
        *field = limit(variable).or(general).unwrap_or(*field);
    };
    let mut spans = SpanLimits::default();
    set(&mut spans.value_length, SPAN_VALUE_LENGTH, length);
    set(&mut spans.attributes, SPAN_ATTRIBUTES, count);
    set(&mut spans.events, SPAN_EVENTS, None);
    set(&mut spans.links, SPAN_LINKS, None);
    set(&mut spans.event_attributes, EVENT_ATTRIBUTES, count);
    set(&mut spans.link_attributes, LINK_ATTRIBUTES, count);
    let mut logs = LogLimits::default();
    set(&mut logs.value_length, LOG_VALUE_LENGTH, length);
    set(&mut logs.attributes, LOG_ATTRIBUTES, count);
    (spans, logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specific_limit_precedes_the_general_one() {
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
        let (spans, logs) = read(&mut environment);
        let mut expected = SpanLimits::default();
        expected.attributes = 20;
        expected.events = 0;
        expected.event_attributes = 10;
        expected.link_attributes = 10;
        assert_eq!(spans, expected);
        let mut expected = LogLimits::default();
        expected.attributes = 10;
        assert_eq!(logs, expected);
        assert_eq!(environment.into_notices().len(), 2);
    }
}
