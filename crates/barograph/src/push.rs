//! Pushing: what is pushed to whom, and the thread that does it.
//!
//! The loop has a thread and a runtime of its own, as the pages have. So what was recorded is sent
//! whatever the service runs on: many threads, one, one that is blocked by the very call that waits
//! for the end, or no runtime at all.
//!
//! What the environment decides; each of the `OTEL_EXPORTER_OTLP_*` has a form for metrics alone,
//! `OTEL_EXPORTER_OTLP_METRICS_*`, which counts first:
//!
//! | variable | what | without it |
//! |---|---|---|
//! | `OTEL_METRICS_EXPORTER` | who gets metrics: `otlp`, `prometheus`, `console` (one line of JSON a request), `none`; several with commas | `prometheus`, and `otlp` where an endpoint is set: an endpoint alone is enough, and without one nobody is dialed |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where to; `/v1/metrics` is appended, but not to the form for metrics alone; `unix:/path` is a socket | `http://localhost:4318`, for gRPC `http://localhost:4317` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc`, `http/protobuf`, `http/json` | `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `key=value,key=value`, percent-encoded | none |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | for one request with all its tries, in milliseconds | 10000 |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip`, `none`, and with the feature `zstd` that, too | `none` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | a file of roots to trust, read again when it changes | the system's |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `_CLIENT_KEY` | who we are, for mutual TLS | nobody |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `true`: gRPC without a scheme is plain text | `false` |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, `lowmemory` | `cumulative` |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `_TIMEOUT` | between two rounds, and for one, in milliseconds | 60000, 30000 |
//! | `BAROGRAPH_PUSH_JOURNAL_DIR` | a directory for what cannot be delivered; metrics are kept in `metrics` below it | nothing is kept |
//! | `BAROGRAPH_PUSH_JOURNAL_MAX_BYTES` | how much disk that may take; past it the oldest gives way | 268435456 |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | whom to go through, and for whom not to; never for this machine | nobody |
//!
//! A request that timed out may have arrived. It is sent again as it was, so that a receiver may see
//! it twice, but no difference is told in two ways.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use barograph_export::otlp::{Encoding, MetricReader, Signal, Temporalities};
use barograph_export::push::journal::{Journal, JournalConfig};
use barograph_export::push::{
    Driver, Handle, Ledger, LedgerSource, Pipeline, Report, RetryPolicy, Schedule, Transport,
};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard};

use crate::error::StartError;
use crate::own::Own;

pub use barograph_export::push::Unfinished;

/// What is pushed to one receiver, for [`Builder::with_push`](crate::Builder::with_push).
#[must_use = "nothing is pushed until telemetry is built with it"]
pub struct Push {
    reader: Box<str>,
    signal: Signal,
    transport: Box<dyn Transport>,
    encoding: Encoding,
    temporalities: Temporalities,
    schedule: Schedule,
    retry: RetryPolicy,
    journal: Option<(PathBuf, JournalConfig)>,
}

impl Push {
    /// Metrics, all that there are, by this transport. The name of the reader tells it from others in
    /// the library's own metrics.
    pub fn metrics(reader: &str, transport: impl Transport + 'static) -> Self {
        Push {
            reader: reader.into(),
            signal: Signal::Metrics,
            transport: Box::new(transport),
            encoding: Encoding::Protobuf,
            temporalities: Temporalities::CUMULATIVE,
            schedule: Schedule::new(),
            retry: RetryPolicy::new(),
            journal: None,
        }
    }

    /// How requests are written: in protobuf by default.
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// What numbers count from: the start of their series by default.
    pub fn with_temporalities(mut self, temporalities: Temporalities) -> Self {
        self.temporalities = temporalities;
        self
    }

    /// When it is pushed: every 60 s by default.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// How it is tried again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Keeps what cannot be delivered in a [journal](barograph_export::push::journal) in this
    /// directory, which is made if need be: it survives an outage of the receiver and the end of the
    /// process, and is sent when the receiver answers. Each push needs a directory of its own.
    pub fn with_journal(mut self, directory: impl Into<PathBuf>, config: JournalConfig) -> Self {
        self.journal = Some((directory.into(), config));
        self
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("reader", &self.reader)
            .field("signal", &self.signal)
            .field("target", self.transport.target())
            .finish_non_exhaustive()
    }
}

/// Everything that shall be pushed.
#[derive(Default)]
pub(crate) struct Pushes {
    pushes: Vec<(Push, Ledger)>,
    own: Option<Arc<Own>>,
}

impl Pushes {
    pub(crate) fn add(&mut self, mut push: Push) {
        let is_taken = |name: &str, pushes: &[(Push, Ledger)]| {
            let mut names = pushes.iter().map(|(push, _)| &*push.reader);
            names.any(|taken| taken == name)
        };
        let mut further = 1;
        let asked = push.reader.clone();
        while is_taken(&push.reader, &self.pushes) {
            further += 1;
            push.reader = format!("{asked}-{further}").into();
        }
        let ledger = Ledger::new(push.signal, &push.reader, push.transport.target());
        self.pushes.push((push, ledger));
    }

