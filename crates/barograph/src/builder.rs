//! The builder of telemetry: the settings that a program makes.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_core::exemplar::ExemplarFilter;
use barograph_core::limits::Limits;
use barograph_core::registry::Registry;
use barograph_encode::prometheus;
use barograph_model::propagator::Propagators;
use barograph_model::snapshot::Source;
use barograph_tracing::log::RateLimit;
use barograph_tracing::redact::Redaction;
use barograph_tracing::sampling::Sampler;
use barograph_tracing::sampling::tail::TailSampling;
use tokio::runtime::Handle;

use crate::push::Pushes;
#[cfg(feature = "otlp")]
use crate::push::{Need, Push};
use crate::resource;
use crate::subscriber::{ConsoleOutput, EventDestination, SubscriberOptions};
use crate::telemetry::{Flush, Telemetry};
use crate::tokio_metrics;

impl Telemetry {
    /// Returns a builder, which starts what [`init`](crate::init()) starts, with each part configured.
    pub fn builder(name: &str) -> TelemetryBuilder {
        TelemetryBuilder::new(name)
    }
}

/// Configures telemetry. Environment variables take precedence over values set here.
///
/// ```
/// let telemetry = barograph::Telemetry::builder("shop")
///     .with_version(env!("CARGO_PKG_VERSION"))
///     .with_series_limit("orders", 100_000)
///     .without_listener()
///     .start()?;
/// assert_eq!(telemetry.resource().value("service.name"), Some("shop"));
/// assert_eq!(telemetry.local_addr(), None);
/// # Ok::<(), barograph::StartError>(())
/// ```
#[must_use = "nothing is started until `start`"]
pub struct TelemetryBuilder {
    pub(crate) own: resource::ProgramResource,
    pub(crate) lookup: Box<Lookup>,
    pub(crate) pages_at: PagesAt,
    pub(crate) allowed_hosts: Vec<Box<str>>,
    pub(crate) registry: Registry,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    pub(crate) limits: Option<Limits>,
    pub(crate) family_limits: Vec<(Box<str>, usize)>,
    pub(crate) exemplars: Option<ExemplarFilter>,
    pub(crate) thread_cell_budget: Option<u64>,
    pub(crate) page_config: prometheus::Config,
    pub(crate) process: Part,
    pub(crate) subscriber: Part,
    pub(crate) subscriber_options: SubscriberOptions,
    pub(crate) propagators: Option<Propagators>,
    pub(crate) start_line: Part,
    pub(crate) panic_hook: Part,
    pub(crate) exit_timeout: Option<Duration>,
    #[cfg(feature = "otlp")]
    pub(crate) otlp: Option<Box<str>>,
    pub(crate) pushes: Pushes,
    pub(crate) flushes: Vec<Flush>,
}

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// The address of the pages.
pub(crate) enum PagesAt {
    /// The address that the environment sets, or the default.
    Environment,
    /// This address, unless the environment sets another.
    Address(SocketAddr),
    /// This listener, whatever the environment says.
    Listener(TcpListener),
    /// No address: no pages are served.
    Nowhere,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    On,
    Off,
}

impl TelemetryBuilder {
    fn new(name: &str) -> Self {
        TelemetryBuilder {
            own: resource::ProgramResource {
                name: name.into(),
                attributes: Vec::new(),
                detection: resource::Detection::default(),
            },
            lookup: Box::new(|variable| std::env::var_os(variable)),
            pages_at: PagesAt::Environment,
            allowed_hosts: Vec::new(),
            registry: Registry::global().clone(),
            sources: Vec::new(),
            limits: None,
            family_limits: Vec::new(),
            exemplars: None,
            thread_cell_budget: None,
            page_config: prometheus::Config::new(),
            process: Part::On,
            subscriber: Part::On,
            subscriber_options: SubscriberOptions::default(),
            propagators: None,
            start_line: Part::On,
            panic_hook: Part::On,
            exit_timeout: None,
            #[cfg(feature = "otlp")]
            otlp: None,
            pushes: Pushes::default(),
            flushes: Vec::new(),
        }
    }

    /// Sets the service's version, `service.version`: `env!("CARGO_PKG_VERSION")`.
    pub fn with_version(self, version: &str) -> Self {
        self.with_attribute(resource::VERSION, version)
    }

    /// Sets the id of this instance of the service, `service.instance.id`. Without it every start
    /// generates a UUID.
    pub fn with_instance_id(self, id: &str) -> Self {
        self.with_attribute(resource::INSTANCE, id)
    }

    /// Adds an attribute to the resource.
    pub fn with_attribute(mut self, key: &str, value: &str) -> Self {
        self.own.attributes.push((key.into(), value.into()));
        self
    }

