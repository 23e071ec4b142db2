//! The configuration read from the environment.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use barograph_core::exemplar::ExemplarFilter;

use crate::environment::{Environment, Lookup};
use crate::exporters::Exporters;
use crate::notice::Notice;
use crate::resource::EnvResource;
use crate::signals::Signals;
use crate::variables::{
    ALLOWED_HOSTS, DISABLED, EXEMPLAR_FILTER, EXIT_TIMEOUT, HOST, KNOWN_METHODS, PORT,
};

/// The values of all variables that are read. An unset variable leaves the choice to the program.
#[derive(Debug)]
pub struct Config {
    /// True if nothing is recorded or exported.
    pub disabled: bool,
    /// The service name and resource attributes.
    pub resource: EnvResource,
    /// The host of the pages.
    pub host: Option<String>,
    /// The port of the pages.
    pub port: Option<u16>,
    /// The host names by which the pages may be requested on a loopback address.
    pub allowed_hosts: Vec<Box<str>>,
    /// The measurements that may become exemplars.
    pub exemplars: Option<ExemplarFilter>,
    /// The exporters of each signal, and the settings of pushes.
    pub exporters: Exporters,
    /// The configuration of spans, log records and log lines.
    pub signals: Signals,
    /// The known HTTP methods.
    pub known_methods: Option<Vec<String>>,
    /// The time that an exit of the process waits.
    pub exit_timeout: Option<Duration>,
    /// The notices about variables, most often about invalid values.
    pub notices: Vec<Notice>,
}

impl Config {
    /// Reads all variables.
    pub fn read(lookup: &Lookup<'_>) -> Self {
        let mut environment = Environment::new(lookup);
        let resource = EnvResource::read(&mut environment);
        let disabled = environment.is_true(&DISABLED);
        let exporters = Exporters::read(&mut environment);
        #[cfg(not(feature = "otlp"))]
        if !disabled {
            exporters.note_missing_feature(&mut environment);
        }
        Config {
            disabled,
            resource,
            host: environment.text(&HOST),
            port: environment.number(&PORT),
            allowed_hosts: allowed_hosts(&mut environment),
            exemplars: environment.choice(
                &EXEMPLAR_FILTER,
                &[
                    ("trace_based", ExemplarFilter::TraceBased),
                    ("always_on", ExemplarFilter::AlwaysOn),
                    ("always_off", ExemplarFilter::AlwaysOff),
                ],
            ),
            exporters,
            signals: Signals::read(&mut environment),
            known_methods: known_methods(&mut environment),
            exit_timeout: environment.wait(&EXIT_TIMEOUT),
            notices: environment.into_notices(),
        }
    }
}

/// Returns true for an allowed host: a host name, an address, an IPv6 address in brackets, or `*`.
pub fn is_allowed_host(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_part);
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    text == "*"
        || bare.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        || text.parse::<IpAddr>().is_ok()
        || text
            .strip_suffix('.')
            .unwrap_or(text)
            .split('.')
            .all(is_label)
}

fn allowed_hosts(environment: &mut Environment<'_>) -> Vec<Box<str>> {
    let hosts = environment.entries(&ALLOWED_HOSTS, is_allowed_host);
    hosts.into_iter().map(Into::into).collect()
}

/// Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics", `http.request.method`.
fn known_methods(environment: &mut Environment<'_>) -> Option<Vec<String>> {
    let is_method = |word: &str| http::Method::from_bytes(word.as_bytes()).is_ok();
    let methods = environment.entries(&KNOWN_METHODS, is_method);
    (!methods.is_empty()).then_some(methods)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_methods_are_a_list_in_which_case_counts() {
        let methods = |list: &[&str]| Some(list.iter().map(|m| (*m).to_owned()).collect());
        for (value, expected, ignored) in [
            ("", None, 0),
            ("GET", methods(&["GET"]), 0),
            (" GET , get,PURGE,", methods(&["GET", "get", "PURGE"]), 0),
            ("GET,a b,<", methods(&["GET"]), 1),
            ("(),", None, 1),
        ] {
            let lookup = |variable: &str| (variable == KNOWN_METHODS.name).then(|| value.into());
            let config = Config::read(&lookup);
            assert_eq!(config.known_methods, expected, "{value:?}");
            assert_eq!(config.notices.len(), ignored, "{value:?}");
        }
    }

    #[test]
    fn allowed_hosts_are_names_and_addresses_without_ports() {
        for host in [
            "*",
            "prom",
            "Prom.Internal",
            "prom.internal.",
            "a_b-c.x",
            "10.0.0.1",
            "fd00::1",
            "[fd00::1]",
        ] {
            let lookup = |variable: &str| (variable == ALLOWED_HOSTS.name).then(|| host.into());
            let config = Config::read(&lookup);
            assert_eq!(config.allowed_hosts, [host.into()]);
            assert!(config.notices.is_empty(), "{host:?}");
        }
        for host in [
            "Prom.Internal:80",
            "*.x.y",
            "**",
            ".",
            ".x",
            "x..y",
            "x/y",
            "10.0.0.1:80",
            "[10.0.0.1]",
            "[fd00::1]:80",
            "[fd00::1",
            "fd00::x",
            "http://x",
        ] {
            let lookup = |variable: &str| (variable == ALLOWED_HOSTS.name).then(|| host.into());
            let config = Config::read(&lookup);
            assert!(config.allowed_hosts.is_empty(), "{host:?}");
            let notices: Vec<_> = config.notices.iter().map(ToString::to_string).collect();
            let expected = format!(
                "BAROGRAPH_ALLOWED_HOSTS={host:?} is ignored, expected {}",
                ALLOWED_HOSTS.expected
            );
            assert_eq!(notices, [expected]);
        }
    }

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
            Some(value.into())
        };
        let config = Config::read(&lookup);
        assert_eq!(config.resource.name.as_deref(), Some("shop"));
        assert!(config.resource.attributes.is_empty());
        assert_eq!((config.host, config.port), (None, None));
        assert_eq!(config.exemplars, Some(ExemplarFilter::AlwaysOn));
        assert!(!config.disabled);
        let notices: Vec<_> = config.notices.iter().map(ToString::to_string).collect();
        let starts = [
            "OTEL_RESOURCE_ATTRIBUTES=",
            "OTEL_SDK_DISABLED=",
            "OTEL_EXPORTER_PROMETHEUS_PORT=",
        ];
        assert_eq!(notices.len(), starts.len(), "{notices:?}");
        for (notice, start) in notices.iter().zip(starts) {
            assert!(notice.starts_with(start), "{notices:?}");
        }
    }
}
