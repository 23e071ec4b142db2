//! Parses the values of variables by the rules of OpenTelemetry.
//!
//! A function looks variables up: the facade passes one that reads the environment of the process.
//! Rules that are easy to get wrong: an empty or blank value counts as unset, surrounding blanks are
//! trimmed, only `true` (in any case) is true, and an invalid value is ignored alone, with a
//! [`Notice`] that the facade logs. So is a value that is not UTF-8 or longer than [`LONGEST`].
//!
//! Source: OpenTelemetry specification, "Environment variable specification".

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

#[cfg(feature = "otlp")]
use barograph_export::client::InvalidUrl;
use percent_encoding::percent_decode_str;

use crate::notice::{Notice, shown_value};
use crate::variables::Variable;

/// Looks variables up and collects the notices about them.
pub(crate) struct Environment<'a> {
    lookup: &'a Lookup<'a>,
    notices: Vec<Notice>,
}

/// A function that returns the value of a variable, such as [`std::env::var_os`].
pub type Lookup<'l> = dyn Fn(&str) -> Option<OsString> + 'l;

/// The maximum number of bytes of a value. Most systems allow 128 KiB, and no variable needs as many;
/// processing a value may take more than linear time.
pub(crate) const LONGEST: usize = 32 << 10;

impl<'a> Environment<'a> {
    pub(crate) fn new(lookup: &'a Lookup<'a>) -> Self {
        Environment {
            lookup,
            notices: Vec::new(),
        }
    }

    /// Returns the notices, in the order in which variables were looked up.
    pub(crate) fn into_notices(self) -> Vec<Notice> {
        self.notices
    }

    /// Adds a notice about a variable, once.
    pub(crate) fn notice(&mut self, text: String) {
        self.add(Notice::new(text));
    }

    fn add(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Adds a notice that a value is invalid. The value is printed as given, so pass it without
    /// secrets.
    pub(crate) fn ignore(&mut self, variable: &str, value: &str, expected: &str) {
        self.add(Notice::ignored(variable, value, expected));
    }

    /// Adds a notice that entries of a list are invalid, if there are any.
    pub(crate) fn ignore_entries(&mut self, variable: &Variable, entries: &[&str]) {
        let Variable { name, expected, .. } = variable;
        match entries {
            [] => {}
            [entry] => self.ignore(name, entry, expected),
            _ => {
                let shown = entries.iter().take(MOST_ENTRIES);
                let mut shown = shown.map(|entry| shown_value(entry)).collect::<Vec<_>>();
                if let more @ 1.. = entries.len() - shown.len() {
                    shown.push(format!("{more} more"));
                }
                let shown = shown.join(", ");
                self.notice(format!("{name}: {shown} are ignored, expected {expected}"));
            }
        }
    }

    /// Returns true if a variable has a value that is not empty.
    pub(crate) fn is_set(&self, variable: &Variable) -> bool {
        (self.lookup)(variable.name).is_some_and(|value| !value.is_empty())
    }

    /// Returns a value that is not blank, trimmed.
    pub(crate) fn text(&mut self, variable: &Variable) -> Option<String> {
        let name = variable.name;
        let value = (self.lookup)(name)?;
        let bytes = value.len();
        // The value itself is not shown: it may be a secret.
        if bytes > LONGEST {
            self.notice(format!(
                "{name} is ignored: it has {bytes} bytes, expected at most {LONGEST}"
            ));
            return None;
        }
        let Ok(text) = value.into_string() else {
            self.notice(format!("{name} is ignored, expected text in UTF-8"));
            return None;
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Returns true if the value is `true`.
    pub(crate) fn is_true(&mut self, variable: &Variable) -> bool {
        self.flag(variable).unwrap_or(false)
    }

    /// Returns true if the value is `true`; None if it is unset. Any other value is false, as the
    /// specification says: it does not fall back to a more general variable.
    pub(crate) fn flag(&mut self, variable: &Variable) -> Option<bool> {
        self.text(variable)?;
        let choices = [("true", true), ("false", false)];
        let chosen = self.choice(variable, &choices);
        Some(chosen.unwrap_or(false))
    }

    /// Returns an interval. Zero is invalid: a loop without a pause would spin.
    pub(crate) fn interval(&mut self, variable: &Variable) -> Option<Duration> {
        let parse = |value: &str| milliseconds(value).filter(|interval| !interval.is_zero());
        self.parsed(variable, parse)
    }

    /// Returns a timeout. 0 means no limit, in practice 24 days.
    pub(crate) fn timeout(&mut self, variable: &Variable) -> Option<Duration> {
        let timeout = self.parsed(variable, milliseconds)?;
        match timeout.is_zero() {
            true => Some(Duration::from_millis(MOST_MILLISECONDS)),
            false => Some(timeout),
        }
    }

    /// Returns a time to wait. 0 means not to wait.
    pub(crate) fn wait(&mut self, variable: &Variable) -> Option<Duration> {
        self.parsed(variable, milliseconds)
    }

    /// Returns a number.
    pub(crate) fn number<N: FromStr>(&mut self, variable: &Variable) -> Option<N> {
        self.parsed(variable, |value| value.parse().ok())
    }

    /// Returns one of the choices, case-insensitively.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        variable: &Variable,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(variable, |value| {
            let mut choices = choices.iter();
            let chosen = choices.find(|(word, _)| value.eq_ignore_ascii_case(word))?;
            Some(chosen.1)
        })
    }

