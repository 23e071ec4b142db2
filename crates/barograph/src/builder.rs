//! How telemetry is started: in one line, or taken apart.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_core::exemplar::ExemplarFilter;
use barograph_core::process;
use barograph_core::registry::{self, Registry};
use barograph_edge::http;
use barograph_edge::log::RateLimit;
use barograph_edge::process::ProcessSource;
use barograph_edge::propagation;
use barograph_edge::redact::Redaction;
use barograph_edge::sampling::Sampler;
use barograph_edge::sampling::keep::Keep;
use barograph_export::prometheus;
use barograph_model::propagator::Propagators;
use barograph_model::snapshot::Source;

use crate::admin::{Admin, Hosts, Routes};
use crate::config::Config;
use crate::diagnostics;
use crate::error::StartError;
use crate::exit::EXIT_TIMEOUT;
use crate::exports;
use crate::listen::{Listening, listen};
use crate::own::{AdminFailure, Own};
use crate::page::Pages;
use crate::push::Pushes;
#[cfg(feature = "otlp")]
use crate::push::{Need, Push};
use crate::readiness::Readiness;
use crate::resource;
use crate::start_line::{Hearing, StartLine};
use crate::subscriber::{self, EventsOf, Lines, Wishes};
use crate::telemetry::{Flush, Telemetry};

