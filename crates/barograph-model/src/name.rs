//! Names of metrics and labels, and the checks of their validity.
//!
//! Any UTF-8 text may be a name, as in Prometheus 3 and OpenTelemetry; an encoder writes it in the form
//! its reader understands. Names that no reader understands are refused at registration.

use std::error::Error;
use std::fmt;

/// The maximum length of a name, in bytes (OpenTelemetry: instrument names, 255 characters).
pub const MAX_NAME_LEN: usize = 255;

/// Checks the name of a metric.
///
/// # Errors
/// [`InvalidName`] if it is empty, longer than [`MAX_NAME_LEN`] bytes, or contains a control character.
///
/// ```
/// use barograph_model::name::check_metric;
/// assert!(check_metric("http.server.request.duration").is_ok());
/// assert!(check_metric("").is_err());
/// ```
pub fn check_metric(name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() {
        Why::Empty
    } else if name.len() > MAX_NAME_LEN {
        Why::TooLong
    } else if name.chars().any(char::is_control) {
        Why::Control
    } else {
        return Ok(());
    };
    Err(InvalidName {
        name: name.into(),
        why,
    })
}

/// Checks the name of a label.
///
/// `le` and `quantile` are reserved for histograms and summaries, `__...` for Prometheus, and
/// `otel.metric.overflow` for the overflow series.
///
/// # Errors
/// [`InvalidLabel`] if it is empty, too long, contains a control character, or is reserved.
///
/// ```
/// use barograph_model::name::check_label;
/// assert!(check_label("http.route").is_ok());
/// assert!(check_label("le").is_err());
/// ```
pub fn check_label(label: &str) -> Result<(), InvalidLabel> {
    let why = if label.is_empty() {
        Why::Empty
    } else if label.len() > MAX_NAME_LEN {
        Why::TooLong
    } else if label.chars().any(char::is_control) {
        Why::Control
    } else if matches!(label, "le" | "quantile") || label.starts_with("__") || label == OVERFLOW {
        Why::Reserved
    } else {
        return Ok(());
    };
    Err(InvalidLabel {
        label: label.into(),
        why,
    })
}

/// Returns true if the name of a metric denotes a time: its last word is `duration`, `latency` or
/// similar.
///
/// ```
/// use barograph_model::name::denotes_time;
/// assert!(denotes_time("job.duration"));
/// assert!(!denotes_time("job.time.limit"));
/// ```
pub fn denotes_time(name: &str) -> bool {
    const TIMES: [&str; 7] = [
        "delay", "duration", "elapsed", "lag", "latency", "time", "wait",
    ];
    let last = name.rsplit(['.', '_', '-', '/']).next();
    last.is_some_and(|word| TIMES.contains(&word))
}

/// The label of the overflow series, whose value is `"true"`
/// (OpenTelemetry metrics SDK, "Overflow attribute").
pub const OVERFLOW: &str = "otel.metric.overflow";

/// The error of an invalid metric name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName {
    /// The name as it was given.
    pub name: Box<str>,
    why: Why,
}

/// The error of an invalid label name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLabel {
    /// The label name as it was given.
    pub label: Box<str>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Empty,
    TooLong,
    Control,
    Reserved,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Empty => f.write_str("expected at least one character"),
            Why::TooLong => write!(f, "expected at most {MAX_NAME_LEN} bytes"),
            Why::Control => f.write_str("expected no control character"),
            Why::Reserved => f.write_str("reserved, expected another name"),
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid name {:?}: {}", self.name, self.why)
    }
}

impl fmt::Display for InvalidLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid label {:?}: {}", self.label, self.why)
    }
}

impl Error for InvalidName {}
impl Error for InvalidLabel {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_holds_the_offending_value_and_says_what_was_expected() {
        let long = "x".repeat(256);
        for (name, message) in [
            ("", r#"invalid name "": expected at least one character"#),
            (
                "a\nb",
                r#"invalid name "a\nb": expected no control character"#,
            ),
            (
                &long,
                &format!("invalid name {long:?}: expected at most 255 bytes"),
            ),
        ] {
            assert_eq!(check_metric(name).unwrap_err().to_string(), message);
        }
        for label in ["le", "quantile", "__name__", "otel.metric.overflow"] {
            let error = check_label(label).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid label {label:?}: reserved, expected another name")
            );
        }
    }

    #[test]
    fn any_other_text_is_a_name() {
        for name in [
            "a",
            "http.server",
            "größe",
            "with space",
            "1st",
            "a:b",
            "\"\\",
        ] {
            assert!(check_metric(name).is_ok(), "{name}");
            assert!(check_label(name).is_ok(), "{name}");
        }
    }
}