    /// Returns the valid entries of a list, and adds a notice about the others.
    pub(crate) fn entries(
        &mut self,
        variable: &Variable,
        is_valid: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let text = self.text(variable).unwrap_or_default();
        let (valid, others): (Vec<_>, Vec<_>) = words(&text).partition(|word| is_valid(word));
        self.ignore_entries(variable, &others);
        valid.into_iter().map(str::to_owned).collect()
    }

    /// Returns a URL. A notice shows an invalid one without its secrets.
    #[cfg(feature = "otlp")]
    pub(crate) fn url<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Result<T, InvalidUrl>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        match parse(&text) {
            Ok(parsed) => Some(parsed),
            Err(InvalidUrl { url, expected }) => {
                self.ignore(variable.name, &url, expected);
                None
            }
        }
    }

    /// Returns the value as `parse` reads it.
    pub(crate) fn parsed<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(variable)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.ignore(variable.name, &value, variable.expected);
        }
        parsed
    }
}

/// Returns the entries of a list with commas between them, without blanks around them.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty())
}

/// Decodes percent-encoding, which W3C baggage uses for values. A plus stays a plus. None if a sequence
/// is invalid.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let is_sequence = |rest: &str| {
        let digits = rest.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(is_sequence).then_some(())?;
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Parses a duration: a number of milliseconds, without a unit.
fn milliseconds(value: &str) -> Option<Duration> {
    let number: u64 = value.parse().ok()?;
    (number <= MOST_MILLISECONDS).then(|| Duration::from_millis(number))
}

/// The maximum that the specification requires implementations to accept, and that a clock can always
/// add.
const MOST_MILLISECONDS: u64 = i32::MAX as u64;

