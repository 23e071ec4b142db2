//! The configuration of pushes: receivers of OTLP and Zipkin, proxies, persistent queues.
//!
//! Source: OpenTelemetry specification, "Environment variable specification" and "OpenTelemetry
//! Protocol Exporter".

use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Temporalities;
use barograph_export::client::{ClientConfig, Endpoint, Protocol, ProxyConfig};
use barograph_export::persistent_queue::PersistentQueueConfig;

use crate::environment::Environment;
use crate::variables::{
    AGGREGATION, METRIC_INTERVAL, METRIC_TIMEOUT, QUEUE_DIRECTORY, QUEUE_MAX_BYTES, QUEUE_REQUIRED,
    TEMPORALITY, ZIPKIN_ENDPOINT, ZIPKIN_TIMEOUT,
};

mod proxy;
mod receiver;
#[cfg(test)]
mod tests;

pub use receiver::Receiver;

/// The settings of pushes other than the receivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushConfig {
    /// The time between two export cycles of metrics.
    pub metric_interval: Option<Duration>,
    /// The time limit of a whole export cycle of metrics.
    pub metric_timeout: Option<Duration>,
    /// The temporality of metrics.
    pub temporalities: Temporalities,
    /// The proxies for connections to receivers.
    pub proxy: ProxyConfig,
    /// The persistent queues of undelivered requests.
    pub persistent_queue: PersistentQueueOptions,
    /// The Zipkin exporter.
    pub zipkin: ZipkinConfig,
}

/// The configuration of the Zipkin exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZipkinConfig {
    /// The URL, used as it is.
    pub endpoint: Option<Endpoint>,
    /// The time limit of one request with all its retries.
    pub timeout: Option<Duration>,
}

/// The configuration of the persistent queues. Specific to barograph: OpenTelemetry has no variables
/// for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistentQueueOptions {
    /// The directory above those of the queues; None means no persistent queue.
    pub directory: Option<PathBuf>,
    /// The configuration of each queue.
    pub config: PersistentQueueConfig,
    /// True if telemetry must not start without them.
    pub is_required: Option<bool>,
}

impl PushConfig {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        note_exponential(environment);
        let temporalities = environment.choice(
            &TEMPORALITY,
            &[
                ("cumulative", Temporalities::CUMULATIVE),
                ("delta", Temporalities::DELTA),
                ("lowmemory", Temporalities::LOW_MEMORY),
            ],
        );
        PushConfig {
            metric_interval: environment.interval(&METRIC_INTERVAL),
            metric_timeout: environment.timeout(&METRIC_TIMEOUT),
            temporalities: temporalities.unwrap_or_default(),
            proxy: proxy::read(environment),
            persistent_queue: PersistentQueueOptions::read(environment),
            zipkin: ZipkinConfig::read(environment),
        }
    }
}

impl PersistentQueueOptions {
    fn read(environment: &mut Environment<'_>) -> Self {
        let mut config = PersistentQueueConfig::new();
        let max_bytes = environment.parsed(&QUEUE_MAX_BYTES, |value| {
            value.parse().ok().filter(|bytes| *bytes > 0)
        });
        if let Some(bytes) = max_bytes {
            config = config.with_max_bytes(bytes);
        }
        PersistentQueueOptions {
            directory: environment.text(&QUEUE_DIRECTORY).map(PathBuf::from),
            config,
            is_required: environment.flag(&QUEUE_REQUIRED),
        }
    }
}

impl ZipkinConfig {
    /// Source: OpenTelemetry environment variables, "Zipkin Exporter".
    fn read(environment: &mut Environment<'_>) -> Self {
        let parse = |text: &str| Endpoint::parse(Protocol::Zipkin, text);
        ZipkinConfig {
            endpoint: environment.url(&ZIPKIN_ENDPOINT, parse),
            timeout: environment.timeout(&ZIPKIN_TIMEOUT),
        }
    }

    /// Returns the configuration of a client that sends to this receiver.
    pub fn client(&self, proxy: &ProxyConfig) -> ClientConfig {
        let local = || Endpoint::local(Protocol::Zipkin);
        let endpoint = self.endpoint.clone().unwrap_or_else(local);
        ClientConfig::new(endpoint).with_proxy(proxy.clone())
    }
}

/// Adds a notice if exponential buckets are requested, which are not supported; every receiver takes
/// explicit ones.
fn note_exponential(environment: &mut Environment<'_>) {
    let choices = [
        ("explicit_bucket_histogram", false),
        ("base2_exponential_bucket_histogram", true),
    ];
    if environment.choice(&AGGREGATION, &choices) == Some(true) {
        let name = AGGREGATION.name;
        environment.notice(format!(
            "{name}: histograms have explicit buckets all the same"
        ));
    }
}
