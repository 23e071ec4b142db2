//! The shutdown of a service, controlled by a thread that the service cannot block.
//!
//! Handlers that block their threads stop a runtime: no task receives a signal, no timer fires, and
//! dropping the runtime waits for them. So everything with a time limit at shutdown runs here, on a
//! thread with its own clock: waiting for the signal, the drain delay, the time for requests, closing
//! connections, and exporting the remaining telemetry. The service's tasks only follow. If they do
//! not, the process is exited: see [`ExitWatch`].

use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use barograph_model::text::counted;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::diagnostics;
use crate::exit::exit;
use crate::readiness::Readiness;
use crate::serve::connections::Connections;
use crate::signals::{Signals, exit_by, exit_unless_followed, runtime};
use crate::telemetry::Telemetry;

/// The trigger of the shutdown.
pub(super) enum Stop {
    Signals,
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// The time limits of the parts of the shutdown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) drain_delay: Duration,
    pub(super) request_time: Duration,
    /// The time that the program has to end when its threads are blocked; None if the process is
    /// never exited.
    pub(super) exit_delay: Option<Duration>,
}

/// The telemetry, which is shut down by the first caller of `end`.
#[derive(Clone)]
pub(super) struct Last(Arc<Mutex<Option<Telemetry>>>);

/// The shutdown, as its own thread runs it.
pub(super) struct Ending {
    readiness: Readiness,
    telemetry: Last,
    connections: Connections,
    times: Times,
    service: Handle,
}

/// The service's side of the shutdown. If it is dropped early, the service no longer runs:
/// connections are closed, and the remaining telemetry is exported.
pub(super) struct Ended {
    over: oneshot::Receiver<()>,
    telemetry: Last,
    connections: Connections,
    /// Dropped first: signals that [`Telemetry::serve`] has returned.
    is_served: Option<oneshot::Sender<()>>,
}

impl Ending {
    pub(super) fn new(telemetry: Telemetry, connections: &Connections, times: Times) -> Self {
        Ending {
            readiness: telemetry.readiness(),
            telemetry: Last(Arc::new(Mutex::new(Some(telemetry)))),
            connections: connections.clone(),
            times,
            service: Handle::current(),
        }
    }

