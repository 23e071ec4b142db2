//! All pushes, and the thread that runs them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use barograph_core::record_queue::{Fanout, RecordQueue, Room};
use barograph_encode::otlp::{LogWriter, MetricReader, Signal, SpanWriter};
use barograph_encode::zipkin::ZipkinWriter;
use barograph_export::persistent_queue::PersistentQueue;
use barograph_export::{
    Driver, Handle, Ledger, LedgerSource, LogSource, Pipeline, Report, RequestSource, SpanSource,
};
use barograph_model::log::LogRecord;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use barograph_model::span::SpanRecord;
use barograph_model::suppression;
use barograph_tracing::trace::TraceHandle;
use tokio::runtime::Runtime;

use crate::diagnostics;
use crate::error::StartError;
use crate::push::{Push, Unfinished, What};
use crate::self_metrics::SelfMetrics;
use crate::supervise::{Supervised, supervise};

/// All configured pushes.
#[derive(Default)]
pub(crate) struct Pushes {
    all: Vec<Prepared>,
    own: Option<Arc<SelfMetrics>>,
    persistent_queues: Need,
}

/// The policy for persistent queues that cannot be opened: start without them, or fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Need {
    #[default]
    Optional,
    Required,
}

/// A push, with its statistics and the queue that it reads.
struct Prepared {
    push: Push,
    ledger: Ledger,
    from: From,
}

/// The source of requests.
enum From {
    Metrics,
    Spans(RecordQueue<SpanRecord>),
    LogRecords(RecordQueue<LogRecord>),
}

impl Pushes {
    pub(crate) fn add(&mut self, mut push: Push) {
        let signal = push.signal();
        let is_taken = |name: &str| {
            let mut same = self.all.iter().map(|prepared| &prepared.push);
            same.any(|push| push.signal() == signal && &*push.reader == name)
        };
        let asked = push.reader.clone();
        for further in 2_u64.. {
            if !is_taken(&push.reader) {
                break;
            }
            push.reader = format!("{asked}-{further}").into();
        }
        let ledger = Ledger::new(signal, &push.reader, push.transport.target());
        let from = match push.what {
            What::Metrics => From::Metrics,
            What::Spans | What::ZipkinSpans => From::Spans(RecordQueue::new(push.queue)),
            What::LogRecords => From::LogRecords(RecordQueue::new(push.queue)),
        };
        self.all.push(Prepared { push, ledger, from });
    }

    /// Sets whether persistent queues that cannot be opened keep telemetry from starting.
    pub(crate) fn need_persistent_queues(&mut self, need: Need) {
        self.persistent_queues = need;
    }

    /// Returns the display URLs of the receivers, one for each signal and receiver.
    pub(crate) fn targets(&self) -> Vec<(Signal, String)> {
        let targets = self.all.iter().map(|Prepared { push, .. }| {
            let url = push.transport.target().url.clone();
            (push.signal(), url)
        });
        targets.collect()
    }

    /// Returns the statistics of all pushes, as a source of metrics.
    pub(crate) fn accounts(&self) -> Option<Arc<dyn Source>> {
        let ledgers = self.all.iter().map(|prepared| prepared.ledger.clone());
        let source = LedgerSource::new(ledgers);
        (!self.all.is_empty()).then(|| Arc::new(source) as Arc<dyn Source>)
    }

    /// Returns the queues of spans.
    pub(crate) fn spans(&self) -> Fanout<SpanRecord> {
        let queues = self.all.iter().filter_map(|prepared| match &prepared.from {
            From::Spans(queue) => Some(queue.clone()),
            From::Metrics | From::LogRecords(_) => None,
        });
        queues.collect()
    }

    /// Returns the queues of log records.
    pub(crate) fn log_records(&self) -> Fanout<LogRecord> {
        let queues = self.all.iter().filter_map(|prepared| match &prepared.from {
            From::LogRecords(queue) => Some(queue.clone()),
            From::Metrics | From::Spans(_) => None,
        });
        queues.collect()
    }

    /// Counts in `own` what is left out of exports.
    pub(crate) fn report_left_out(&mut self, own: &Arc<SelfMetrics>) {
        self.own = Some(Arc::clone(own));
    }

