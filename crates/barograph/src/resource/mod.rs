//! The resource: the attributes of this process.

mod detectors;

use std::ffi::OsString;
use std::path::Path;

use barograph_config::EnvResource;
use barograph_core::ids;
use barograph_model::resource::Resource;
use uuid::{Builder, Uuid};

/// The service name and attributes that the program sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProgramResource {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) detection: Detection,
}

/// The use of the detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detection {
    #[default]
    Off,
    On,
}

/// Returns the resource. The environment takes precedence over the program, which takes precedence over
/// the detectors; an instance without an id gets a unique one.
///
/// Nothing is taken from the command line: arguments may contain secrets.
pub(crate) fn resource(
    own: &ProgramResource,
    outside: &EnvResource,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Resource {
    let own_name = match own.name.trim() {
        "" => UNKNOWN,
        name => name,
    };
    let mut resource = Resource::new().with(NAME, own_name);
    if own.detection == Detection::On {
        for (key, value) in detectors::detect(Path::new("/"), variable) {
            resource = resource.with(key, &value);
        }
    }
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
        resource = resource.with(INSTANCE, &instance_id().to_string());
    }
    resource
        .with("telemetry.sdk.name", "barograph")
        .with("telemetry.sdk.language", "rust")
        .with("telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
}

/// Returns a new random UUID, version 4. Its bits come from the generator of trace ids, which the system
/// has seeded.
fn instance_id() -> Uuid {
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        half.copy_from_slice(&ids::random().to_ne_bytes());
    }
    Builder::from_random_bytes(bytes).into_uuid()
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
    fn the_environment_precedes_the_program_and_the_name_precedes_the_attributes() {
        let own = ProgramResource {
            name: "shop".into(),
            attributes: pairs(&[(VERSION, "1.0"), ("region", "eu")]),
            detection: Detection::Off,
        };
        let mut outside = EnvResource {
            name: None,
            attributes: pairs(&[(NAME, "store"), (VERSION, "2.0"), (INSTANCE, "i-7")]),
        };
        let made = resource(&own, &outside, &|_| None);
        assert_eq!(made.value(NAME), Some("store"));
        assert_eq!(made.value(VERSION), Some("2.0"));
        assert_eq!(made.value(INSTANCE), Some("i-7"));
        assert_eq!(made.value("region"), Some("eu"));
        outside.name = Some("market".into());
        assert_eq!(
            resource(&own, &outside, &|_| None).value(NAME),
            Some("market")
        );
    }

    #[test]
    fn a_blank_name_counts_as_unset() {
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
                detection: Detection::Off,
            };
            let attribute = attribute.map(|name| (NAME.into(), name.into()));
            let outside = EnvResource {
                name: outside.map(Into::into),
                attributes: attribute.into_iter().collect(),
            };
            let made = resource(&own, &outside, &|_| None);
            assert_eq!(made.value(NAME), Some(expected), "{own:?} {outside:?}");
            assert!(made.value(INSTANCE).is_some_and(|id| id.len() == 36));
        }
    }

    #[test]
    fn detected_attributes_come_first_and_give_way() {
        let mut own = ProgramResource {
            name: "shop".into(),
            attributes: pairs(&[("host.name", "named")]),
            detection: Detection::On,
        };
        let made = resource(&own, &EnvResource::default(), &|_| None);
        assert_eq!(made.value("host.name"), Some("named"));
        assert!(made.value("os.type").is_some_and(|os| !os.is_empty()));
        let outside = EnvResource {
            name: None,
            attributes: pairs(&[("os.type", "plan9")]),
        };
        let made = resource(&own, &outside, &|_| None);
        assert_eq!(made.value("os.type"), Some("plan9"));
        own.detection = Detection::Off;
        let made = resource(&own, &EnvResource::default(), &|_| None);
        assert_eq!(made.value("os.type"), None);
    }

    #[test]
    fn every_start_gets_a_unique_instance_id() {
        let start = || {
            resource(
                &ProgramResource::default(),
                &EnvResource::default(),
                &|_| None,
            )
        };
        let (first, second) = (start(), start());
        assert_eq!(first.value(NAME), Some(UNKNOWN));
        let id = first.value(INSTANCE).expect("an id was made");
        assert_eq!(Uuid::parse_str(id).map(|id| id.get_version_num()), Ok(4));
        assert_ne!(first.value(INSTANCE), second.value(INSTANCE));
    }
}
