//! The resource: the attributes of this process.

use barograph_model::resource::Resource;
use uuid::Uuid;

use crate::env::percent_decode;

/// The service name and attributes that the program sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProgramResource {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

/// The service name and attributes that the environment sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvResource {
    pub(crate) name: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
}

/// Returns the resource. The environment takes precedence over the program; an instance without an id
/// gets a unique one.
///
/// Nothing is taken from the command line: arguments may contain secrets.
pub(crate) fn resource(own: &ProgramResource, outside: &EnvResource) -> Resource {
    let own_name = match own.name.trim() {
        "" => UNKNOWN,
        name => name,
    };
    let mut resource = Resource::new().with(NAME, own_name);
    for (key, value) in own.attributes.iter().chain(&outside.attributes) {
        // A blank service name or instance id counts as unset.
        let is_name = [NAME, INSTANCE].contains(&key.as_str());
        match value.trim() {
            "" if is_name => {}
            name if is_name => resource = resource.with(key, name),
            _ => resource = resource.with(key, value),
        }
    }
    if let Some(name) = &outside.name {
        resource = resource.with(NAME, name);
    }
    if resource.value(INSTANCE).is_none() {
        resource = resource.with(INSTANCE, &Uuid::new_v4().to_string());
    }
    resource
        .with("telemetry.sdk.name", "barograph")
        .with("telemetry.sdk.language", "rust")
        .with("telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
}

/// Parses `key=value,key=value`, percent-encoded like W3C baggage; the last value of a key applies.
/// None if any part is invalid: half a resource would be a wrong one.
///
/// Source: OpenTelemetry resource SDK, "Specifying resource information via an environment
/// variable".
pub(crate) fn parse_attributes(text: &str) -> Option<Vec<(String, String)>> {
    let members = text.split(',').filter(|member| !member.trim().is_empty());
    let attribute = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let key = percent_decode(key.trim())?;
        let value = percent_decode(value.trim())?;
        (!key.trim().is_empty()).then_some((key, value))
    };
    members.map(attribute).collect()
}

/// The attribute with the service's name.
pub(crate) const NAME: &str = "service.name";
/// The attribute with the service's version.
pub(crate) const VERSION: &str = "service.version";
/// The attribute with the id of the service's instance.
pub(crate) const INSTANCE: &str = "service.instance.id";
/// The name of a service without a name.
const UNKNOWN: &str = "unknown_service";

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn attributes_are_read_as_baggage_is() {
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

    #[test]
    fn the_outside_beats_the_program_and_the_name_beats_the_attributes() {
        let own = ProgramResource {
            name: "shop".into(),
            attributes: pairs(&[(VERSION, "1.0"), ("region", "eu")]),
        };
        let mut outside = EnvResource {
            name: None,
            attributes: pairs(&[(NAME, "store"), (VERSION, "2.0"), (INSTANCE, "i-7")]),
        };
        let made = resource(&own, &outside);
        assert_eq!(made.value(NAME), Some("store"));
        assert_eq!(made.value(VERSION), Some("2.0"));
        assert_eq!(made.value(INSTANCE), Some("i-7"));
        assert_eq!(made.value("region"), Some("eu"));
        outside.name = Some("market".into());
        assert_eq!(resource(&own, &outside).value(NAME), Some("market"));
    }

    #[test]
    fn a_blank_name_names_nobody() {
        for (own, outside, attribute, expected) in [
            ("shop", None, None, "shop"),
            (" shop ", None, None, "shop"),
            ("shop", None, Some(""), "shop"),
            ("shop", None, Some(" "), "shop"),
            ("shop", None, Some(" store "), "store"),
            ("shop", Some("market"), Some("store"), "market"),
            ("", None, Some(""), UNKNOWN),
            (" ", None, None, UNKNOWN),
        ] {
            let own = ProgramResource {
                name: own.into(),
                attributes: pairs(&[(INSTANCE, " ")]),
            };
            let attribute = attribute.map(|name| (NAME.into(), name.into()));
            let outside = EnvResource {
                name: outside.map(Into::into),
                attributes: attribute.into_iter().collect(),
            };
            let made = resource(&own, &outside);
            assert_eq!(made.value(NAME), Some(expected), "{own:?} {outside:?}");
            assert!(made.value(INSTANCE).is_some_and(|id| id.len() == 36));
        }
    }

    #[test]
    fn every_start_has_an_instance_id_of_its_own() {
        let start = || resource(&ProgramResource::default(), &EnvResource::default());
        let (first, second) = (start(), start());
        assert_eq!(first.value(NAME), Some(UNKNOWN));
        let id = first.value(INSTANCE).expect("an id was made");
        assert_eq!(Uuid::parse_str(id).map(|id| id.get_version_num()), Ok(4));
        assert_ne!(first.value(INSTANCE), second.value(INSTANCE));
    }
}