/// Starts the telemetry of a service: everything by default, everything from the environment.
///
/// Serves `/metrics`, `/health` and `/ready` on 127.0.0.1:9464 from a thread of its own, prints log
/// lines on stderr unless a subscriber for `tracing` is set already (so set yours before), and says
/// in one line on stderr what goes where. Needs no runtime.
///
/// It is called once in a process, and what it returns is shared. Spans and log lines stay with the first
/// telemetry of a process, also when that has ended; a second one says so when it starts.
///
/// | variable | what it decides | when not set |
/// |---|---|---|
/// | `OTEL_SERVICE_NAME` | the service's name | `service.name` of the next, else `name` |
/// | `OTEL_RESOURCE_ATTRIBUTES` | more about the service: `key=value,key=value`, percent-encoded | nothing |
/// | `OTEL_EXPORTER_PROMETHEUS_HOST` | where the pages are served; in a container `0.0.0.0` | `localhost`, which is 127.0.0.1 |
/// | `OTEL_EXPORTER_PROMETHEUS_PORT` | on which port; 0 is a free one | 9464 |
/// | `BAROGRAPH_ALLOWED_HOSTS` | host names by which `/metrics` may be asked for on a loopback address, with commas between them; `*` is every one | `localhost`, loopback addresses, and the host above |
/// | `OTEL_METRICS_EXPORTER` | who gets metrics: of `prometheus`, `otlp`, `console` and `none`, with commas between them | `prometheus`, and `otlp` where an endpoint is set |
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` and all `OTEL_EXPORTER_OTLP_*` | where and how telemetry is pushed: see the module `push` | nobody is dialed |
/// | `OTEL_TRACES_EXPORTER` | who gets spans: of `otlp`, `zipkin`, `console` and `none`, with commas between them | `otlp` where an endpoint is set for it; else they stay in the process, where log lines and exemplars have their ids |
/// | `OTEL_LOGS_EXPORTER` | who gets log records: of `otlp`, `console` and `none` | `otlp` where an endpoint is set for it |
/// | `OTEL_METRICS_EXEMPLAR_FILTER` | which measurements become exemplars: `trace_based`, `always_on`, `always_off` | `trace_based` |
/// | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | which traces are recorded: `always_on`, `always_off`, `traceidratio`, `parentbased_always_on` and its like, and what the sampler is told, such as a ratio from 0 to 1 | `parentbased_always_on` |
/// | `BAROGRAPH_KEEP` | how many traces a second are exported though they were not sampled: those that failed, took long, or that an exemplar leads to; 0 for none | none |
/// | `BAROGRAPH_KEEP_SLOW` | beside it, how many milliseconds are long | none is |
/// | `OTEL_PROPAGATORS` | how a context travels: of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger` and `none` | `tracecontext,baggage` |
/// | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT`, `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | how many attributes each of them has | `OTEL_ATTRIBUTE_COUNT_LIMIT`, else 128 |
/// | `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT` | how many characters a text has in them | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, else no end in spans, 65536 in log records |
/// | `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | how many events and links a span has | 128 |
/// | `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` | the methods of HTTP that are told apart, case and all; others are `_OTHER` | those of RFC 9110, `PATCH`, `QUERY` |
/// | `OTEL_SDK_DISABLED` | `true`: nothing is recorded or shown; contexts still go through, log lines, `/health` and `/ready` stay | `false` |
/// | `RUST_LOG` | which log lines are printed: directives by target and level such as `info,sqlx=warn` | `info` |
/// | `BAROGRAPH_SPANS` | which spans there are: directives | `info` |
/// | `BAROGRAPH_LOGS` | which log records are pushed: directives | `info` |
/// | `BAROGRAPH_LOG_FORMAT` | how lines look: `pretty`, `json`, or `tracing_json` as `tracing-subscriber` has it | `pretty` |
/// | `NO_COLOR` | whatever it says, lines have no colors | colors on a terminal |
/// | `BAROGRAPH_EXIT_TIMEOUT` | how long an exit of the process waits until what is left is exported and written, in milliseconds; 0 waits for nothing | 2000 |
///
/// An invalid value is ignored and a warning says so: through `tracing` with the target `barograph`, or
/// on stderr where no subscriber shows that, as with [`Builder::without_subscriber`],
/// [`Builder::without_logs`] or a filter that drops it. Values that are empty or blank count as not
/// set; those that are not UTF-8 or longer than 32 KiB are invalid. No variable keeps a service from
/// starting, except `BAROGRAPH_PUSH_JOURNAL_REQUIRED`, which asks for that.
///
/// A port that is taken does not keep a service from starting either: a warning says so once, and the
/// port is tried every second until it is free, for example when the process before has ended. So two
/// processes on one machine start, and the second one has no pages until the first one ends; give each a
/// port of its own. Only an address that the program sets with [`Builder::with_address`] has to be free.
///
/// # The end of the process
///
/// Nothing is lost by a process that keeps the [`Telemetry`] until the end of `main`, or that calls
/// [`Telemetry::shutdown`]: what waits is exported within 5 s, and lines are written.
///
/// | it ends | log lines | spans, log records, metrics |
/// |---|---|---|
/// | by a return or a panic of `main`, or by [`std::process::exit`], with the telemetry still alive, for example in a `static`, forgotten, or held by another thread | written | exported; spans that are open as they stand |
/// | by a panic where panics abort | written, by a panic hook, within 1 s | exported, by the same hook: see [`Builder::without_panic_hook`] |
/// | by [`std::process::abort`], or a signal that nobody handles, such as SIGTERM without [`Telemetry::serve`] | those of the last milliseconds are lost, errors too: call [`Telemetry::flush`] first | what waits is lost |
/// | by `_exit`, `quick_exit`, SIGKILL, or the out-of-memory killer | the same | the same |
///
/// An exit waits for `BAROGRAPH_EXIT_TIMEOUT` at the most. What a receiver has not taken by then is lost,
/// unless it is in a persistent queue, and so are lines for which nobody has read the standard error. A thread that
/// logs never waits for whoever reads its lines, but for a tenth of a second once the process has begun
/// to end.
///
/// # Forks
///
/// Fork before the telemetry is started. The child of a process that has started it has none of its
/// threads: it serves no pages and exports nothing, neither what it records nor what waited in the
/// parent. Its log lines are written by the threads that log. Dropping the telemetry there does nothing,
/// and an exit waits for nothing.
///
/// # Errors
/// [`StartError`], when a thread cannot be created or a persistent queue that is required cannot be opened.
pub fn init(name: &str) -> Result<Telemetry, StartError> {
    Telemetry::builder(name).start()
}

