//! Starts telemetry: [`init`] with the defaults, [`TelemetryBuilder`] with each part configured.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_config::{Config, Notice, is_allowed_host};
use barograph_core::exemplar::ExemplarFilter;
use barograph_core::process;
use barograph_core::propagation;
use barograph_core::registry::{self, Registry};
use barograph_encode::prometheus;
use barograph_model::propagator::Propagators;
use barograph_model::snapshot::Source;
use barograph_tower::http;
use barograph_tracing::log::RateLimit;
use barograph_tracing::redact::Redaction;
use barograph_tracing::sampling::Sampler;
use barograph_tracing::sampling::tail::TailSampling;

use crate::admin::{Admin, Hosts, Routes};
use crate::diagnostics;
use crate::error::StartError;
use crate::exit::EXIT_TIMEOUT;
#[cfg(feature = "otlp")]
use crate::exports;
use crate::listen::{Listening, listen};
use crate::page::Pages;
use crate::process::ProcessSource;
use crate::push::Pushes;
#[cfg(feature = "otlp")]
use crate::push::{Need, Push};
use crate::readiness::Readiness;
use crate::resource;
use crate::self_metrics::{AdminFailure, SelfMetrics};
use crate::start_line::{StartLine, SubscriberOwner};
use crate::subscriber::{self, ConsoleOutput, EventDestination, SubscriberOptions};
use crate::telemetry::{Flush, Telemetry};

/// Starts the telemetry of a service with the defaults, configured by the environment.
///
/// Serves `/metrics`, `/health` and `/ready` on 127.0.0.1:9464 from its own thread. Prints log lines
/// on stderr unless a `tracing` subscriber is already set, so set a custom one before. Prints one
/// line on stderr that says where telemetry is exported. Needs no runtime.
///
/// Call it once in a process and share the returned value. Spans and log lines stay with the first
/// telemetry of a process, even after it has ended; a second one logs that when it starts.
///
#[doc = include_str!("../docs/variables.md")]
///
/// An invalid value is ignored, with a warning: through `tracing` with the target `barograph`, or on
/// stderr where no subscriber prints it. Empty and blank values count as unset; values that are not
/// UTF-8 or longer than 32 KiB are invalid. No variable keeps a service from starting, except
/// `BAROGRAPH_PERSISTENT_QUEUE_REQUIRED`, which asks for that.
///
/// A port that is taken does not keep a service from starting either: one warning is logged, and the
/// port is tried every second until it is free. Of two processes on one machine the second one has no
/// pages until the first one ends; give each its own port. Only an address that the program sets with
/// [`TelemetryBuilder::with_address`] has to be free.
///
/// # The end of the process
///
/// Nothing is lost by a process that keeps the [`Telemetry`] until the end of `main`, or that calls
/// [`Telemetry::shutdown`]: queued telemetry is exported within 5 s, and log lines are written.
///
/// | the process ends | log lines | spans, log records, metrics |
/// |---|---|---|
/// | by a return or a panic of `main`, or by [`std::process::exit`], with the telemetry still alive, for example in a `static`, forgotten, or held by another thread | written | exported; open spans with their current state |
/// | by a panic where panics abort | written, by a panic hook, within 1 s | exported, by the same hook: see [`TelemetryBuilder::without_panic_hook`] |
/// | by [`std::process::abort`], or an unhandled signal, such as SIGTERM without [`Telemetry::serve`] | those of the last milliseconds are lost, errors too: call [`Telemetry::flush`] first | queued telemetry is lost |
/// | by `_exit`, `quick_exit`, SIGKILL, or the out-of-memory killer | the same | the same |
///
/// Telemetry that a receiver has not accepted after `BAROGRAPH_EXIT_TIMEOUT` is lost, unless it is in
/// a persistent queue, and so are log lines while the reader of stderr is stalled. A thread that logs
/// waits for that reader only once the process has begun to end, for a tenth of a second.
///
/// # Forks
///
/// Fork before the telemetry is started. A child forked later has none of its threads: it serves no
/// pages and exports nothing. Its log lines are written by the threads that log. Dropping the
/// telemetry there does nothing, and an exit does not wait.
///
/// # Errors
/// [`StartError`], if a thread cannot be created or a required persistent queue cannot be opened.
pub fn init(name: &str) -> Result<Telemetry, StartError> {
    Telemetry::builder(name).start()
}

