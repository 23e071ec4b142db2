//! JSON log lines that a service prints, and the contexts in them.

use serde_json::Value;

/// The value of `BAROGRAPH_LOG_FORMAT` that makes a service print such lines.
pub const FORMAT: &str = "json";

/// Returns the lines of a log that are JSON objects. Others, such as the start line, are skipped.
///
/// # Panics
///
/// Panics if a line begins as an object and is not valid JSON.
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
/// Panics as [`lines`] does.
#[track_caller]
pub fn saying(log: &str, message: &str) -> Vec<Value> {
    let mut lines = lines(log);
    lines.retain(|line| line["message"] == message);
    lines
}

/// Returns the ids of the trace and the span that a line was written in; empty if there were none.
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