/// The maximum number of list entries in a notice.
const MOST_ENTRIES: usize = 3;

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::variables::PORT;

    const X: Variable = Variable::new("X", "a setting", "y", "none");

    #[track_caller]
    fn check<T: PartialEq + fmt::Debug>(
        value: Option<&str>,
        read: impl FnOnce(&mut Environment<'_>) -> T,
        expected: T,
        ignored: usize,
    ) {
        let lookup = |_: &str| value.map(OsString::from);
        let mut environment = Environment::new(&lookup);
        assert_eq!(read(&mut environment), expected, "{value:?}");
        assert_eq!(environment.into_notices().len(), ignored, "{value:?}");
    }

    #[test]
    fn only_true_is_true() {
        for (value, expected, ignored) in [
            (None, false, 0),
            (Some(""), false, 0),
            (Some("true"), true, 0),
            (Some("TRUE"), true, 0),
            (Some("False"), false, 0),
            (Some("1"), false, 1),
            (Some("yes"), false, 1),
            (Some("truee"), false, 1),
        ] {
            check(value, |e| e.is_true(&X), expected, ignored);
        }
    }

    #[test]
    fn another_word_than_true_and_false_is_false_and_not_unset() {
        for (value, expected, ignored) in [
            (None, None, 0),
            (Some(""), None, 0),
            (Some("True"), Some(true), 0),
            (Some("1"), Some(false), 1),
        ] {
            check(value, |e| e.flag(&X), expected, ignored);
        }
    }

    #[test]
    fn times_are_whole_milliseconds() {
        let ms = |number| Some(Duration::from_millis(number));
        for (value, interval, timeout, ignored) in [
            (None, None, None, 0),
            (Some(""), None, None, 0),
            (Some("1"), ms(1), ms(1), 0),
            (Some(" 60000 "), ms(60_000), ms(60_000), 0),
            (Some("2147483647"), ms(2_147_483_647), ms(2_147_483_647), 0),
            (Some("2147483648"), None, None, 1),
            (Some("0"), None, ms(2_147_483_647), 1),
            (Some("-1"), None, None, 1),
            (Some("10s"), None, None, 1),
            (Some("1.5"), None, None, 1),
        ] {
            let read = |e: &mut Environment<'_>| (e.interval(&X), e.timeout(&X));
            check(value, read, (interval, timeout), ignored);
        }
    }

    #[test]
    fn a_notice_is_added_once() {
        let lookup = |_: &str| Some("many".into());
        let mut environment = Environment::new(&lookup);
        for _ in 0..3 {
            environment.is_true(&X);
        }
        assert_eq!(environment.into_notices().len(), 1);
    }

    #[test]
    fn an_invalid_number_is_ignored() {
        for (value, expected, ignored) in [
            (None, None, 0),
            (Some(""), None, 0),
            (Some("9464"), Some(9464), 0),
            (Some(" 1 "), Some(1), 0),
            (Some("65536"), None, 1),
            (Some("-1"), None, 1),
            (Some("http"), None, 1),
        ] {
            check(value, |e| e.number::<u16>(&X), expected, ignored);
        }
    }

    #[test]
    fn choices_are_case_insensitive() {
        let choices = [("always_on", 1), ("always_off", 2)];
        for (value, expected, ignored) in [
            (Some("always_on"), Some(1), 0),
            (Some("Always_Off"), Some(2), 0),
            (Some("sometimes"), None, 1),
            (Some(""), None, 0),
        ] {
            check(value, |e| e.choice(&X, &choices), expected, ignored);
        }
    }

    #[test]
    fn an_ignored_value_adds_a_notice() {
        let lookup = |_: &str| Some("many".into());
        let mut environment = Environment::new(&lookup);
        assert_eq!(environment.number::<u16>(&PORT), None);
        assert_eq!(
            environment.into_notices()[0].to_string(),
            r#"OTEL_EXPORTER_PROMETHEUS_PORT="many" is ignored, expected a port from 0 to 65535"#
        );
    }

    #[test]
    fn ignored_entries_of_a_list_share_a_notice() {
        for (entries, expected) in [
            (&["a"][..], r#"X="a" is ignored, expected y"#),
            (&["a", "b"], r#"X: "a", "b" are ignored, expected y"#),
            (
                &["a", "b", "c", "d", "e"],
                r#"X: "a", "b", "c", 2 more are ignored, expected y"#,
            ),
        ] {
            let lookup = |_: &str| None;
            let mut environment = Environment::new(&lookup);
            environment.ignore_entries(&X, &[]);
            environment.ignore_entries(&X, entries);
            let notices = environment.into_notices();
            assert_eq!(notices.len(), 1);
            assert_eq!(notices[0].to_string(), expected);
        }
    }

    #[test]
    fn blank_values_are_unset_and_others_are_trimmed() {
        for (value, expected, ignored) in [
            (" ", None, 0),
            ("\t\n", None, 0),
            (" a b ", Some("a b".to_owned()), 0),
        ] {
            check(Some(value), |e| e.text(&X), expected, ignored);
        }
        check(
            Some(&"x".repeat(LONGEST)),
            |e| e.text(&X).is_some(),
            true,
            0,
        );
        check(Some(&"x".repeat(LONGEST + 1)), |e| e.text(&X), None, 1);
        check(Some(" "), |e| e.is_set(&X), true, 0);
        check(Some(""), |e| e.is_set(&X), false, 0);
    }

    #[cfg(unix)]
    #[test]
    fn text_that_is_not_utf_8_is_ignored_and_not_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let lookup = |_: &str| Some(OsString::from_vec(b"secret \xff".to_vec()));
        let mut environment = Environment::new(&lookup);
        assert_eq!(environment.text(&X), None);
        assert!(environment.is_set(&X));
        assert_eq!(
            environment.into_notices()[0].to_string(),
            "X is ignored, expected text in UTF-8"
        );
    }
}