    /// Where everything goes, for people.
    pub(crate) fn targets(&self) -> Vec<String> {
        let pushes = self.pushes.iter();
        pushes
            .map(|(push, _)| push.transport.target().url.clone())
            .collect()
    }

    /// The accounts of all that is pushed, as metrics.
    pub(crate) fn accounts(&self) -> Option<Arc<dyn Source>> {
        let ledgers = self.pushes.iter().map(|(_, ledger)| ledger.clone());
        let source = LedgerSource::new(ledgers);
        (!self.pushes.is_empty()).then(|| Arc::new(source) as Arc<dyn Source>)
    }

    /// Has what cannot be pushed counted here.
    pub(crate) fn tell_left_out(&mut self, own: &Arc<Own>) {
        self.own = Some(Arc::clone(own));
    }

    /// Begins to push.
    pub(crate) fn start(
        self,
        resource: &Resource,
        sources: &[Arc<dyn Source>],
    ) -> Result<Option<Pushing>, StartError> {
        if self.pushes.is_empty() {
            return Ok(None);
        }
        let pipeline = |(push, ledger): (Push, Ledger)| {
            let journal = push.journal.map(|(at, config)| Journal::open(at, config));
            let journal = journal.transpose();
            let journal = journal.map_err(|source| StartError::Journal { source })?;
            let own = self.own.clone();
            let feed = MetricReader::new(resource, sources.iter().cloned())
                .with_encoding(push.encoding)
                .with_temporalities(push.temporalities)
                .with_report_hook(move |report| {
                    if let Some(own) = &own {
                        own.pushed(report);
                    }
                });
            let pipeline = Pipeline::new(ledger, Box::new(feed), push.transport)
                .with_schedule(push.schedule)
                .with_retry(push.retry);
            Ok(match journal {
                Some(journal) => pipeline.with_journal(journal),
                None => pipeline,
            })
        };
        let pipelines: Result<Vec<_>, _> = self.pushes.into_iter().map(pipeline).collect();
        let (driver, handle) = Driver::new(pipelines?);
        let ended =
            spawn(driver.with_reports(log)).map_err(|source| StartError::Push { source })?;
        Ok(Some(Pushing {
            handle,
            ended: Mutex::new(ended),
        }))
    }
}

/// The loop on its thread.
#[derive(Debug)]
pub(crate) struct Pushing {
    handle: Handle,
    /// Ends with the thread.
    ended: Mutex<Receiver<()>>,
}

impl Pushing {
    pub(crate) fn flush(&self, limit: Duration) -> Result<(), Unfinished> {
        self.handle.flush(limit)
    }

    pub(crate) async fn flush_async(&self, limit: Duration) -> Result<(), Unfinished> {
        self.handle.flush_async(limit).await
    }

    /// Sends what is left, and ends the thread. Nothing waits for it past the deadline.
    pub(crate) fn shutdown(self, deadline: Instant) {
        let left = || deadline.saturating_duration_since(Instant::now());
        // What was not delivered has been counted and told.
        let _ = self.handle.shutdown(left());
        // Nothing is ever sent: it returns when the thread has ended.
        let ended = self.ended.into_inner();
        let ended = ended.unwrap_or_else(PoisonError::into_inner);
        let _: Result<(), _> = ended.recv_timeout(left());
    }
}

/// Runs the driver on a thread of its own. What is returned ends with the thread.
fn spawn(driver: Driver) -> io::Result<Receiver<()>> {
    let (started, start) = mpsc::sync_channel(1);
    let (ended, end) = mpsc::channel();
    // The runtime is made and dropped on its thread: where this is called may forbid both.
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("barograph-collect")
            .build();
        match runtime {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                be_silent();
                runtime.block_on(driver.run());
                // A callback that never returns must not keep the process alive.
                runtime.shutdown_background();
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
        drop(ended);
    };
    std::thread::Builder::new()
        .name("barograph-push".into())
        .spawn(run)?;
    let died = || Err(io::Error::other("the thread ended at once"));
    start.recv().unwrap_or_else(|_| died())?;
    Ok(end)
}

thread_local! {
    /// Keeps what the thread of the loop does out of what is traced.
    static SILENCE: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// From here on nobody hears what libraries on this thread trace: what is pushed must not make more
/// to push. Not by an empty subscriber: one more would make every place that traces ask again.
fn be_silent() {
    SILENCE.set(Some(dispatcher::set_default(&Dispatch::none())));
}

/// Logs a report, on the thread of the loop.
fn log(report: &Report) {
    drop(SILENCE.take());
    match report.event.is_good() {
        true => tracing::info!(target: "barograph", "{report}"),
        false => tracing::warn!(target: "barograph", "{report}"),
    }
    be_silent();
}
