//! A source, a receiver and the reports of a pipeline, all controlled by a test.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::ledger::QueueOperation;
use crate::persistent_queue::{Integrity, PersistentQueueConfig};
use crate::pipeline::{Appended, Extent, Store, StoreContents, StoreError};
use crate::{
    Ack, Driver, Event, Handle, Ledger, Outcome, PartialSuccess, Permanent, Pipeline, Reason,
    Report, RequestSource, RetryPolicy, Retryable, Schedule, Target, Totals, Transport,
};
use barograph_encode::otlp::{Encoding, Request, Signal};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The kind of values that a source reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Sums of everything so far.
    Cumulative,
    /// Differences from what was settled last.
    Delta,
    /// Events, which happen once.
    Events,
}

/// The behavior of a receiver for one attempt.
#[derive(Clone, Debug)]
pub(super) enum Behavior {
    Accept,
    /// The request arrives, but there is no answer.
    AcceptSilently,
    RejectItems(u64),
    Retryable(Option<Duration>),
    Permanent(&'static str),
    Hang,
    Panic,
    /// The attempt panics when it is given up, which happens in the pipeline.
    PanicOnDrop,
}

type Script = Box<dyn FnMut(usize) -> Behavior + Send>;

/// Everything that a test examines.
pub(super) struct State {
    pub(super) script: Script,
    /// The start of each attempt, and the text of its request.
    pub(super) attempts: Vec<(Instant, String)>,
    /// The values that arrived, by the text of their request.
    pub(super) arrived: BTreeMap<String, u64>,
    pub(super) reports: Vec<Report>,
    /// The sum of what was recorded so far; each cycle records `step` more.
    pub(super) recorded: u64,
    pub(super) step: u64,
    pub(super) cycles: u64,
    /// The number of requests in each cycle, with `items` items each.
    pub(super) requests: u64,
    pub(super) items: u64,
    /// Called before a cycle begins.
    pub(super) on_begin: Option<Box<dyn FnMut() + Send>>,
}

#[derive(Clone)]
pub(super) struct Harness {
    state: Arc<Mutex<State>>,
    pub(super) ledger: Ledger,
    values: Values,
}

impl Harness {
    pub(super) fn new(
        values: Values,
        script: impl FnMut(usize) -> Behavior + Send + 'static,
    ) -> Self {
        let state = State {
            script: Box::new(script),
            attempts: Vec::new(),
            arrived: BTreeMap::new(),
            reports: Vec::new(),
            recorded: 0,
            step: 1,
            cycles: 0,
            requests: 1,
            items: 10,
            on_begin: None,
        };
        Harness {
            state: Arc::new(Mutex::new(state)),
            ledger: Ledger::new(Signal::Metrics, "test", &target()),
            values,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn pipeline(&self) -> Pipeline {
        let source = TestSource {
            harness: self.clone(),
            baseline: 0,
            built: Vec::new(),
            open: None,
        };
        self.pipeline_of(source)
    }

    /// Creates a pipeline with another source, whose requests have texts of the same form.
    pub(super) fn pipeline_of(&self, source: impl RequestSource + 'static) -> Pipeline {
        let transport = FakeReceiver {
            harness: self.clone(),
            target: target(),
        };
        Pipeline::new(self.ledger.clone(), Box::new(source), Box::new(transport))
            .with_schedule(Schedule::new())
            .with_retry(RetryPolicy::new())
    }

    /// Runs the pipeline.
    pub(super) fn run(&self, pipeline: Pipeline) -> (Handle, JoinHandle<()>) {
        let (driver, handle) = Driver::new([pipeline]);
        let harness = self.clone();
        let mut driver =
            driver.with_reports(move |report| harness.state().reports.push(report.clone()));
        (handle, tokio::spawn(async move { driver.run().await }))
    }

    /// Runs the pipeline with a persistent queue in this directory.
    pub(super) fn run_in(
        &self,
        directory: impl Into<PathBuf>,
        config: PersistentQueueConfig,
    ) -> (Handle, JoinHandle<()>) {
        self.run(self.pipeline().with_persistent_queue_in(directory, config))
    }

    pub(super) fn start(&self) -> (Handle, JoinHandle<()>) {
        self.run(self.pipeline())
    }

    pub(super) fn attempts(&self) -> usize {
        self.state().attempts.len()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.state()
            .attempts
            .iter()
            .map(|(_, text)| text.clone())
            .collect()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.state()
            .reports
            .iter()
            .map(|report| report.event.clone())
            .collect()
    }

    pub(super) fn dropped(&self, reason: Reason) -> u64 {
        self.ledger.snapshot().dropped[reason as usize]
    }

    /// Returns the totals, after checking that they balance.
    #[track_caller]
    pub(super) fn totals(&self) -> Totals {
        let (totals, queued) = self.ledger.balance();
        assert_eq!(
            totals.produced,
            totals.settled() + queued,
            "{totals:?}, {queued} queued"
        );
        totals
    }
}

/// Shuts a driver down, and checks that everything was delivered or stored.
pub(super) async fn shut_down(handle: &Handle, driver: JoinHandle<()>) {
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    driver.await.unwrap();
}

fn target() -> Target {
    Target {
        url: "http://receiver:4318/v1/metrics".into(),
        component_type: "otlp_http_metric_exporter",
        host: "receiver".into(),
        port: Some(4318),
    }
}

/// Builds requests with the text `cycle:part:from:to`.
struct TestSource {
    harness: Harness,
    baseline: u64,
    built: Vec<(Request, u64)>,
    /// The end of the range of the request that is not settled.
    open: Option<u64>,
}

impl RequestSource for TestSource {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn begin(&mut self, _now: SystemTime) {
        assert_eq!(
            self.open, None,
            "a cycle begins before the last request is acknowledged"
        );
        let hook = self.harness.state().on_begin.take();
        if let Some(mut hook) = hook {
            // Called without the lock, because it may hang or panic.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut hook));
            self.harness.state().on_begin = Some(hook);
            if let Err(panic) = done {
                std::panic::resume_unwind(panic);
            }
        }
        let mut state = self.harness.state();
        state.recorded += state.step;
        state.cycles += 1;
        let (cycle, to) = (state.cycles, state.recorded);
        let from = match self.harness.values {
            Values::Cumulative => 0,
            _ => self.baseline,
        };
        self.built.clear();
        for part in (0..state.requests).rev() {
            let body = format!("{cycle}:{part}:{from}:{to}");
            let request = Request {
                signal: Signal::Metrics,
                encoding: Encoding::Protobuf,
                body: Bytes::from(body),
                items: state.items,
            };
            self.built.push((request, to));
        }
    }

    fn next(&mut self) -> Option<Request> {
        assert_eq!(
            self.open, None,
            "a request is built before the last one is acknowledged"
        );
        let (request, to) = self.built.pop()?;
        self.open = Some(to);
        Some(request)
    }

    fn ack(&mut self, ack: Ack) {
        let to = self.open.take().expect("a request is open");
        // Real requests of one cycle hold different series; here they share one baseline.
        if ack == Ack::Done {
            self.baseline = to;
        }
        assert!(self.harness.values != Values::Events || ack == Ack::Done);
    }

    fn is_superseded(&self) -> bool {
        self.harness.values != Values::Events
    }

    fn resends_ambiguous(&self) -> bool {
        self.harness.values == Values::Delta
    }
}

/// A persistent queue in memory.
#[derive(Clone, Default)]
pub(super) struct MemoryQueue {
    state: Arc<Mutex<MemoryState>>,
    /// The reason why it could not be opened so far.
    closed: Option<StoreError>,
}

#[derive(Default)]
pub(super) struct MemoryState {
    pub(super) requests: VecDeque<Request>,
    pub(super) items: u64,
    /// The number of requests that fit in; 0 means any number.
    pub(super) room: usize,
    pub(super) totals: Totals,
    /// True if the totals are those of an earlier moment, since they could not be written later.
    pub(super) has_old_totals: bool,
    pub(super) synced: u64,
    /// The operations that fail at present.
    pub(super) failing: Vec<QueueOperation>,
}

impl MemoryState {
    /// Returns an error if the operation should fail.
    fn result(&self, operation: QueueOperation) -> Result<(), StoreError> {
        match self.failing.contains(&operation) {
            true => Err(StoreError {
                operation,
                error_type: "too_many_open_files",
                message: "Too many open files (os error 24)".to_owned(),
            }),
            false => Ok(()),
        }
    }
}

impl MemoryQueue {
    pub(super) fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap()
    }

    /// Returns the same queue as another process sees it while the first one holds it.
    pub(super) fn locked(&self) -> Self {
        let mut other = self.clone();
        other.lock().failing = vec![QueueOperation::Open];
        let _ = other.open();
        other
    }

    /// Checks that the totals balance that a restart after a kill would find, unless the last ones could
    /// not be written: requests may have been removed since.
    #[track_caller]
    pub(super) fn check(&self) {
        let memory = self.lock();
        if memory.has_old_totals {
            return;
        }
        let pending: u64 = memory.requests.iter().map(|request| request.items).sum();
        assert_eq!(memory.totals.produced, memory.totals.settled() + pending);
    }
}

impl Store for MemoryQueue {
    fn open(&mut self) -> Result<(), StoreError> {
        let result = self.lock().result(QueueOperation::Open);
        self.closed = result.clone().err();
        result
    }