impl Telemetry {
    /// Returns a builder, which starts what [`init`] starts, with each part configured.
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
    own: resource::ProgramResource,
    pub(crate) lookup: Box<Lookup>,
    pages_at: PagesAt,
    allowed_hosts: Vec<Box<str>>,
    registry: Registry,
    sources: Vec<Arc<dyn Source>>,
    limits: Vec<(Box<str>, usize)>,
    exemplars: Option<ExemplarFilter>,
    thread_cell_budget: Option<u64>,
    page_config: prometheus::Config,
    process: Part,
    subscriber: Part,
    subscriber_options: SubscriberOptions,
    propagators: Option<Propagators>,
    start_line: Part,
    panic_hook: Part,
    exit_timeout: Option<Duration>,
    #[cfg(feature = "otlp")]
    otlp: Option<Box<str>>,
    pushes: Pushes,
    flushes: Vec<Flush>,
}

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// The address of the pages.
enum PagesAt {
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
enum Part {
    On,
    Off,
}

impl TelemetryBuilder {
    fn new(name: &str) -> Self {
        TelemetryBuilder {
            own: resource::ProgramResource {
                name: name.into(),
                attributes: Vec::new(),
            },
            lookup: Box::new(|variable| std::env::var_os(variable)),
            pages_at: PagesAt::Environment,
            allowed_hosts: Vec::new(),
            registry: Registry::global().clone(),
            sources: Vec::new(),
            limits: Vec::new(),
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

    /// Sets the maximum number of series of the family with this name; 2,000 by default.
    pub fn with_series_limit(mut self, family: &str, limit: usize) -> Self {
        self.limits.push((family.into(), limit));
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

    /// Adds a push to another receiver.
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

    /// Starts the telemetry.
    ///
    /// # Errors
    /// [`StartError`], most often because another program has the requested address.
    pub fn start(mut self) -> Result<Telemetry, StartError> {
        process::watch_forks();
        let mut config = Config::read(&*self.lookup);
        #[cfg(feature = "otlp")]
        if let Some(endpoint) = &self.otlp {
            exports::push_to(&mut config.exporters, endpoint)?;
        }
        if let Some(host) = self
            .allowed_hosts
            .iter()
            .find(|host| !is_allowed_host(host))
        {
            return Err(StartError::AllowedHost {
                host: host.to_string(),
            });
        }
        self.allowed_hosts.append(&mut config.allowed_hosts);
        self.allowed_hosts
            .extend(config.host.clone().map(Into::into));
        let listening = match self.pages_at {
            PagesAt::Environment => listen(&mut config, None)?,
            PagesAt::Address(address) => listen(&mut config, Some(address))?,
            PagesAt::Listener(listener) => Listening::Bound(Arc::new(listener)),
            PagesAt::Nowhere => Listening::Ended,
        };
        let is_late = matches!(listening, Listening::Later(_));
        let resource = resource::resource(&self.own, &config.resource);
        let mut all_sources = Vec::new();
        let mut pushes = Pushes::default();
        let mut span_metrics = None;
        let mut admin_own = None;
        let pages = if config.disabled {
            self.registry.disable();
            None
        } else {
            for (family, limit) in &self.limits {
                self.registry.set_family_limit(family, *limit);
            }
            if let Some(filter) = config.exemplars.or(self.exemplars) {
                self.registry.set_exemplar_filter(filter);
            }
            if let Some(bytes) = self.thread_cell_budget {
                registry::set_thread_cell_budget(bytes);
            }
            let mut sources: Vec<Arc<dyn Source>> = vec![Arc::new(self.registry.clone())];
            sources.extend(self.sources);
            if self.process == Part::On {
                sources.push(Arc::new(ProcessSource::new()));
            }
            #[cfg(feature = "otlp")]
            exports::add(&mut self.pushes, &mut config);
            sources.extend(self.pushes.accounts());
            pushes = self.pushes;
            let own = Arc::new(SelfMetrics::new(vec![("default".into(), self.registry)]));
            span_metrics = Some(own.spans());
            all_sources.clone_from(&sources);
            all_sources.push(Arc::clone(&own) as Arc<dyn Source>);
            pushes.report_left_out(&own);
            Some((
                Pages::new(self.page_config, &resource, sources, Arc::clone(&own)),
                own,
            ))
        };
        let subscriber_owner = subscriber_owner(self.subscriber, self.subscriber_options.lines);
        if subscriber_owner != SubscriberOwner::Printing {
            self.subscriber_options.lines = ConsoleOutput::Off;
        }
        let propagators = config.signals.propagators.take().or(self.propagators);
        let tail_sampling = self.subscriber_options.tail_sampling.take();
        self.subscriber_options.tail_sampling = config
            .signals
            .tail_sampling
            .apply_to(tail_sampling, &mut config.notices);
        let (layers, installed) = subscriber::layers(
            self.subscriber_options,
            config.signals,
            &pushes,
            span_metrics,
        );
        let pages = pages.map(|(pages, own)| {
            own.watch(installed.stats());
            admin_own = Some(own);
            pages
        });
        let readiness = Readiness::new();
        let is_served = config.exporters.metrics.is_served();
        let served = pages.clone().filter(|_| is_served);
        if let (Some(own), true) = (&admin_own, is_late) {
            own.admin_failed(AdminFailure::Listen);
        }
        let admin = match listening {
            Listening::Ended => None,
            listening => {
                let hosts = Hosts::new(self.allowed_hosts);
                let routes = Routes::new(served, readiness.clone(), hosts, admin_own);
                Some(Admin::start(listening, routes)?)
            }
        };
        let targets = pushes.targets();
        let ready = pushes.ready(&resource, &all_sources)?;
        // Nothing that follows fails for a reason that the user can fix, so globals are set from here
        // on.
        let subscriber_owner = match subscriber_owner {
            SubscriberOwner::Service | SubscriberOwner::Somebody | SubscriberOwner::Earlier => {
                layers.wait(&installed);
                subscriber_owner
            }
            SubscriberOwner::Printing | SubscriberOwner::Silent => match layers.install() {
                true => subscriber_owner,
                // Another thread has set a subscriber meanwhile.
                false => SubscriberOwner::of_installed(),
            },
        };
        set_globals(propagators, config.known_methods, &config.notices);
        let pushing = ready.run()?;
        if self.start_line == Part::On {
            let line = StartLine {
                name: resource.value(resource::NAME).unwrap_or_default(),
                address: admin.as_ref().and_then(Admin::address),
                is_late,
                is_disabled: config.disabled,
                is_served,
                targets: &targets,
                subscriber_owner,
            };
            installed.settle_lines();
            diagnostics::print(&line);
        }
        let pages = pages.unwrap_or_else(Pages::empty);
        let mut telemetry = Telemetry::new(
            pages,
            readiness,
            resource,
            admin,
            pushing,
            installed,
            self.flushes,
        );
        if cfg!(panic = "abort") && self.panic_hook == Part::On {
            telemetry.last().at_panics();
        }
        let exit_timeout = config.exit_timeout.or(self.exit_timeout);
        telemetry.flush_at_exit(exit_timeout.unwrap_or(EXIT_TIMEOUT));
        Ok(telemetry)
    }
}

/// Returns which subscriber the process uses, before anything is installed.
fn subscriber_owner(subscriber: Part, lines: ConsoleOutput) -> SubscriberOwner {
    match subscriber {
        Part::Off => SubscriberOwner::Service,
        Part::On if subscriber::is_subscriber_set() => SubscriberOwner::of_installed(),
        Part::On if lines == ConsoleOutput::Off => SubscriberOwner::Silent,
        Part::On => SubscriberOwner::Printing,
    }
}

/// Sets the process-wide values, and logs those that cannot be set and the notices about variables.
fn set_globals(
    propagators: Option<Propagators>,
    known_methods: Option<Vec<String>>,
    notices: &[Notice],
) {
    // Also where telemetry is disabled: a service propagates the contexts it receives.
    if let Some(propagators) = propagators
        && propagation::set_propagators(propagators).is_err()
    {
        diagnostics::warn(&"propagators were set before; the first ones stay in effect");
    }
    if let Some(methods) = known_methods
        && http::set_known_methods(methods).is_err()
    {
        diagnostics::warn(&"known HTTP methods were set before; the first ones stay in effect");
    }
    subscriber::log_reports();
    for notice in notices {
        diagnostics::warn(notice);
    }
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
