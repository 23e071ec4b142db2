//! The end of a service, decided on a thread that the service cannot block.
//!
//! Handlers that do not give their threads back stop a runtime: nobody sees a signal, no timer fires,
//! and a runtime that is dropped waits for them. So whatever has a time limit at the end runs here, on
//! a thread with a clock of its own: waiting for the signal, the drain delay, the time for requests,
//! the cut, and sending what the telemetry has. The service's tasks only follow. Where they do not,
//! the process is ended: see [`ExitWatch`].

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
use crate::signals::{Signals, exit_by, runtime};
use crate::telemetry::Telemetry;

/// What ends the service.
pub(super) enum Stop {
    Signals,
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// How long each part of the end may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) drain_delay: Duration,
    pub(super) request_time: Duration,
    /// How long the program has to end when threads of it are blocked; none where it is never ended.
    pub(super) exit_delay: Option<Duration>,
}

/// The telemetry, to be ended by whoever comes first.
#[derive(Clone)]
pub(super) struct Last(Arc<Mutex<Option<Telemetry>>>);

/// Ends the service, from its thread.
pub(super) struct Ending {
    readiness: Readiness,
    telemetry: Last,
    connections: Connections,
    times: Times,
    service: Handle,
}

/// The service's side of it. When dropped before it is over nobody serves any more: connections are
/// cut, and what the telemetry has is sent.
pub(super) struct Ended {
    over: oneshot::Receiver<()>,
    telemetry: Last,
    connections: Connections,
    /// Dropped last: that [`Telemetry::serve`] has returned.
    _is_served: oneshot::Sender<()>,
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

    /// Waits for the end from now on.
    pub(super) async fn begin(self, stop: Stop) -> io::Result<Ended> {
        let (done, over) = oneshot::channel();
        let (is_served, has_returned) = oneshot::channel();
        let (started, start) = oneshot::channel();
        let ended = Ended {
            over,
            telemetry: self.telemetry.clone(),
            connections: self.connections.clone(),
            _is_served: is_served,
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
        let died = || Err(io::Error::other("the thread ended at once"));
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
                () = stop.wait() => {}
                // It was dropped, and ended everything itself.
                _ = &mut has_returned => return None,
            }
            let asked = Instant::now();
            self.readiness.set(false);
            let again = tokio::select! {
                () = self.in_order() => None,
                signal = stop.again() => Some(signal),
            };
            self.connections.cut();
            let _ = timeout(CUT_TIME, self.connections.tasks_ended()).await;
            Some((asked, again))
        });
        let is_signalled = matches!(stop, Stopping::Signals(_));
        // The next signal is not for the service any more.
        drop(stop);
        let Some((asked, again)) = asked else {
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
        if let Some(signal) = again {
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
    /// Ends the telemetry, unless that was done. Blocks for as long as it takes, which is bounded.
    pub(super) fn end(&self) {
        // Held meanwhile, so that whoever comes second waits, too.
        let mut telemetry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(telemetry) = telemetry.take() {
            telemetry.shutdown_blocking();
        }
    }
}

impl Ended {
    /// Waits until it is over.
    pub(super) async fn wait(mut self) {
        // It is over also when the thread is gone.
        let _: Result<(), _> = (&mut self.over).await;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.connections.cut();
        self.telemetry.end();
    }
}

/// Ends a process that was asked to end by a signal, and does not.
///
/// The service has ended by now, and what was recorded is sent. What is left is up to the program: to
/// return from `serve`, do what it has to do after it, and return from `main`. That is waited for as long
/// as the service's runtime works. But a runtime whose threads are blocked is never done: `serve` may
/// not be able to return, and dropping the runtime waits.
///
/// * Where requests still block their threads, or `serve` has not returned, the process is ended after the
///   exit delay.
/// * Where the runtime is being dropped, or does not answer, it may be waiting for a blocking task to
///   return: the process is ended when all times of the end together have passed since the signal.
struct ExitWatch {
    connections: Connections,
    service: Handle,
    has_returned: oneshot::Receiver<()>,
    exit_at: Instant,
    limit: Instant,
}

/// What the service's runtime does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs tasks.
    Works,
    /// It does not, or is gone.
    DoesNotWork,
}

impl ExitWatch {
    fn run(mut self) {
        let mut stopped_at = None;
        loop {
            let until = match self.is_blocked() {
                true => Some(self.exit_at),
                false if self.probe() == State::DoesNotWork => {
                    // On a busy machine a runtime that works may not get to a probe in time.
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

    /// Whether requests block their threads, or whoever serves.
    fn is_blocked(&mut self) -> bool {
        let has_returned = self.has_returned.try_recv() != Err(oneshot::error::TryRecvError::Empty);
        !has_returned || self.connections.tasks() > 0
    }

    /// Has the runtime run a task.
    fn probe(&self) -> State {
        let (ran, has_run) = mpsc::channel::<()>();
        let probe = self.service.spawn(async move {
            let _ = ran.send(());
        });
        match has_run.recv_timeout(PROBE_TIME) {
            Ok(()) => State::Works,
            // Nothing runs on it while nobody waits in it, and nobody has to.
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

/// What ends the service, waited for on the thread that ends it.
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

    /// Waits for the signal to end without waiting, and returns its number.
    async fn again(&mut self) -> i32 {
        match self {
            Stopping::Signals(signals) => signals.next().await,
            Stopping::Future(_) => std::future::pending().await,
        }
    }
}

/// A future of the service's own, which may need its runtime.
struct InService {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    service: Handle,
}

impl InService {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _inside = self.service.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx)));
        // The panic has been printed. What it waited for will not be seen any more.
        polled.unwrap_or(Poll::Ready(()))
    }
}

/// The exit status of a process that did not end by its time limit, as `timeout(1)` has it.
pub(super) const STATUS: i32 = 124;
/// How long tasks that were cut may take to end.
const CUT_TIME: Duration = Duration::from_millis(100);
/// How long what the telemetry has may take to be sent.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long the runtime may take to run a task.
const PROBE_TIME: Duration = Duration::from_millis(100);
/// How long the runtime has to run no task in order to count as stopped.
const STOPPED_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether the process should have ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