    fn closed_by(&self) -> Option<&StoreError> {
        self.closed.as_ref()
    }

    fn check(&mut self, _: Extent) -> Result<Integrity, StoreError> {
        Ok(Integrity::Intact)
    }

    fn append(&mut self, request: &Request) -> Appended {
        let mut memory = self.lock();
        if let Err(error) = memory.result(QueueOperation::Write) {
            return Appended::Failed(error);
        }
        if memory.room > 0 && memory.requests.len() >= memory.room {
            return Appended::Full;
        }
        memory.requests.push_back(request.clone());
        memory.items += request.items;
        Appended::Stored
    }

    fn oldest(&mut self) -> Result<Option<Request>, StoreError> {
        let memory = self.lock();
        memory.result(QueueOperation::Read)?;
        Ok(memory.requests.front().cloned())
    }

    fn remove_oldest(&mut self) {
        let mut memory = self.lock();
        let removed = memory.requests.pop_front();
        memory.items -= removed.map_or(0, |request| request.items);
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut memory = self.lock();
        memory.synced += 1;
        memory.result(QueueOperation::Write)
    }

    fn contents(&self) -> StoreContents {
        let pending = match self.closed {
            None => self.lock().items,
            Some(_) => 0,
        };
        StoreContents {
            pending,
            ..StoreContents::default()
        }
    }

