//! The start of telemetry: the program's settings and those of the environment become sources, pages,
//! pushes and the subscriber.

use std::sync::Arc;

use barograph_config::{Config, Notice, is_allowed_host};
use barograph_core::process;
use barograph_core::propagation;
use barograph_core::registry;
use barograph_model::propagator::Propagators;
use barograph_model::snapshot::Source;
use barograph_tower::http;

use crate::admin::{Admin, Hosts, Routes};
use crate::builder::{PagesAt, Part, TelemetryBuilder};
use crate::diagnostics;
use crate::error::StartError;
use crate::exit::EXIT_TIMEOUT;
#[cfg(feature = "otlp")]
use crate::exports;
use crate::listen::{Listening, listen};
use crate::page::Pages;
use crate::process::ProcessSource;
use crate::push::Pushes;
use crate::readiness::Readiness;
use crate::resource;
use crate::self_metrics::{AdminFailure, SelfMetrics};
use crate::start_line::{StartLine, SubscriberOwner};
use crate::subscriber::{self, ConsoleOutput};
use crate::telemetry::Telemetry;

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

impl TelemetryBuilder {
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
        let resource = resource::resource(&self.own, &config.resource, &*self.lookup);
        let mut all_sources = Vec::new();
        let mut pushes = Pushes::default();
        let mut span_metrics = None;
        let mut admin_own = None;
        let pages = if config.disabled {
            self.registry.disable();
            None
        } else {
            if let Some(limits) = self.limits {
                self.registry.set_limits(limits);
            }
            for (family, limit) in &self.family_limits {
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