    /// Builds the pipelines. Everything that can fail does so here.
    pub(crate) fn ready(
        self,
        resource: &Resource,
        sources: &[Arc<dyn Source>],
    ) -> Result<Ready, StartError> {
        let own = self.own;
        let pipelines = self.all.into_iter().map(|prepared| {
            let source = prepared.source(resource, sources, own.clone());
            prepared.pipeline(source, self.persistent_queues)
        });
        let pipelines: Result<Vec<_>, _> = pipelines.collect();
        Ok(Ready {
            pipelines: pipelines?,
        })
    }
}

/// The pipelines, before they run.
pub(crate) struct Ready {
    pipelines: Vec<Pipeline>,
}

impl Ready {
    /// Starts the export thread, if there is anything to push.
    pub(crate) fn run(self) -> Result<Option<Pushing>, StartError> {
        if self.pipelines.is_empty() {
            return Ok(None);
        }
        let (driver, handle) = Driver::new(self.pipelines);
        let is_ending = Arc::new(AtomicBool::new(false));
        let ended = spawn(driver.with_reports(log), Arc::clone(&is_ending));
        let ended = ended.map_err(|source| StartError::Push { source })?;
        Ok(Some(Pushing {
            sender: Sender { handle },
            is_ending,
            ended: Mutex::new(ended),
        }))
    }
}

impl Prepared {
    fn source(
        &self,
        resource: &Resource,
        sources: &[Arc<dyn Source>],
        own: Option<Arc<SelfMetrics>>,
    ) -> Box<dyn RequestSource> {
        let Push {
            what,
            ref transport,
            temporalities,
            batch,
            ..
        } = self.push;
        let encoding = transport.encoding();
        match &self.from {
            From::Metrics => {
                let reader = MetricReader::new(resource, sources.iter().cloned())
                    .with_encoding(encoding)
                    .with_temporalities(temporalities)
                    .with_report_hook(move |report| {
                        if let Some(own) = &own {
                            own.pushed(report);
                        }
                    });
                Box::new(reader)
            }
            From::Spans(queue) if what == What::ZipkinSpans => {
                let writer = ZipkinWriter::new(resource).with_records_per_request(batch);
                Box::new(SpanSource::new(queue.clone(), writer))
            }
            From::Spans(queue) => {
                let writer = SpanWriter::new(resource)
                    .with_encoding(encoding)
                    .with_records_per_request(batch);
                Box::new(SpanSource::new(queue.clone(), writer))
            }
            From::LogRecords(queue) => {
                let writer = LogWriter::new(resource)
                    .with_encoding(encoding)
                    .with_records_per_request(batch);
                Box::new(LogSource::new(queue.clone(), writer))
            }
        }
    }

    fn pipeline(
        self,
        source: Box<dyn RequestSource>,
        queues: Need,
    ) -> Result<Pipeline, StartError> {
        let Prepared { push, ledger, .. } = self;
        let pipeline = Pipeline::new(ledger, source, push.transport)
            .with_schedule(push.schedule)
            .with_retry(push.retry);
        Ok(match (push.persistent_queue, queues) {
            (None, _) => pipeline,
            (Some((at, config)), Need::Optional) => pipeline.with_persistent_queue_in(at, config),
            (Some((at, config)), Need::Required) => {
                let persistent_queue = PersistentQueue::open(at, config);
                pipeline.with_persistent_queue(
                    persistent_queue.map_err(|source| StartError::PersistentQueue { source })?,
                )
            }
        })
    }
}

/// The export loop on its thread.
#[derive(Debug)]
pub(crate) struct Pushing {
    sender: Sender,
    /// Tells the thread that the shutdown has begun.
    is_ending: Arc<AtomicBool>,
    /// Disconnects when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Pushing {
    pub(crate) fn flush(&self, limit: Duration) -> Result<(), Unfinished> {
        self.sender.handle.flush(limit)
    }

    pub(crate) async fn flush_async(&self, limit: Duration) -> Result<(), Unfinished> {
        self.sender.handle.flush_async(limit).await
    }

