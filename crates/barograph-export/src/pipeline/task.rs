//! The task of a pipeline: performs what its [state](super::state) decides, and reports the results.

use std::fmt;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use super::actions::{Effect, Event, Observation, Operation, PipelineSettings};
use super::blocking::BlockingWorker;
use super::breaker::Breaker;
use super::catch_panic::{Panicked, catch_panic};
use super::commands::{Command, CommandKind, Commands, Stage};
use super::queue_state::{Availability, QueueState};
use super::send::Sender;
use super::state::PipelineState;
use super::{Hook, Pipeline};
use crate::ledger::Ledger;
use crate::moment::{Instant, now};
use crate::notification::Notification;
use crate::report::{self, Report};
use crate::retry::Jitter;

/// A pipeline that can be run. It outlives the task that runs it, so that another task can continue.
pub(crate) struct Task {
    ledger: Ledger,
    /// Locked by the task while it runs.
    runner: Arc<Mutex<Runner>>,
}

impl Task {
    pub(crate) fn new(pipeline: Pipeline, hook: Hook) -> Self {
        Task {
            ledger: pipeline.ledger.clone(),
            runner: Arc::new(Mutex::new(Runner::new(pipeline, hook, Jitter::new()))),
        }
    }

    /// Returns a future that runs the export cycles of the pipeline until a shutdown command arrives.
    pub(crate) fn run(
        &self,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let runner = Arc::clone(&self.runner);
        async move {
            let mut runner = runner.lock_owned().await;
            runner.run(&mut Commands::new(commands)).await;
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// The state of a pipeline, and everything that it acts on.
struct Runner {
    state: PipelineState,
    sender: Sender,
    worker: BlockingWorker,
    ledger: Ledger,
    hook: Hook,
    /// The notification that starts a cycle before its scheduled time.
    notification: Option<Notification>,
    interval: Duration,
}

impl Runner {
    fn new(pipeline: Pipeline, hook: Hook, jitter: Jitter) -> Self {
        let Pipeline {
            ledger,
            source,
            transport,
            schedule,
            retry,
            store,
            damaged,
            notification,
        } = pipeline;
        let closed_by = store.as_ref().and_then(|store| store.closed_by()).cloned();
        let availability = match (&store, &closed_by) {
            (None, _) => Availability::None,
            (Some(_), Some(_)) => Availability::Closed,
            (Some(store), None) => Availability::Open(store.contents().pending),
        };
        let now = now();
        let queue = QueueState::new(availability, now);
        let request_timeout = schedule
            .request_timeout
            .min(queue.send_time(schedule.timeout));
        let breaker = Breaker::new(&retry, schedule.interval);
        let settings = PipelineSettings {
            interval: schedule.interval,
            timeout: schedule.timeout,
            batch: source.batch(),
            is_superseded: source.is_superseded(),
            resends_ambiguous: source.resends_ambiguous(),
        };
        let mut state = PipelineState::new(settings, breaker, queue, now);
        if let Some(error) = closed_by {
            state.report_once(error.event());
        }
        if let Some(items) = damaged {
            state.report_once(report::Event::PersistentQueueDamaged { items });
        }
        Runner {
            state,
            worker: BlockingWorker::new(source, store, ledger.clone()),
            sender: Sender {
                transport,
                ledger: ledger.clone(),
                retry,
                jitter,
                request_timeout,
            },
            ledger,
            hook,
            notification,
            interval: schedule.interval,
        }
    }

    /// Runs the pipeline until a shutdown command arrives. A panic becomes an event.
    async fn run(&mut self, commands: &mut Commands) {
        // The job of a previous task, if no thread has begun it.
        self.worker.finish();
        let delay = self.interval.mul_f64(self.sender.jitter.fraction());
        let mut event = Event::Started { delay };
        while let Err(Panicked) = catch_panic(Box::pin(self.process(event, commands))).await {
            event = Event::Panicked;
        }
    }

    /// Processes an event and all that follow from it.
    async fn process(&mut self, mut event: Event, commands: &mut Commands) {
        loop {
            let seen = self.observe(commands);
            let (effects, operation) = self.state.handle(event, seen);
            for effect in effects {
                self.apply(effect, commands);
            }
            match self.perform(operation, commands).await {
                Some(result) => event = result,
                None => return,
            }
        }
    }

    fn observe(&self, commands: &mut Commands) -> Observation {
        commands.receive();
        Observation {
            now: now(),
            account: self.ledger.account(),
            flush: commands.deadline(CommandKind::Flush),
            shutdown: commands.deadline(CommandKind::Shutdown),
            is_busy: self.worker.is_busy(),
            is_notified: self
                .notification
                .as_ref()
                .is_some_and(Notification::is_pending),
        }
    }

    fn apply(&self, effect: Effect, commands: &mut Commands) {
        match effect {
            Effect::Produce(items) => self.ledger.produce(items),
            Effect::Export(items) => self.ledger.export(items),
            Effect::Drop(items, reason) => self.ledger.drop(items, reason),
            Effect::Fail(items, error_type) => self.ledger.fail(items, &error_type),
            Effect::Collected(took, error_type) => self.ledger.collected(took, &error_type),
            Effect::QueueFailed(operation, error_type) => {
                self.ledger.queue_failed(operation, error_type);
            }
            Effect::QueueUsable(is_usable) => self.ledger.set_queue_usable(is_usable),
            Effect::Restarted => self.ledger.restart(),
            Effect::Report(event) => self.report(event),
            Effect::ClearNotification => {
                if let Some(notification) = &self.notification {
                    notification.clear();
                }
            }
            Effect::Notify => {
                if let Some(notification) = &self.notification {
                    notification.notify();
                }
            }
            Effect::Accept(kind) => commands.accept(kind),
            Effect::Answer { is_complete } => commands.answer(is_complete),
            Effect::FailCommands => commands.fail(),
        }
    }

    /// Performs an operation. Returns its result, or `None` if the pipeline has ended.
    async fn perform(&mut self, operation: Operation, commands: &mut Commands) -> Option<Event> {
        let event = match operation {
            Operation::Wait { until, for_batch } => {
                let notification = self.notification.as_ref().filter(|_| for_batch);
                let is_notified = wait(until, notification, commands).await;
                Event::Waited { is_notified }
            }
            Operation::Send { request, limits } => {
                let delivery = self.sender.send(&request, limits, commands).await;
                Event::Sent { request, delivery }
            }
            Operation::Run {
                job,
                ack,
                stage,
                until,
            } => Event::JobDone(self.worker.run(job, ack, stage, until, commands).await),
            Operation::AwaitJob { stage, until } => {
                Event::JobDone(self.worker.join(stage, until, commands).await)
            }
            Operation::Close { stored } => Event::Closed {
                lost: self.ledger.end(stored),
            },
            Operation::Stop => return None,
        };
        Some(event)
    }

    fn report(&self, event: report::Event) {
        let target = self.ledger.target();
        let report = Report {
            signal: self.ledger.signal(),
            reader: self.ledger.reader().into(),
            url: target.url.as_str().into(),
            event,
        };
        // The hook may panic, which must not change the fate of a request.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.hook)(&report)));
    }
}

/// Waits until the given time, for a command, or for a notification. Returns true for a notification.
async fn wait(
    until: Instant,
    notification: Option<&Notification>,
    commands: &mut Commands,
) -> bool {
    let mut notified = pin!(async {
        match notification {
            Some(notification) => notification.notified().await,
            None => pending().await,
        }
    });
    let mut sleep = pin!(commands.sleep(Stage::Between, until));
    poll_fn(|context| {
        if sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        notified.as_mut().poll(context).map(|()| true)
    })
    .await
}
