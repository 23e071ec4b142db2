//! What the environment decides.

use barograph_core::exemplar::ExemplarFilter;

use crate::env::{Environment, Notice};
use crate::error::{HOST, PORT};
use crate::events_env::Events;
use crate::otlp_env::Otlp;
use crate::resource::{self, Outside};

/// The values of all variables that are read. A variable that is not set leaves the choice to the
/// program.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) disabled: bool,
    pub(crate) resource: Outside,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) exemplars: Option<ExemplarFilter>,
    pub(crate) otlp: Otlp,
    pub(crate) events: Events,
    pub(crate) notices: Vec<Notice>,
}

impl Config {
    pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut environment = Environment::new(lookup);
        let attributes = environment.parsed(
            "OTEL_RESOURCE_ATTRIBUTES",
            "key=value pairs with commas between them, percent-encoded",
            resource::parse_attributes,
        );
        Config {
            disabled: environment.is_true(DISABLED),
            resource: Outside {
                name: environment.text("OTEL_SERVICE_NAME"),
                attributes: attributes.unwrap_or_default(),
            },
            host: environment.text(HOST),
            port: environment.number(PORT, "a port from 0 to 65535"),
            exemplars: environment.choice(
                "OTEL_METRICS_EXEMPLAR_FILTER",
                "trace_based, always_on or always_off",
                &[
                    ("trace_based", ExemplarFilter::TraceBased),
                    ("always_on", ExemplarFilter::AlwaysOn),
                    ("always_off", ExemplarFilter::AlwaysOff),
                ],
            ),
            otlp: Otlp::read(&mut environment),
            events: Events::read(&mut environment),
            notices: environment.into_notices(),
        }
    }
}

/// The variable that turns telemetry off.
pub(crate) const DISABLED: &str = "OTEL_SDK_DISABLED";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_value_leaves_the_others_alone() {
        let lookup = |variable: &str| {
            let value = match variable {
                "OTEL_SERVICE_NAME" => "shop",
                "OTEL_RESOURCE_ATTRIBUTES" => "region",
                "OTEL_EXPORTER_PROMETHEUS_HOST" => "",
                "OTEL_EXPORTER_PROMETHEUS_PORT" => "70000",
                "OTEL_METRICS_EXEMPLAR_FILTER" => "Always_On",
                "OTEL_SDK_DISABLED" => "1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Config::read(&lookup);
        assert_eq!(config.resource.name.as_deref(), Some("shop"));
        assert!(config.resource.attributes.is_empty());
        assert_eq!((config.host, config.port), (None, None));
        assert_eq!(config.exemplars, Some(ExemplarFilter::AlwaysOn));
        assert!(!config.disabled);
        let variables: Vec<_> = config
            .notices
            .iter()
            .map(|notice| notice.variable)
            .collect();
        assert_eq!(
            variables,
            [
                "OTEL_RESOURCE_ATTRIBUTES",
                "OTEL_SDK_DISABLED",
                "OTEL_EXPORTER_PROMETHEUS_PORT"
            ]
        );
    }
}