    /// Returns a handle that exports on request: at shutdown, and when a panic ends the process.
    pub(crate) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Exports what is left, open spans with their current state, and stops the thread. Does not wait
    /// beyond the deadline.
    pub(crate) fn shutdown(self, spans: Option<&TraceHandle>, deadline: Instant) {
        let left = || deadline.saturating_duration_since(Instant::now());
        self.is_ending.store(true, Ordering::Relaxed);
        self.sender.finish(spans, deadline);
        // What was not delivered has been counted and reported.
        if self.sender.handle.shutdown(left()) == Err(Unfinished::Ended) {
            // There is no thread to stop, as in a forked process.
            return;
        }
        // Nothing is ever sent: it returns when the thread has ended.
        let ended = self.ended.into_inner();
        let ended = ended.unwrap_or_else(PoisonError::into_inner);
        let _: Result<(), _> = ended.recv_timeout(left());
    }
}

/// A handle that exports at once. Clones share the export loop.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    handle: Handle,
}

impl Sender {
    /// Ends open spans with their current state, and puts all of them into their queues.
    ///
    /// Spans that do not fit into a queue wait until queued ones are exported, as long as that makes
    /// progress; then only for receivers that still accept some. After that they are queued anyway,
    /// and a full queue counts them as dropped.
    fn finish(&self, spans: Option<&TraceHandle>, deadline: Instant) {
        let Some(spans) = spans else {
            return;
        };
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut room = Room::InEvery;
        let mut before = usize::MAX;
        loop {
            let open = spans.finish_open(room);
            if open == 0 || left() < A_ROUND {
                break;
            }
            if open >= before {
                if room == Room::InAny {
                    break;
                }
                room = Room::InAny;
                before = usize::MAX;
                continue;
            }
            before = open;
            // It fails if any receiver is unavailable, even that of metrics.
            let _ = self.handle.flush(left().checked_div(2).unwrap_or_default());
        }
        spans.finish_all();
    }

    /// Exports queued telemetry and open spans, until the deadline at the latest.
    pub(crate) fn send_all(
        &self,
        spans: Option<&TraceHandle>,
        deadline: Instant,
    ) -> Result<(), Unfinished> {
        self.finish(spans, deadline);
        let left = deadline.saturating_duration_since(Instant::now());
        self.handle.flush(left)
    }
}

/// Less time than an export cycle takes.
const A_ROUND: Duration = Duration::from_millis(20);

/// Runs the driver on its own thread. The returned receiver disconnects when the thread has ended.
fn spawn(mut driver: Driver, is_ending: Arc<AtomicBool>) -> io::Result<Receiver<()>> {
    let (started, start) = mpsc::sync_channel(1);
    let (ended, end) = mpsc::channel();
    // The runtime is created and dropped on the thread: the caller may be where both are forbidden.
    let run = move || {
        let mut started = Some(started);
        supervise(Supervised::Push, &is_ending, || {
            match (runtime(), started.take()) {
                (Ok(runtime), started) => {
                    if let Some(started) = started {
                        let _ = started.send(Ok(()));
                    }
                    drive(runtime, &mut driver);
                }
                (Err(error), Some(started)) => {
                    let _ = started.send(Err(error));
                }
                (Err(error), None) => return Err(error),
            }
            Ok(())
        });
        drop(ended);
    };
    std::thread::Builder::new()
        .name("barograph-push".into())
        .spawn(run)?;
    let died = || Err(io::Error::other("the thread ended immediately"));
    start.recv().unwrap_or_else(|_| died())?;
    Ok(end)
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("barograph-collect")
        .thread_keep_alive(FOR_GOOD)
        .build()
}

fn drive(runtime: Runtime, driver: &mut Driver) {
    // Exporting must not create more telemetry.
    let suppressed = suppression::suppress();
    // tokio panics if it cannot start the first blocking thread; once one exists, work is queued for
    // it.
    drop(runtime.spawn_blocking(|| {}));
    let driven = catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver.run())));
    drop(suppressed);
    // A callback that never returns must not keep the process alive.
    runtime.shutdown_background();
    if let Err(panic) = driven {
        resume_unwind(panic);
    }
}

/// Longer than any process runs: a year.
const FOR_GOOD: Duration = Duration::from_secs(365 * 24 * 3600);

/// Logs a report, on the thread of the export loop.
fn log(report: &Report) {
    match report.event.is_recovery() {
        true => diagnostics::info(report),
        false => diagnostics::warn(report),
    }
}