    fn totals(&self) -> Totals {
        self.lock().totals
    }

    fn set_totals(&mut self, totals: &Totals) -> Result<(), StoreError> {
        let mut memory = self.lock();
        let result = memory.result(QueueOperation::Write);
        memory.has_old_totals = result.is_err();
        if result.is_ok() {
            memory.totals = *totals;
        }
        result
    }
}

/// Returns the range that a request reports.
fn range(request: &Request) -> (u64, u64) {
    let text = std::str::from_utf8(&request.body).unwrap();
    let mut numbers = text.split(':').skip(2).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("an attempt that panics when it is dropped");
    }
}

struct FakeReceiver {
    harness: Harness,
    target: Target,
}

impl Transport for FakeReceiver {
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        let behavior = {
            let mut state = self.harness.state();
            state.attempts.push((Instant::now(), text.clone()));
            let place = state.attempts.len() - 1;
            (state.script)(place)
        };
        Box::pin(async move {
            // Simulates a distant receiver.
            sleep(Duration::from_millis(5)).await;
            let (from, to) = range(request);
            let arrive = || {
                self.harness.state().arrived.insert(text.clone(), to - from);
            };
            match behavior {
                Behavior::Accept => {
                    arrive();
                    Outcome::Delivered(None)
                }
                Behavior::RejectItems(rejected) => {
                    arrive();
                    let message = "not all of it".to_owned();
                    Outcome::Delivered(Some(PartialSuccess { rejected, message }))
                }
                Behavior::Retryable(retry_after) => Outcome::Retryable(Retryable {
                    error_type: "503".into(),
                    message: "busy".into(),
                    retry_after,
                    may_have_arrived: false,
                }),
                Behavior::Permanent(error_type) => Outcome::Permanent(Permanent {
                    error_type: error_type.into(),
                    message: "bad data".into(),
                }),
                Behavior::AcceptSilently => {
                    arrive();
                    pending().await
                }
                Behavior::Hang => pending().await,
                Behavior::Panic => panic!("a transport that panics"),
                Behavior::PanicOnDrop => {
                    let _bomb = PanicOnDrop;
                    pending().await
                }
            }
        })
    }

    fn target(&self) -> &Target {
        &self.target
    }
}