    /// Adds what is known of the machine to the resource: `host.name`, `host.arch`, `os.type`,
    /// `os.description`, and inside of a container or a Kubernetes pod also `container.id`,
    /// `k8s.namespace.name`, `k8s.pod.name` and `k8s.pod.uid`. An attribute that cannot be read is left
    /// out. Attributes that the program or the environment sets take precedence.
    ///
    /// ```
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .with_detected_resource()
    ///     .without_listener()
    ///     .start()?;
    /// assert!(telemetry.resource().value("os.type").is_some());
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    pub fn with_detected_resource(mut self) -> Self {
        self.own.detection = resource::Detection::On;
        self
    }

    /// Ignores the environment variables: only what is set here counts.
    pub fn without_environment(mut self) -> Self {
        self.lookup = Box::new(|_| None);
        self
    }

    /// Serves the pages on this address unless the environment sets another. Port 0 picks a free port.
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.pages_at = PagesAt::Address(address);
        self
    }

    /// Serves the pages on this listener.
    pub fn with_listener(mut self, listener: TcpListener) -> Self {
        self.pages_at = PagesAt::Listener(listener);
        self
    }

    /// Allows this host name, too, where the pages are served on a loopback address, which is the
    /// default. There the `Host` of a request for `/metrics` has to be `localhost` or a loopback
    /// address, so that no foreign web page reads it through a name that resolves to this machine
    /// (DNS rebinding). A name or address without a port; `*` allows every name.
    /// `BAROGRAPH_ALLOWED_HOSTS` adds more.
    pub fn with_allowed_host(mut self, host: &str) -> Self {
        self.allowed_hosts.push(host.into());
        self
    }

    /// Serves no pages: opens no port and starts no thread for them. [`Telemetry::render`] still
    /// renders them.
    pub fn without_listener(mut self) -> Self {
        self.pages_at = PagesAt::Nowhere;
        self
    }

    /// Exports this registry instead of the global one. Macros still record in the global one.
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Adds a source of metrics, exported after the registry.
    pub fn with_source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// Adds the metrics of a tokio runtime: `tokio.runtime.workers`, `tokio.runtime.tasks.alive`,
    /// `tokio.runtime.global_queue.depth`, and by worker `tokio.runtime.worker.busy_time`, in seconds, and
    /// `tokio.runtime.worker.parks`. They are read when they are collected.
    ///
    /// The share of time that a worker was busy is `rate(tokio_runtime_worker_busy_time_seconds_total[1m])`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), barograph::StartError> {
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .with_tokio_metrics(&tokio::runtime::Handle::current())
    ///     .without_listener()
    ///     .start()?;
    /// assert!(telemetry.render(None).body.contains("tokio_runtime_workers 1\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tokio_metrics(mut self, runtime: &Handle) -> Self {
        self.sources.push(Arc::new(tokio_metrics::source(runtime)));
        self
    }

    /// Sets the limits of the registry: how many series it may have, and which labels. Beyond a limit
    /// nothing is lost silently; [`Limits`] describes what happens.
    ///
    /// When the series of a family or of the registry reach 80 % or 95 % of their limit, one warning is
    /// logged. The metrics `barograph.family.utilization` and `barograph.registry.utilization` show the
    /// usage; `barograph.lookups.overflowed` and `barograph.conflicts` count what was refused.
    ///
    /// A family that macros have registered before [`start`](Self::start) keeps its labels: what it
    /// measures with a forbidden one goes to its overflow series.
    ///
    /// ```
    /// use barograph::{Limits, counter};
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .with_limits(Limits::strict())
    ///     .with_series_limit("orders", 5_000)
    ///     .without_listener()
    ///     .start()?;
    /// counter!("visits", user_id = "7").inc();
    /// let page = telemetry.render(None).body;
    /// assert!(!page.contains("visits"));
    /// assert!(page.contains(r#"conflicts_total{registry="default",reason="forbidden_label"} 1"#));
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets the maximum number of series of the family with this name, whatever
    /// [`with_limits`](Self::with_limits) sets for all families.
    pub fn with_series_limit(mut self, family: &str, limit: usize) -> Self {
        self.family_limits.push((family.into(), limit));
        self
    }

    /// Sets which measurements may become exemplars.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = Some(filter);
        self
    }

    /// Sets the maximum number of bytes of thread-owned cells in the whole process; 64 MiB by default.
    pub fn with_thread_cell_budget(mut self, bytes: u64) -> Self {
        self.thread_cell_budget = Some(bytes);
        self
    }

    /// Sets how names and lines are written on the pages.
    pub fn with_prometheus_config(mut self, config: prometheus::Config) -> Self {
        self.page_config = config;
        self
    }

    /// Leaves out the process metrics, such as `process_cpu_seconds_total`.
    pub fn without_process_metrics(mut self) -> Self {
        self.process = Part::Off;
        self
    }

    /// Prints no log lines. By default they go to stderr, unless a subscriber is already set.
    /// Warnings of the library itself still go to stderr.
    pub fn without_logs(mut self) -> Self {
        self.subscriber_options.lines = ConsoleOutput::Off;
        self
    }

    /// Sets no `tracing` subscriber: the service sets a custom one that includes
    /// [`Telemetry::layer`]. Warnings of the library before that go to stderr, and later ones too
    /// where the subscriber drops warnings of the target `barograph`.
    pub fn without_subscriber(mut self) -> Self {
        self.subscriber = Part::Off;
        self
    }

    /// Sets the sampler, unless `OTEL_TRACES_SAMPLER` sets one. By default a trace follows the
    /// decision of its caller, and a trace without a caller is sampled.
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.subscriber_options.sampler = Some(Box::new(sampler));
        self
    }

    /// Enables tail sampling: exports unsampled traces that failed, were slow or have an exemplar,
    /// within a budget. Off by default.
    ///
    /// `BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND` replaces the rate, or turns tail sampling off if it
    /// is 0. `BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD` replaces the threshold of traces that match no
    /// other rule. All other settings stay. If a variable replaces a setting, `tail_sampling` itself
    /// is not used, and its counts stay 0; the metrics `barograph.tail_sampling.*` have them.
    pub fn with_tail_sampling(mut self, tail_sampling: TailSampling) -> Self {
        self.subscriber_options.tail_sampling = Some(tail_sampling);
        self
    }

    /// Limits the log lines printed and the log records pushed of each callsite in the program.
    /// Unlimited by default. Those over the limit are counted, and the next one that passes carries
    /// the count.
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.subscriber_options.rate = Some(limit);
        self
    }

    /// Sets the propagation formats, unless `OTEL_PROPAGATORS` sets them. By default they are the
    /// headers `traceparent`, `tracestate` and `baggage`. Applies to the whole process.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = Some(propagators);
        self
    }

    /// Sets the redaction of spans, log records and lines; by default the usual names of secrets are
    /// redacted.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.subscriber_options.redaction = redaction;
        self
    }

    /// Exports an event inside a recorded span twice: as a log record, and in its span. By default it
    /// is in its span only where no log records are pushed.
    pub fn with_events_in_spans(mut self) -> Self {
        self.subscriber_options.events = EventDestination::Both;
        self
    }

    /// Does not print the start line on stderr. Warnings about variables are not part of that line.
    pub fn without_start_line(mut self) -> Self {
        self.start_line = Part::Off;
        self
    }

    /// Sets no panic hook. By default one is set where panics end the process at once, which is with
    /// `panic = "abort"`: after the previous hook, it ends open spans with their current state and
    /// exports queued telemetry, for a second at most. Where panics unwind, none is needed and none is
    /// set.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Part::Off;
        self
    }

    /// Sets the time that an exit of the process waits until pending telemetry is exported and
    /// written, unless `BAROGRAPH_EXIT_TIMEOUT` sets it; 2 s by default. Zero does not wait. See [the
    /// end of the process](crate::init#the-end-of-the-process).
    pub fn with_exit_timeout(mut self, timeout: Duration) -> Self {
        self.exit_timeout = Some(timeout);
        self
    }

    /// Pushes metrics, spans and log records to this OTLP receiver, unless the environment sets
    /// another. It is a base URL such as `http://collector:4318`, to which the path of each signal is
    /// appended. The protocol is `http/protobuf` unless `OTEL_EXPORTER_OTLP_PROTOCOL` names another.
    ///
    /// ```no_run
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .with_otlp("http://127.0.0.1:4318")
    ///     .without_listener()
    ///     .start()?;
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    #[cfg(feature = "otlp")]
    pub fn with_otlp(mut self, endpoint: &str) -> Self {
        self.otlp = Some(endpoint.into());
        self
    }

    /// Adds a push to another receiver. Variables such as `OTEL_METRICS_EXPORTER` neither replace it nor
    /// turn it off; `OTEL_SDK_DISABLED` does.
    #[cfg(feature = "otlp")]
    pub fn with_push(mut self, push: Push) -> Self {
        self.pushes.add(push);
        self
    }

    /// Makes [`start`](Self::start) fail if a persistent queue cannot be opened, unless
    /// `BAROGRAPH_PERSISTENT_QUEUE_REQUIRED` says otherwise. By default telemetry starts without it,
    /// and opens it later: see [`Push::with_persistent_queue`].
    #[cfg(feature = "otlp")]
    pub fn with_required_persistent_queues(mut self) -> Self {
        self.pushes.need_persistent_queues(Need::Required);
        self
    }

    /// Runs this at shutdown, before the pages are closed, on its own thread. Its argument is the
    /// deadline, 5 s later, after which shutdown no longer waits for it.
    pub fn on_shutdown(mut self, flush: impl FnOnce(Instant) + Send + 'static) -> Self {
        self.flushes.push(Box::new(flush));
        self
    }
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