impl Telemetry {
    /// Takes [`init`] apart.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }
}

/// What telemetry shall be. What the environment says beats it.
///
/// ```
/// let telemetry = barograph::Telemetry::builder("shop")
///     .with_version(env!("CARGO_PKG_VERSION"))
///     .with_limit_of("orders", 100_000)
///     .without_listener()
///     .start()?;
/// assert_eq!(telemetry.resource().value("service.name"), Some("shop"));
/// assert_eq!(telemetry.local_addr(), None);
/// # Ok::<(), barograph::StartError>(())
/// ```
#[must_use = "nothing is started until `start`"]
pub struct Builder {
    own: resource::Own,
    lookup: Box<Lookup>,
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
    heard: Wishes,
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

/// Where the pages are served.
enum PagesAt {
    /// Where the environment says.
    Environment,
    /// Here, unless the environment says otherwise.
    Address(SocketAddr),
    /// On this listener, whatever the environment says.
    Listener(TcpListener),
    /// Nowhere.
    Nowhere,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    On,
    Off,
}

impl Builder {
    fn new(name: &str) -> Self {
        Builder {
            own: resource::Own {
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
            heard: Wishes::default(),
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

    /// The service's version, `service.version`: `env!("CARGO_PKG_VERSION")`.
    pub fn with_version(self, version: &str) -> Self {
        self.with_attribute(resource::VERSION, version)
    }

    /// What tells this instance of the service from others, `service.instance.id`. Without it every
    /// start makes a UUID.
    pub fn with_instance_id(self, id: &str) -> Self {
        self.with_attribute(resource::INSTANCE, id)
    }

    /// An attribute of the resource.
    pub fn with_attribute(mut self, key: &str, value: &str) -> Self {
        self.own.attributes.push((key.into(), value.into()));
        self
    }

    /// Looks variables up here instead of in the environment of the process. For tests.
    pub fn with_environment(
        mut self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.lookup = Box::new(move |variable| lookup(variable).map(OsString::from));
        self
    }

    /// Serves the pages here where the environment does not say otherwise. Port 0 is a free one.
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.pages_at = PagesAt::Address(address);
        self
    }

    /// Serves the pages on this listener.
    pub fn with_listener(mut self, listener: TcpListener) -> Self {
        self.pages_at = PagesAt::Listener(listener);
        self
    }

    /// Answers to this host name, too, where the pages are served on a loopback address, which is the
    /// default: there a request for `/metrics` has to name `localhost` or a loopback address as its
    /// `Host`, so that no web page from elsewhere reads it by a name that it resolves to this machine (DNS
    /// rebinding). `*` is every name; `BAROGRAPH_ALLOWED_HOSTS` adds more.
    pub fn with_allowed_host(mut self, host: &str) -> Self {
        self.allowed_hosts.push(host.into());
        self
    }

    /// Serves no pages: no port, no thread. They come from [`Telemetry::page`].
    pub fn without_listener(mut self) -> Self {
        self.pages_at = PagesAt::Nowhere;
        self
    }

    /// Shows this registry instead of the global one. Macros record in the global one all the same.
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Shows what this source gives, behind the registry.
    pub fn with_source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// How many series the family of this name may have; 2,000 where nothing is said.
    pub fn with_limit_of(mut self, family: &str, limit: usize) -> Self {
        self.limits.push((family.into(), limit));
        self
    }

    /// Which measurements may become exemplars.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = Some(filter);
        self
    }

    /// How many bytes the cells that threads own may take in the whole process; 64 MiB by default.
    pub fn with_thread_cell_budget(mut self, bytes: u64) -> Self {
        self.thread_cell_budget = Some(bytes);
        self
    }

    /// How names and lines on the pages are made.
    pub fn with_page_config(mut self, config: prometheus::Config) -> Self {
        self.page_config = config;
        self
    }

    /// Leaves the metrics of the process out: `process_cpu_seconds_total` and so on.
    pub fn without_process_metrics(mut self) -> Self {
        self.process = Part::Off;
        self
    }

    /// Prints no log lines. Without this they go to stderr, unless a subscriber is set already. What
    /// the library itself warns of still goes there.
    pub fn without_logs(mut self) -> Self {
        self.heard.lines = Lines::Off;
        self
    }

    /// Sets no subscriber for `tracing`: the service sets its own, with
    /// [`Telemetry::layer`] in it. What the library itself warns of before that goes to stderr, and
    /// afterwards too where the subscriber drops warnings of the target `barograph`.
    pub fn without_subscriber(mut self) -> Self {
        self.subscriber = Part::Off;
        self
    }

    /// Which traces are recorded, where `OTEL_TRACES_SAMPLER` does not say it: all whose caller does
    /// not say otherwise, unless this is set.
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.heard.sampler = Some(Box::new(sampler));
        self
    }

