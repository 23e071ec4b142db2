//! Environment variables, through which a process passes its context to those that it starts.

use std::ffi::OsString;
use std::fmt;

use super::{Carrier, CarrierMut, Values};

/// The environment variables of a process as a carrier, with names in their own spelling: `TRACEPARENT`
/// for `traceparent`, `X_B3_TRACEID` for `x-b3-traceid`.
///
/// It is made from the variables that the program was started with, and read at startup; or made empty,
/// and passed to a process that is started. The environment is visible to everyone who may inspect the
/// process: baggage must not hold secrets.
///
/// Source: OpenTelemetry, "Environment Variables as Context Propagation Carriers".
///
/// ```
/// use barograph_model::carrier::{CarrierMut, Environment};
/// let mut environment = Environment::default();
/// environment.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// let mut child = std::process::Command::new("true");
/// child.envs(&environment);
/// # assert_eq!(child.get_envs().next().map(|(name, _)| name), Some("TRACEPARENT".as_ref()));
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(String, String)>,
}

impl Carrier for Environment {
    fn values_of(&self, name: &str) -> Values<'_> {
        self.variables
            .iter()
            .filter(move |(variable, _)| variable.chars().eq(normalized(name)))
            .map(|(_, value)| value.as_bytes())
            .collect()
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        self.variables.iter().map(|(name, _)| &**name).for_each(see);
    }
}

impl CarrierMut for Environment {
    fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.variables
            .push((normalized(name).collect(), value.to_owned()));
    }

    fn unset(&mut self, name: &str) {
        self.variables
            .retain(|(variable, _)| !variable.chars().eq(normalized(name)));
    }
}

/// Takes the variables that are text and whose names are valid on any system, and ignores the others.
///
/// `std::env::vars_os()` returns them.
impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(variables: T) -> Self {
        let text = |(name, value): (N, V)| {
            let (name, value) = (name.into().into_string(), value.into().into_string());
            Some((name.ok()?, value.ok()?))
        };
        let variables = variables.into_iter().filter_map(text);
        let variables = variables.filter(|(name, _)| normalized(name).eq(name.chars()));
        Environment {
            variables: variables.collect(),
        }
    }
}

impl<'a> IntoIterator for &'a Environment {
    type Item = (&'a str, &'a str);
    type IntoIter = Variables<'a>;

    fn into_iter(self) -> Variables<'a> {
        Variables(self.variables.iter())
    }
}

/// An iterator over the name and value of each variable.
#[derive(Clone)]
pub struct Variables<'a>(std::slice::Iter<'a, (String, String)>);

impl<'a> Iterator for Variables<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&**name, &**value))
    }
}

/// Shows only the number of variables: an environment is full of secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({} left)", self.0.len())
    }
}

/// Converts a name to that of a variable: upper case, `_` for all but letters and digits, no digit
/// first.
fn normalized(name: &str) -> impl Iterator<Item = char> {
    let first = match name.chars().next() {
        Some('0'..='9') | None => Some('_'),
        Some(_) => None,
    };
    first.into_iter().chain(name.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_ascii_uppercase(),
        _ => '_',
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_variables() {
        for (name, variable) in [
            ("traceparent", "TRACEPARENT"),
            ("x-b3-traceid", "X_B3_TRACEID"),
            ("uber-trace-id", "UBER_TRACE_ID"),
            ("1a", "_1A"),
            ("é", "_"),
            ("", "_"),
        ] {
            assert_eq!(normalized(name).collect::<String>(), variable);
            let mut environment = Environment::default();
            environment.set(name, "1");
            environment.set(name, "2");
            assert_eq!(
                (&environment).into_iter().collect::<Vec<_>>(),
                [(variable, "2")]
            );
            assert_eq!(environment.values_of(name).one(), Some(&b"2"[..]));
            environment.unset(name);
            assert!(environment.values_of(name).is_empty());
        }
    }

    #[test]
    fn only_variables_with_plain_names_are_read() {
        let variables = [
            ("TRACEPARENT", "x"),
            ("traceparent", "y"),
            ("x-b3-traceid", "z"),
            ("É", "1"),
        ];
        let environment: Environment = variables.into_iter().collect();
        let mut names = Vec::new();
        environment.each_name(&mut |name| names.push(name));
        assert_eq!(names, ["TRACEPARENT"]);
        assert_eq!(environment.values_of("traceparent").one(), Some(&b"x"[..]));
        assert!(environment.values_of("x-b3-traceid").is_empty());
        assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
    }
}
