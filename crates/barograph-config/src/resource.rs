//! The resource attributes that the environment sets.

use crate::environment::{Environment, percent_decode, words};
use crate::variables::{RESOURCE_ATTRIBUTES, SERVICE_NAME};

/// The service name and attributes that the environment sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvResource {
    /// The value of `OTEL_SERVICE_NAME`.
    pub name: Option<String>,
    /// The pairs of `OTEL_RESOURCE_ATTRIBUTES`, in their order.
    pub attributes: Vec<(String, String)>,
}

impl EnvResource {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let attributes = environment.parsed(&RESOURCE_ATTRIBUTES, parse_attributes);
        EnvResource {
            name: environment.text(&SERVICE_NAME),
            attributes: attributes.unwrap_or_default(),
        }
    }
}

/// Parses `key=value,key=value`, percent-encoded like W3C baggage; the last value of a key applies.
/// None if any part is invalid: half a resource would be a wrong one.
///
/// Source: OpenTelemetry resource SDK, "Specifying resource information via an environment
/// variable".
fn parse_attributes(text: &str) -> Option<Vec<(String, String)>> {
    let attribute = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let key = percent_decode(key.trim())?;
        let value = percent_decode(value.trim())?;
        (!key.trim().is_empty()).then_some((key, value))
    };
    words(text).map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn attributes_are_percent_encoded_pairs() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("a=1", Some(pairs(&[("a", "1")]))),
            (" a = 1 , b= 2", Some(pairs(&[("a", "1"), ("b", "2")]))),
            ("a=1,", Some(pairs(&[("a", "1")]))),
            ("a=x%2Cy%3Dz", Some(pairs(&[("a", "x,y=z")]))),
            ("a=%C3%A9", Some(pairs(&[("a", "é")]))),
            ("a=é", Some(pairs(&[("a", "é")]))),
            ("a=b=c", Some(pairs(&[("a", "b=c")]))),
            ("a=", Some(pairs(&[("a", "")]))),
            ("a=1+2", Some(pairs(&[("a", "1+2")]))),
            ("a%20b=1", Some(pairs(&[("a b", "1")]))),
            ("a", None),
            ("=1", None),
            ("%20=1", None),
            ("a=1,a=2", Some(pairs(&[("a", "1"), ("a", "2")]))),
            ("a=%", None),
            ("a=%2", None),
            ("a=%zz", None),
            ("a=%+1", None),
            ("a=%FF", None),
            ("good=1,bad", None),
        ] {
            assert_eq!(parse_attributes(text), expected, "{text:?}");
        }
    }
}
