//! Lines that a service prints for machines, and the contexts that they name.

use serde_json::Value;

/// What makes a service print such lines, in `BAROGRAPH_LOG_FORMAT`.
pub const FORMAT: &str = "json";

/// The lines of a log that are objects. Others, such as the start line, are passed over.
///
/// # Panics
///
/// When one begins as an object and is none.
#[track_caller]
pub fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The lines with this message.
///
/// # Panics
///
/// As [`lines`] does.
#[track_caller]
pub fn saying(log: &str, message: &str) -> Vec<Value> {
    let mut lines = lines(log);
    lines.retain(|line| line["message"] == message);
    lines
}

/// The ids of the trace and the span that a line was written in; empty where it was in none.
pub fn ids(line: &Value) -> (&str, &str) {
    let id = |name: &str| line[name].as_str().unwrap_or_default();
    (id("trace_id"), id("span_id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_with_their_ids() {
        let log = "shop: listening\n{\"message\":\"read\",\"trace_id\":\"0a\",\"span_id\":\"0b\"}\n\
                   {\"message\":\"left\"}\n";
        assert_eq!(lines(log).len(), 2);
        let read = saying(log, "read");
        assert_eq!(read.len(), 1);
        assert_eq!(ids(&read[0]), ("0a", "0b"));
        assert_eq!(ids(&saying(log, "left")[0]), ("", ""));
    }
}
