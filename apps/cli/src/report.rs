//! Reports of commands, and how they are printed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use barograph_model::text::one_line;
use barograph_model::timestamp::push_rfc3339;
use serde_json::Value;

/// The result of a command.
pub(crate) trait Report {
    /// Returns the report as text, for people.
    fn text(&self, paint: Paint) -> String;

    /// Returns the report as a JSON object.
    fn json(&self) -> Value;

    /// Returns true if there is something to change.
    fn has_findings(&self) -> bool;
}

/// The reason why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The failure, with the value that it is about.
    pub(crate) message: String,
    /// The thing to do about it; empty if the message says it.
    pub(crate) advice: String,
}

impl Unusable {
    pub(crate) fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Unusable {
            message: message.into(),
            advice: advice.into(),
        }
    }
}

/// The way in which reports are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    is_json: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        Output { is_json }
    }

    /// Prints a report, and returns the exit code that says if there are findings.
    pub(crate) fn print(self, report: &dyn Report) -> ExitCode {
        let text = match self.is_json {
            true => format!("{:#}\n", report.json()),
            false => report.text(Paint::of(io::stdout().is_terminal())),
        };
        let mut stdout = io::stdout().lock();
        // The reader may have seen enough, as in `barograph page check ... | head`.
        if let Err(error) = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let advice = "is the disk of the redirected output full?";
            return self.fail(&Unusable::new(
                format!("cannot print the report: {error}"),
                advice,
            ));
        }
        ExitCode::from(u8::from(report.has_findings()))
    }

    /// Prints an error, and returns the exit code for it.
    pub(crate) fn fail(self, unusable: &Unusable) -> ExitCode {
        let paint = Paint::of(io::stderr().is_terminal());
        let Unusable { message, advice } = unusable;
        let mut text = format!("{} {}\n", paint.error("error:"), one_line(message));
        if !advice.is_empty() {
            let _ = writeln!(text, "  {}", one_line(advice));
        }
        // There is nowhere else to report to.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(2)
    }
}

/// Colors for a terminal, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Colors,
    Plain,
}

impl Paint {
    /// Returns colors for a terminal, unless `NO_COLOR` has a value.
    fn of(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match is_terminal && !refused {
            true => Paint::Colors,
            false => Paint::Plain,
        }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.sequence("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.sequence("33", text)
    }

    pub(crate) fn fine(self, text: &str) -> String {
        self.sequence("32", text)
    }

    pub(crate) fn heading(self, text: &str) -> String {
        self.sequence("1", text)
    }

    fn sequence(self, code: &str, text: &str) -> String {
        match self {
            Paint::Colors => format!("\x1b[{code}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        }
    }
}

/// Returns a number of bytes in the unit that makes it short.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// Returns a time, in nanoseconds since 1970, as RFC 3339 in UTC with whole seconds.
pub(crate) fn time(unix_nano: u64) -> String {
    let mut text = String::new();
    push_rfc3339(&mut text, unix_nano);
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// Returns the time since then in the largest unit that fits.
pub(crate) fn age(now_unix_nano: u64, then_unix_nano: u64) -> String {
    let (seconds, direction) = match now_unix_nano.checked_sub(then_unix_nano) {
        Some(past) => (past / 1_000_000_000, "ago"),
        None => ((then_unix_nano - now_unix_nano) / 1_000_000_000, "from now"),
    };
    let (number, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit} {direction}")
}

/// Returns an error with its causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_and_ages_have_one_unit() {
        assert_eq!(time(1_789_207_872_999_999_999), "2026-09-12T10:11:12Z");
        let now = 1_000_000_000_000_000_000;
        for (seconds, expected) in [
            (0, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(age(now, now - seconds * 1_000_000_000), expected);
        }
        assert_eq!(age(now, now + 5_000_000_000), "5 s from now");
    }

    #[test]
    fn sizes_have_the_unit_that_makes_them_short() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