    /// Starts the thread that waits for the shutdown.
    pub(super) async fn begin(self, stop: Stop) -> io::Result<Ended> {
        let (done, over) = oneshot::channel();
        let (is_served, has_returned) = oneshot::channel();
        let (started, start) = oneshot::channel();
        let ended = Ended {
            over,
            telemetry: self.telemetry.clone(),
            connections: self.connections.clone(),
            is_served: Some(is_served),
        };
        let run = move || {
            let prepared = runtime().and_then(|runtime| {
                let inside = runtime.enter();
                let stop = Stopping::new(stop, &self.service)?;
                drop(inside);
                Ok((runtime, stop))
            });
            match prepared {
                Ok((runtime, stop)) => {
                    let _ = started.send(Ok(()));
                    self.run(&runtime, stop, has_returned, done);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        };
        thread::Builder::new()
            .name("barograph-end".into())
            .spawn(run)?;
        let died = || Err(io::Error::other("the thread ended immediately"));
        start.await.unwrap_or_else(|_| died())?;
        Ok(ended)
    }

    fn run(
        self,
        runtime: &tokio::runtime::Runtime,
        mut stop: Stopping,
        mut has_returned: oneshot::Receiver<()>,
        done: oneshot::Sender<()>,
    ) {
        let asked = runtime.block_on(async {
            tokio::select! {
                biased;
                // It was dropped, and shuts everything down itself. This comes first: a signal that
                // arrives as well is for the program.
                _ = &mut has_returned => return None,
                () = stop.wait() => {}
            }
            let asked = Instant::now();
            self.readiness.not_ready();
            let again = tokio::select! {
                () = self.in_order() => None,
                signal = stop.again() => Some(signal),
            };
            self.connections.cut();
            let _ = timeout(CUT_TIME, self.connections.tasks_ended()).await;
            Some((asked, again))
        });
        let is_signalled = matches!(stop, Stopping::Signals(_));
        // The next signal is no longer for the service, but one may have arrived in this moment.
        let arrived = stop.close();
        let Some((asked, again)) = asked else {
            if let Some(signal) = arrived {
                exit_unless_followed(signal);
            }
            return;
        };
        let blocked = self.connections.tasks();
        if blocked > 0 {
            diagnostics::warn(&format_args!(
                "{} not ended by the time limit: threads are blocked",
                counted(blocked as u64, "request was", "requests were")
            ));
        }
        self.telemetry.end();
        if let Some(signal) = again.or(arrived) {
            exit_by(signal);
        }
        let limit = asked + self.times.drain_delay + self.times.request_time + FLUSH_TIME;
        let _ = done.send(());
        if let (true, Some(delay)) = (is_signalled, self.times.exit_delay) {
            let watch = ExitWatch {
                connections: self.connections,
                service: self.service,
                has_returned,
                exit_at: Instant::now() + delay,
                limit,
            };
            watch.run();
        }
    }

    async fn in_order(&self) {
        sleep(self.times.drain_delay).await;
        self.connections.finish();
        let _ = timeout(self.times.request_time, self.connections.ended()).await;
    }
}

impl Last {
    /// Shuts the telemetry down, unless that was done. Blocks until done; the time is limited.
    pub(super) fn end(&self) {
        // Held meanwhile, so that a second caller waits, too.
        let mut telemetry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(telemetry) = telemetry.take() {
            telemetry.shutdown_blocking();
        }
    }
}

impl Ended {
    /// Waits until the shutdown is complete.
    pub(super) async fn wait(mut self) {
        // It is also complete if the thread has ended.
        let _: Result<(), _> = (&mut self.over).await;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Before the telemetry is ended, which takes time: a signal from now on is not for the server.
        drop(self.is_served.take());
        self.connections.cut();
        self.telemetry.end();
    }
}

/// Exits a process that was asked to end by a signal and does not end.
///
/// The service has ended by now, and what was recorded is exported. The rest is up to the program: to
/// return from `serve`, run what follows it, and return from `main`. The watch waits for that as long
/// as the service's runtime works. But a runtime whose threads are blocked never finishes: `serve`
/// may not be able to return, and dropping the runtime waits.
///
/// * If requests still block their threads, or `serve` has not returned, the process is exited after
///   the exit delay.
/// * If the runtime is being dropped, or does not respond, it may be waiting for a blocking task to
///   return: the process is exited when the sum of all time limits of the shutdown has passed since
///   the signal.
struct ExitWatch {
    connections: Connections,
    service: Handle,
    has_returned: oneshot::Receiver<()>,
    exit_at: Instant,
    limit: Instant,
}

/// The state of the service's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs tasks.
    Works,
    /// It does not run tasks, or was dropped.
    DoesNotWork,
}

impl ExitWatch {
    fn run(mut self) {
        let mut stopped_at = None;
        loop {
            let until = match self.is_blocked() {
                true => Some(self.exit_at),
                false if self.probe() == State::DoesNotWork => {
                    // On a busy machine a working runtime may not run a probe in time.
                    let stopped_at = *stopped_at.get_or_insert_with(Instant::now);
                    let until = self.limit.max(self.exit_at);
                    Some(until.max(stopped_at + STOPPED_TIME))
                }
                false => {
                    stopped_at = None;
                    None
                }
            };
            if until.is_some_and(|until| Instant::now() >= until) {
                diagnostics::warn(&format_args!(
                    "the process has not ended by its time limit, since threads are blocked; it is \
                     ended with status {STATUS}"
                ));
                exit(STATUS);
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Returns true if requests, or the call of `serve`, block their threads.
    fn is_blocked(&mut self) -> bool {
        let has_returned = self.has_returned.try_recv() != Err(oneshot::error::TryRecvError::Empty);
        !has_returned || self.connections.tasks() > 0
    }

    /// Spawns a task on the runtime to see if it runs.
    fn probe(&self) -> State {
        let (ran, has_run) = mpsc::channel::<()>();
        let probe = self.service.spawn(async move {
            let _ = ran.send(());
        });
        match has_run.recv_timeout(PROBE_TIME) {
            Ok(()) => State::Works,
            // A current-thread runtime runs only while a thread blocks on it, and none has to.
            Err(RecvTimeoutError::Timeout)
                if self.service.runtime_flavor() == RuntimeFlavor::CurrentThread =>
            {
                probe.abort();
                State::Works
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => State::DoesNotWork,
        }
    }
}

/// The trigger of the shutdown, as the shutdown thread waits for it.
enum Stopping {
    Signals(Signals),
    Future(InService),
}

impl Stopping {
    fn new(stop: Stop, service: &Handle) -> io::Result<Self> {
        Ok(match stop {
            Stop::Signals => Stopping::Signals(Signals::new()?),
            Stop::Future(future) => Stopping::Future(InService {
                future,
                service: service.clone(),
            }),
        })
    }

    async fn wait(&mut self) {
        match self {
            Stopping::Signals(signals) => drop(signals.next().await),
            Stopping::Future(stop) => poll_fn(|cx| stop.poll(cx)).await,
        }
    }

    /// Waits for the second signal, which ends the service at once, and returns its number.
    async fn again(&mut self) -> i32 {
        match self {
            Stopping::Signals(signals) => signals.next().await,
            Stopping::Future(_) => std::future::pending().await,
        }
    }

    /// Ends the wait. Returns a signal that arrived before and was not waited for.
    fn close(self) -> Option<i32> {
        match self {
            Stopping::Signals(signals) => signals.close(),
            Stopping::Future(_) => None,
        }
    }
}

/// A future of the service, which may need the service's runtime.
struct InService {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    service: Handle,
}

impl InService {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _inside = self.service.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx)));
        // The panic message was printed. The future cannot be polled again.
        polled.unwrap_or(Poll::Ready(()))
    }
}

/// The exit status of a process that exceeds its time limit, the same as that of `timeout(1)`.
pub(super) const STATUS: i32 = 124;
/// The time that aborted tasks may take to end.
const CUT_TIME: Duration = Duration::from_millis(100);
/// The time that exporting the remaining telemetry may take.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// The time that the runtime may take to run a task.
const PROBE_TIME: Duration = Duration::from_millis(100);
/// The time without running a task after which the runtime counts as stopped.
const STOPPED_TIME: Duration = Duration::from_secs(2);
/// The interval at which the watch checks whether the process should have ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