    /// Exports traces that were not sampled all the same where they failed, took long or have an
    /// exemplar, as far as this says and `BAROGRAPH_KEEP` says nothing. None, unless this is set.
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.heard.keep = Some(keep);
        self
    }

    /// How many log lines of one place in the program are printed, and how many log records of it are
    /// pushed: all of them, unless this is set. The rest is counted, and the next one says how many
    /// there were.
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.heard.rate = Some(limit);
        self
    }

    /// How a context travels between services, where `OTEL_PROPAGATORS` does not say it: by the headers
    /// `traceparent`, `tracestate` and `baggage`, unless this is set. It holds for the whole process.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = Some(propagators);
        self
    }

    /// What is hidden in spans, log records and lines: the usual names of secrets, unless this is set.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.heard.redaction = redaction;
        self
    }

    /// Tells an event inside of a span that is recorded twice: as a log record, and in its span. Without
    /// this it is in its span only where no log records are pushed.
    pub fn with_events_in_spans(mut self) -> Self {
        self.heard.events = EventsOf::Both;
        self
    }

    /// Does not say on stderr what goes where. Warnings about variables are not part of that line.
    pub fn without_start_line(mut self) -> Self {
        self.start_line = Part::Off;
        self
    }

    /// Sets no panic hook. Without this one is set where panics end the process at once, which is with
    /// `panic = "abort"`: behind the hook of before, it ends the spans that are open, as they stand, and
    /// sends what waits, for a second at the most. Where panics unwind none is needed and none is set.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Part::Off;
        self
    }

    /// How long an exit of the process waits until what is left is exported and written, where
    /// `BAROGRAPH_EXIT_TIMEOUT` does not say it: 2 s unless this is set. Zero waits for nothing. See
    /// [the end of the process](crate::init#the-end-of-the-process).
    pub fn with_exit_timeout(mut self, timeout: Duration) -> Self {
        self.exit_timeout = Some(timeout);
        self
    }

    /// Pushes metrics, spans and log records to this receiver of OTLP, where the environment does not
    /// say otherwise: a base URL such as `http://collector:4318`, to which the path of each signal is
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

    /// Pushes to this receiver, too.
    #[cfg(feature = "otlp")]
    pub fn with_push(mut self, push: Push) -> Self {
        self.pushes.add(push);
        self
    }

    /// Makes it an error of [`start`](Self::start) when a persistent queue cannot be opened, where
    /// `BAROGRAPH_PUSH_JOURNAL_REQUIRED` does not say otherwise. Without this telemetry starts without
    /// it, and opens it later: see [`Push::with_journal`].
    #[cfg(feature = "otlp")]
    pub fn with_required_persistent_queues(mut self) -> Self {
        self.pushes.need_persistent_queues(Need::Required);
        self
    }

    /// Runs this at shutdown, before the pages go, on a thread of its own. It is told the moment
    /// until which it is waited for, which is 5 s later.
    pub fn with_flush(mut self, flush: impl FnOnce(Instant) + Send + 'static) -> Self {
        self.flushes.push(Box::new(flush));
        self
    }

    /// Starts the telemetry.
    ///
    /// # Errors
    /// [`StartError`], most often because another program has the address that was asked for.
    pub fn start(mut self) -> Result<Telemetry, StartError> {
        process::watch_forks();
        let mut config = Config::read(&*self.lookup);
        #[cfg(feature = "otlp")]
        if let Some(endpoint) = &self.otlp {
            exports::push_to(&mut config.otlp, endpoint)?;
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
            exports::add(&mut self.pushes, &mut config);
            sources.extend(self.pushes.accounts());
            pushes = self.pushes;
            let own = Arc::new(Own::new(vec![("default".into(), self.registry)]));
            span_metrics = Some(own.spans());
            all_sources.clone_from(&sources);
            all_sources.push(Arc::clone(&own) as Arc<dyn Source>);
            pushes.tell_left_out(&own);
            Some((
                Pages::new(self.page_config, &resource, sources, Arc::clone(&own)),
                own,
            ))
        };
        let hearing = hearing(self.subscriber, self.heard.lines);
        if hearing != Hearing::Printing {
            self.heard.lines = Lines::Off;
        }
        let (layers, heard) = subscriber::layers(self.heard, &mut config, &pushes, span_metrics);
        let pages = pages.map(|(pages, own)| {
            own.watch(heard.watched());
            admin_own = Some(own);
            pages
        });
        let readiness = Readiness::new();
        let is_served = config.otlp.metrics.is_served();
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
        // From here on nothing fails that a user can do something about. So globals are set now.
        let hearing = match hearing {
            Hearing::Service | Hearing::Somebody | Hearing::Earlier => {
                layers.wait(&heard);
                hearing
            }
            Hearing::Printing | Hearing::Silent => match layers.install() {
                true => hearing,
                // Another thread was first by a moment.
                false => heard_by(),
            },
        };
        set_globals(&mut config, self.propagators);
        let pushing = ready.run()?;
        if self.start_line == Part::On {
            let line = StartLine {
                name: resource.value(resource::NAME).unwrap_or_default(),
                address: admin.as_ref().and_then(Admin::address),
                is_late,
                is_disabled: config.disabled,
                is_served,
                targets: &targets,
                hearing,
            };
            heard.settle_lines();
            diagnostics::print(&line);
        }
        let pages = pages.unwrap_or_else(Pages::empty);
        let mut telemetry = Telemetry::new(
            pages,
            readiness,
            resource,
            admin,
            pushing,
            heard,
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

/// Who hears what the service says, before anything is installed.
fn hearing(subscriber: Part, lines: Lines) -> Hearing {
    match subscriber {
        Part::Off => Hearing::Service,
        Part::On if subscriber::is_heard() => heard_by(),
        Part::On if lines == Lines::Off => Hearing::Silent,
        Part::On => Hearing::Printing,
    }
}

/// Who it is that hears it already.
fn heard_by() -> Hearing {
    match diagnostics::is_ours() {
        true => Hearing::Earlier,
        false => Hearing::Somebody,
    }
}

/// Sets what there is once in a process, and says what cannot be set or was not understood.
fn set_globals(config: &mut Config, propagators: Option<Propagators>) {
    // Also where telemetry is off: a service passes on what it gets.
    if let Some(propagators) = config.events.propagators.take().or(propagators)
        && propagation::set_propagators(propagators).is_err()
    {
        diagnostics::warn(&"propagators are set already, those that were first stay");
    }
    if let Some(methods) = config.known_methods.take()
        && http::set_known_methods(methods).is_err()
    {
        diagnostics::warn(&"methods of HTTP are set already, those that were first stay");
    }
    subscriber::hear_reports();
    for notice in &config.notices {
        diagnostics::warn(notice);
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
