//! The environment, read by the rules of OpenTelemetry.
//!
//! It comes in as a function, so that a test gives its own. Rules that are easy to get wrong:
//! an empty value is none, only `true` (in any case) is true, and a value that makes no sense is
//! ignored alone and told about.
//!
//! Source: OpenTelemetry specification, "Environment variable specification".

use std::fmt;
use std::str::FromStr;

/// Looks variables up and keeps in mind what it ignored.
pub(crate) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    ignored: Vec<Ignored>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Environment {
            lookup,
            ignored: Vec::new(),
        }
    }

    /// The values that made no sense, in the order in which they were looked up.
    pub(crate) fn into_ignored(self) -> Vec<Ignored> {
        self.ignored
    }

    /// A value that is not empty.
    pub(crate) fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.is_empty())
    }

    /// Whether the value is `true`.
    pub(crate) fn is_true(&mut self, variable: &'static str) -> bool {
        let choices = [("true", true), ("false", false)];
        self.choice(variable, "true or false", &choices)
            .unwrap_or(false)
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
            self.ignored.push(Ignored {
                variable,
                value,
                expected,
            });
        }
        parsed
    }
}

/// A variable whose value made no sense and is as if it were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) variable: &'static str,
    pub(crate) value: String,
    pub(crate) expected: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ignored {
            variable,
            value,
            expected,
        } = self;
        write!(f, "{variable}={value:?} is ignored, expected {expected}")
    }
}

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
        assert_eq!(environment.into_ignored().len(), ignored, "{value:?}");
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
            environment.into_ignored()[0].to_string(),
            r#"PORT="many" is ignored, expected a port from 0 to 65535"#
        );
    }
}
