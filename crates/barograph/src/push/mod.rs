//! Pushing: what is pushed to whom, and the thread that does it.
//!
//! The loop has a thread and a runtime of its own, as the pages have. So what was recorded is sent
//! whatever the service runs on: many threads, one, one that is blocked by the very call that waits
//! for the end, or no runtime at all.
//!
//! What the environment decides; each of the `OTEL_EXPORTER_OTLP_*` has a form for one signal alone,
//! `OTEL_EXPORTER_OTLP_METRICS_*`, `_TRACES_*` and `_LOGS_*`, which counts first:
//!
//! | variable | what | without it |
//! |---|---|---|
//! | `OTEL_METRICS_EXPORTER` | who gets metrics: `otlp`, `prometheus`, `console` (one line of JSON a request), `none`; several with commas | `prometheus`, and `otlp` where an endpoint is set: an endpoint alone is enough, and without one nobody is dialed |
//! | `OTEL_TRACES_EXPORTER` | who gets spans: `otlp`, `zipkin`, `console`, `none`; several with commas, each with a queue of its own | `otlp` where an endpoint is set |
//! | `OTEL_LOGS_EXPORTER` | who gets log records: `otlp`, `console`, `none`; several with commas | `otlp` where an endpoint is set |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where to; `/v1/metrics`, `/v1/traces` or `/v1/logs` is appended, but not to the form for one signal alone; `unix:/path` is a socket; gRPC uses no path | `http://localhost:4318`, for gRPC `http://localhost:4317` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc`, `http/protobuf`, `http/json` | `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `key=value,key=value`, percent-encoded, of ASCII; none that the protocol sets itself | none |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | for one request with all its tries, in milliseconds | 10000 |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip`, `none`, and with the feature `zstd` that, too | `none` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | a file of roots to trust, read again when it changes; while it cannot be read nothing is sent | the system's |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `_CLIENT_KEY` | who we are, for mutual TLS | nobody |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `true`: gRPC without a scheme is plain text | `false` |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, `lowmemory` | `cumulative` |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `_TIMEOUT` | between two rounds, and for one, in milliseconds | 60000, 30000 |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `_EXPORT_TIMEOUT` | between two rounds of spans, and for one, in milliseconds; a batch that waits is sent at once | 5000, 30000 |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `_MAX_EXPORT_BATCH_SIZE` | how many spans may wait, and how many go together | 2048, 512 |
//! | `OTEL_BLRP_SCHEDULE_DELAY`, `_EXPORT_TIMEOUT` | the same for log records | 1000, 30000 |
//! | `OTEL_BLRP_MAX_QUEUE_SIZE`, `_MAX_EXPORT_BATCH_SIZE` | the same for log records | 2048, 512 |
//! | `OTEL_EXPORTER_ZIPKIN_ENDPOINT` | where Zipkin takes spans, path and all | `http://localhost:9411/api/v2/spans` |
//! | `OTEL_EXPORTER_ZIPKIN_TIMEOUT` | for one request with all its tries, in milliseconds | 10000 |
//! | `BAROGRAPH_PUSH_JOURNAL_DIR` | a directory for what cannot be delivered; it is kept in `metrics`, `traces`, `logs` and `zipkin` below it | nothing is kept |
//! | `BAROGRAPH_PUSH_JOURNAL_MAX_BYTES` | how much disk that may take; past it the oldest gives way | 268435456 |
//! | `BAROGRAPH_PUSH_JOURNAL_REQUIRED` | `true`: `start` fails where one of them cannot be opened; see [`Push::with_journal`] | `false` |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | whom to go through, and for whom not to; never for this machine | nobody |
//!
//! A request that timed out may have arrived. It is sent again as it was, so that a receiver may see
//! it twice, but no difference is told in two ways.

mod waiting;
mod pushes;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use barograph_export::otlp::{Encoding, Signal, Temporalities};
use barograph_export::push::journal::JournalConfig;
use barograph_export::push::{RetryPolicy, Schedule, Transport};

pub use barograph_export::push::Unfinished;
pub(crate) use pushes::{Need, Pushes, Pushing, Sender};

/// What is pushed to one receiver, for [`Builder::with_push`](crate::Builder::with_push).
#[must_use = "nothing is pushed until telemetry is built with it"]
pub struct Push {
    reader: Box<str>,
    what: What,
    transport: Box<dyn Transport>,
    encoding: Encoding,
    temporalities: Temporalities,
    queue: usize,
    batch: usize,
    schedule: Schedule,
    retry: RetryPolicy,
    journal: Option<(PathBuf, JournalConfig)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Metrics,
    Spans,
    /// As Zipkin takes them.
    ZipkinSpans,
    LogRecords,
}

