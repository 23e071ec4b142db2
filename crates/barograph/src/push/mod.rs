//! Pushes telemetry to receivers, from a thread of the library.
//!
//! The export loop has its own thread and runtime, like the pages. So telemetry is exported whatever
//! the service runs on: many threads, one, one that is blocked by the very call that waits for the
//! shutdown, or no runtime at all.
//!
//! The docs of [`init`](crate::init()) list the environment variables.
//!
//! A request that timed out may have arrived. It is sent again unchanged, so a receiver may see it
//! twice, but the same delta is never exported with two different values.

mod pushes;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use barograph_config::signals::batch::{DEFAULT_BATCH, DEFAULT_QUEUE, MAX_QUEUE};
use barograph_encode::otlp::{Signal, Temporalities};
use barograph_export::persistent_queue::PersistentQueueConfig;
use barograph_export::{RetryPolicy, Schedule, Transport};

pub use barograph_export::Unfinished;
pub(crate) use pushes::{Need, Pushes, Pushing, Sender};

/// A push of one signal to one receiver, for [`TelemetryBuilder::with_push`](crate::TelemetryBuilder::with_push).
#[must_use = "nothing is pushed until telemetry is built with it"]
pub struct Push {
    reader: Box<str>,
    what: What,
    transport: Box<dyn Transport>,
    temporalities: Temporalities,
    queue: usize,
    batch: usize,
    schedule: Schedule,
    retry: RetryPolicy,
    persistent_queue: Option<(PathBuf, PersistentQueueConfig)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Metrics,
    Spans,
    /// In the Zipkin format.
    ZipkinSpans,
    LogRecords,
}

impl Push {
    /// Creates a push of all metrics by this transport, every 60 s. The name of the reader
    /// distinguishes the push from others in the self metrics.
    pub fn metrics(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::Metrics, Box::new(transport))
    }

    /// Creates a push of spans by this transport, every 5 s or when a batch is full.
    ///
    /// Source: OpenTelemetry environment variables, "Batch Span Processor".
    pub fn spans(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::Spans, Box::new(transport)).with_interval(Duration::from_secs(5))
    }

    /// Creates a push of spans in the Zipkin format, by a transport to a Zipkin receiver, every 5 s
    /// or when a batch is full.
    pub fn zipkin_spans(reader: &str, transport: impl Transport + 'static) -> Self {
        Push::new(reader, What::ZipkinSpans, Box::new(transport))
            .with_interval(Duration::from_secs(5))
    }

    /// Creates a push of log records by this transport, every second or when a batch is full.
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
            temporalities: Temporalities::CUMULATIVE,
            queue: DEFAULT_QUEUE,
            batch: DEFAULT_BATCH,
            schedule: Schedule::new(),
            retry: RetryPolicy::new(),
            persistent_queue: None,
        }
    }

    fn with_interval(self, interval: Duration) -> Self {
        self.with_times(Some(interval), None, None)
    }

    /// Sets the given parts of the schedule: the interval, and the time limits of an export cycle and
    /// of a request.
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

    /// Sets the temporality of metrics; cumulative by default.
    pub fn with_temporalities(mut self, temporalities: Temporalities) -> Self {
        self.temporalities = temporalities;
        self
    }

    /// Sets the maximum number of queued spans or log records, 2048 by default and 1,048,576 at most,
    /// and of records in one request, 512 by default and at most the queue size. Records that find
    /// the queue full are dropped and counted.
    pub fn with_queue(mut self, records: usize, per_request: usize) -> Self {
        self.queue = records.clamp(1, MAX_QUEUE);
        self.batch = per_request.clamp(1, self.queue);
        self
    }

    /// Sets the schedule of exports.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the retry policy.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Stores undelivered requests in a [persistent queue](barograph_export::persistent_queue) in this
    /// directory, which is created if needed. They survive an outage of the receiver and the end of
    /// the process, and are sent when the receiver answers. Each push needs its own directory.
    ///
    /// If it cannot be opened, because the disk is read-only or another process has it, telemetry
    /// starts anyway: undelivered requests stay in memory, up to a limit, one warning is logged, and
    /// opening is tried again at least every minute. So when a service is replaced by its next
    /// version on the same directory, the new process takes over what the old one has left. Meanwhile
    /// `barograph.export.persistent_queue.usable` on the page is 0, and
    /// `barograph.export.persistent_queue.failures` counts the failures by reason.
    /// [`TelemetryBuilder::with_required_persistent_queues`](crate::TelemetryBuilder::with_required_persistent_queues)
    /// makes it an error of the start.
    ///
    /// Files that are removed or replaced while the service runs are created again; their contents
    /// are counted as `corrupt` in `barograph.export.dropped`, and reported. Move the directory only
    /// while no service uses it.
    pub fn with_persistent_queue(
        mut self,
        directory: impl Into<PathBuf>,
        config: PersistentQueueConfig,
    ) -> Self {
        self.persistent_queue = Some((directory.into(), config));
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
