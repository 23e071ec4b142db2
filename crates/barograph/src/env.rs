//! The environment, read by the rules of OpenTelemetry.
//!
//! It comes in as a function, so that a test gives its own. Rules that are easy to get wrong:
//! an empty value is none, only `true` (in any case) is true, and a value that makes no sense is
//! ignored alone and told about.
//!
//! Source: OpenTelemetry specification, "Environment variable specification".

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Looks variables up and keeps in mind what there is to say about them.
pub(crate) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    notices: Vec<Notice>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Environment {
            lookup,
            notices: Vec::new(),
        }
    }

    /// What there is to say, in the order in which variables were looked up.
    pub(crate) fn into_notices(self) -> Vec<Notice> {
        self.notices
    }

    /// Says something about a variable, once.
    pub(crate) fn notice(&mut self, variable: &'static str, text: String) {
        let notice = Notice { variable, text };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Says that a value makes no sense. It is shown as it is given here, so without its secrets.
    pub(crate) fn ignore(&mut self, variable: &'static str, value: &str, expected: &str) {
        let Notice { variable, text } = Notice::ignored(variable, value, expected);
        self.notice(variable, text);
    }

    /// A value that is not empty.
    pub(crate) fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.is_empty())
    }

    /// Whether the value is `true`.
    pub(crate) fn is_true(&mut self, variable: &'static str) -> bool {
        self.flag(variable).unwrap_or(false)
    }

    /// Whether the value is `true`; none where there is no value. One that is neither `true` nor
    /// `false` is false, by the letter: it does not give way to a variable that is more general.
    pub(crate) fn flag(&mut self, variable: &'static str) -> Option<bool> {
        self.text(variable)?;
        let choices = [("true", true), ("false", false)];
        let chosen = self.choice(variable, "true or false", &choices);
        Some(chosen.unwrap_or(false))
    }

    /// The time between two things. Not none at all: without a pause a loop would not rest.
    pub(crate) fn interval(&mut self, variable: &'static str) -> Option<Duration> {
        let expected = "a whole number of milliseconds from 1 to 2147483647";
        let parse = |value: &str| milliseconds(value).filter(|interval| !interval.is_zero());
        self.parsed(variable, expected, parse)
    }

    /// The time that something may take. 0 is no limit, in practice 24 days.
    pub(crate) fn timeout(&mut self, variable: &'static str) -> Option<Duration> {
        let expected = "a whole number of milliseconds from 0 to 2147483647";
        let timeout = self.parsed(variable, expected, milliseconds)?;
        match timeout.is_zero() {
            true => Some(Duration::from_millis(MOST_MILLISECONDS)),
            false => Some(timeout),
        }
    }

    /// The time to wait for something. 0 is not to wait.
    pub(crate) fn wait(&mut self, variable: &'static str) -> Option<Duration> {
        let expected = "a whole number of milliseconds from 0 to 2147483647";
        self.parsed(variable, expected, milliseconds)
    }

    /// A number.
    pub(crate) fn number<N: FromStr>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
    ) -> Option<N> {
        self.parsed(variable, expected, |value| value.trim().parse().ok())
    }

    /// One of some words, in upper or lower case.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(variable, expected, |value| {
            let mut choices = choices.iter();
            let chosen = choices.find(|(word, _)| value.trim().eq_ignore_ascii_case(word))?;
            Some(chosen.1)
        })
    }

    /// What `parse` makes of a value.
    pub(crate) fn parsed<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(variable)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.ignore(variable, &value, expected);
        }
        parsed
    }
}

/// Something to say about a variable, most often that its value makes no sense and is as if it were
/// not set. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) variable: &'static str,
    text: String,
}

impl Notice {
    /// That a value makes no sense.
    pub(crate) fn ignored(variable: &'static str, value: &str, expected: &str) -> Self {
        let text = format!("{variable}={value:?} is ignored, expected {expected}");
        Notice { variable, text }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Undoes percent-encoding, which is how values stand in W3C baggage. A plus is a plus.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                // Two hexadecimal digits fit a byte.
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Every duration is a number of milliseconds, without a unit.
fn milliseconds(value: &str) -> Option<Duration> {
    let number: u64 = value.trim().parse().ok()?;
    (number <= MOST_MILLISECONDS).then(|| Duration::from_millis(number))
}

/// What each implementation is asked to take at least, and what a clock can always add.
const MOST_MILLISECONDS: u64 = i32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: PartialEq + fmt::Debug>(
        value: Option<&str>,
        read: impl FnOnce(&mut Environment<'_>) -> T,
        expected: T,
        ignored: usize,
    ) {
        let lookup = |_: &str| value.map(String::from);
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
            check(value, |e| e.is_true("X"), expected, ignored);
        }
    }

    #[test]
    fn a_word_that_is_neither_is_false_and_not_unset() {
        for (value, expected, ignored) in [
            (None, None, 0),
            (Some(""), None, 0),
            (Some("True"), Some(true), 0),
            (Some("1"), Some(false), 1),
        ] {
            check(value, |e| e.flag("X"), expected, ignored);
        }
    }

    #[test]
    fn times_are_milliseconds_whatever_they_look_like() {
        let ms = |number| Some(Duration::from_millis(number));
        for (value, interval, timeout, ignored) in [
            (None, None, None, 0),
            (Some(""), None, None, 0),
            (Some("1"), ms(1), ms(1), 0),
            (Some(" 60000 "), ms(60_000), ms(60_000), 0),
            (Some("2147483647"), ms(2_147_483_647), ms(2_147_483_647), 0),
            (Some("2147483648"), None, None, 2),
            (Some("0"), None, ms(2_147_483_647), 1),
            (Some("-1"), None, None, 2),
            (Some("10s"), None, None, 2),
            (Some("1.5"), None, None, 2),
        ] {
            let read = |e: &mut Environment<'_>| (e.interval("I"), e.timeout("T"));
            check(value, read, (interval, timeout), ignored);
        }
    }

    #[test]
    fn a_notice_is_told_once() {
        let lookup = |_: &str| Some("many".to_owned());
        let mut environment = Environment::new(&lookup);
        for _ in 0..3 {
            environment.is_true("X");
        }
        assert_eq!(environment.into_notices().len(), 1);
    }

    #[test]
    fn a_number_that_is_none_is_ignored() {
        for (value, expected, ignored) in [
            (None, None, 0),
            (Some(""), None, 0),
            (Some("9464"), Some(9464), 0),
            (Some(" 1 "), Some(1), 0),
            (Some("65536"), None, 1),
            (Some("-1"), None, 1),
            (Some("http"), None, 1),
        ] {
            check(value, |e| e.number::<u16>("X", "a port"), expected, ignored);
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        let choices = [("always_on", 1), ("always_off", 2)];
        for (value, expected, ignored) in [
            (Some("always_on"), Some(1), 0),
            (Some("Always_Off"), Some(2), 0),
            (Some("sometimes"), None, 1),
            (Some(""), None, 0),
        ] {
            check(
                value,
                |e| e.choice("X", "a word", &choices),
                expected,
                ignored,
            );
        }
    }

    #[test]
    fn what_is_ignored_is_told() {
        let lookup = |_: &str| Some("many".to_owned());
        let mut environment = Environment::new(&lookup);
        assert_eq!(
            environment.number::<u16>("PORT", "a port from 0 to 65535"),
            None
        );
        assert_eq!(
            environment.into_notices()[0].to_string(),
            r#"PORT="many" is ignored, expected a port from 0 to 65535"#
        );
    }
}