impl Push {
    /// Metrics, all that there are, by this transport, every 60 s. The name of the reader tells it
    /// from others in the library's own metrics.
    pub fn metrics(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::Metrics, Box::new(transport))
    }

    /// Spans, every 5 s or when a batch waits.
    ///
    /// Source: OpenTelemetry environment variables, "Batch Span Processor".
    pub fn spans(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::Spans, Box::new(transport)).with_interval(Duration::from_secs(5))
    }

    /// Spans as Zipkin takes them, by a transport that speaks to one, every 5 s or when a batch waits.
    pub fn zipkin_spans(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::ZipkinSpans, Box::new(transport))
            .with_interval(Duration::from_secs(5))
    }

    /// Log records, every second or when a batch waits.
    ///
    /// Source: OpenTelemetry environment variables, "Batch LogRecord Processor".
    pub fn log_records(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::LogRecords, Box::new(transport))
            .with_interval(Duration::from_secs(1))
    }

    fn new(reader: &str, what: What, transport: Box<dyn Transport>) -> Self {
        Push {
            reader: reader.into(),
            what,
            transport,
            encoding: Encoding::Protobuf,
            temporalities: Temporalities::CUMULATIVE,
            queue: QUEUE,
            batch: BATCH,
            schedule: Schedule::new(),
            retry: RetryPolicy::new(),
            journal: None,
        }
    }

    fn with_interval(self, interval: Duration) -> Self {
        self.with_times(Some(interval), None, None)
    }

    /// Sets what is given of its schedule: between two rounds, for a round, for a request.
    pub(crate) fn with_times(
        mut self,
        interval: Option<Duration>,
        timeout: Option<Duration>,
        request: Option<Duration>,
    ) -> Self {
        if let Some(interval) = interval {
            self.schedule = self.schedule.with_interval(interval);
        }
        if let Some(timeout) = timeout {
            self.schedule = self.schedule.with_timeout(timeout);
        }
        if let Some(timeout) = request {
            self.schedule = self.schedule.with_request_timeout(timeout);
        }
        self
    }

    fn signal(&self) -> Signal {
        match self.what {
            What::Metrics => Signal::Metrics,
            What::Spans | What::ZipkinSpans => Signal::Traces,
            What::LogRecords => Signal::Logs,
        }
    }

    /// How requests are written: in protobuf by default. Zipkin takes JSON of its own, whatever is
    /// said here.
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// What numbers of metrics count from: the start of their series by default.
    pub fn with_temporalities(mut self, temporalities: Temporalities) -> Self {
        self.temporalities = temporalities;
        self
    }

    /// How many spans or log records may wait, 2048 by default and 1,048,576 at most, and how many go in
    /// one request, 512 by default and never more than may wait. What finds the queue full is dropped
    /// and counted.
    pub fn with_queue(mut self, records: usize, per_request: usize) -> Self {
        self.queue = records.clamp(1, LARGEST_QUEUE);
        self.batch = per_request.clamp(1, self.queue);
        self
    }

    /// When it is pushed.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// How it is tried again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Keeps what cannot be delivered in a [persistent queue](barograph_export::push::journal) in this
    /// directory, which is made if need be: it survives an outage of the receiver and the end of the
    /// process, and is sent when the receiver answers. Each push needs a directory of its own.
    ///
    /// Where it cannot be opened, because the disk is read-only or another process has it, telemetry
    /// starts all the same: what cannot be delivered waits in memory, as far as there is room, a warning
    /// says so once, and opening is tried again at least every minute. So when a service is replaced by
    /// its next version on the same directory, the one that comes takes over what the one that goes has
    /// left. `barograph.push.persistent_queue.usable` on the page is 0 meanwhile, and
    /// `barograph.push.persistent_queue.failures` says why.
    /// [`Builder::with_required_persistent_queues`](crate::Builder::with_required_persistent_queues)
    /// makes it an error of the start.
    ///
    /// Files that somebody removes or replaces while the service runs are made again; what was in them is
    /// counted as `corrupt` in `barograph.push.dropped`, and reported. Move the directory while no
    /// service has it.
    pub fn with_journal(mut self, directory: impl Into<PathBuf>, config: JournalConfig) -> Self {
        self.journal = Some((directory.into(), config));
        self
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("reader", &self.reader)
            .field("what", &self.what)
            .field("target", self.transport.target())
            .finish_non_exhaustive()
    }
}

/// How many spans or log records may wait where nothing is said.
///
/// Source: OpenTelemetry, `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE`.
const QUEUE: usize = 2048;
/// Some hundred bytes each: past this a queue takes more memory than a service wants to give.
const LARGEST_QUEUE: usize = 1 << 20;
/// How many go in one request where nothing is said.
///
/// Source: OpenTelemetry, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE`.
const BATCH: usize = 512;
