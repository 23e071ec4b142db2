//! The driver, which runs all pipelines of a process, and the handle that controls it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc as channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::moment::{LONGEST, after, now, part};
use crate::pipeline::{Command, CommandKind, Hook, Pipeline, Task};
use crate::report::Report;

/// All pipelines of a process, ready to be run.
///
/// [`run`](Self::run) returns a future for a tokio runtime with time and I/O, preferably one with a
/// single thread that does nothing else: the service's own runtime may be busy, blocked or shut down
/// just when everything has to be sent. Collection and the persistent queue use the runtime's blocking
/// threads.
#[must_use = "nothing is pushed until it is run"]
pub struct Driver {
    pipelines: Vec<Pipeline>,
    /// The pipelines that `run` has already taken over.
    tasks: Vec<Task>,
    hook: Hook,
    commands: mpsc::UnboundedReceiver<HandleCommand>,
    runner: Arc<AtomicU32>,
}

/// A handle that controls a running [`Driver`]. It can be used from any thread, inside or outside a
/// runtime.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<HandleCommand>,
    /// The id of the process in which the driver runs; 0 before the first run.
    runner: Arc<AtomicU32>,
}

#[derive(Debug)]
struct HandleCommand {
    kind: CommandKind,
    limit: Duration,
    done: oneshot::Sender<Result<(), Unfinished>>,
}

/// The reason why a flush or a shutdown did not deliver everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfinished {
    /// At least one pipeline could not deliver everything.
    Undelivered,
    /// The time limit passed first.
    Late {
        /// The time limit.
        limit: Duration,
    },
    /// The driver has ended, was dropped before it was run, or runs in the process that this one was
    /// forked from.
    Ended,
}

impl Driver {
    /// Creates a driver of these pipelines, and a handle to it.
    pub fn new(pipelines: impl IntoIterator<Item = Pipeline>) -> (Self, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let driver = Driver {
            pipelines: pipelines.into_iter().collect(),
            tasks: Vec::new(),
            hook: Arc::new(|_| {}),
            commands,
            runner: Arc::default(),
        };
        let handle = Handle {
            commands: sender,
            runner: Arc::clone(&driver.runner),
        };
        (driver, handle)
    }

    /// Sets the hook that is called with every report. It runs on the driver's thread and must not
    /// block.
    pub fn with_reports(mut self, hook: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        self.hook = Arc::new(hook);
        self
    }

    /// Runs all pipelines until a handle requests a shutdown, or until all handles are dropped.
    ///
    /// A pipeline that panics is restarted automatically. If this future is dropped early, for example
    /// because its runtime or its thread ended, a further call resumes all pipelines.
    pub async fn run(&mut self) {
        self.runner.store(std::process::id(), Ordering::Relaxed);
        let fresh = self.pipelines.drain(..);
        self.tasks
            .extend(fresh.map(|pipeline| Task::new(pipeline, Arc::clone(&self.hook))));
        let mut tasks = JoinSet::new();
        let mut senders = Vec::new();
        for task in &self.tasks {
            let (sender, receiver) = mpsc::unbounded_channel();
            senders.push(sender);
            tasks.spawn(task.run(receiver));
        }
        let mut flushes = JoinSet::new();
        loop {
            let command = self.commands.recv().await;
            while flushes.try_join_next().is_some() {}
            let (kind, limit, done) = match command {
                Some(command) => (command.kind, command.limit, Some(command.done)),
                None => (CommandKind::Shutdown, LAST_LIMIT, None),
            };
            let limit = limit.min(LONGEST);
            let deadline = after(now(), limit);
            let all = send_to_all(&senders, kind, limit);
            let answer = async move {
                let result = all.await;
                if let Some(done) = done {
                    // The caller may have stopped waiting.
                    let _ = done.send(result);
                }
            };
            match kind {
                CommandKind::Flush => drop(flushes.spawn(answer)),
                CommandKind::Shutdown => {
                    answer.await;
                    // The last export cycle also answers the pending flushes.
                    let all_answered = async { while flushes.join_next().await.is_some() {} };
                    let _ = timeout_at(deadline.into(), all_answered).await;
                    return;
                }
            }
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("pipelines", &self.pipelines)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// Sends a command to every pipeline, and waits for all of them until the limit.
fn send_to_all(
    senders: &[mpsc::UnboundedSender<Command>],
    kind: CommandKind,
    limit: Duration,
) -> impl Future<Output = Result<(), Unfinished>> + Send + use<> {
    let now = now();
    // The time that is reserved for reporting the result.
    let margin = part(limit, 10).min(MARGIN);
    let deadline = after(now, limit);
    let mut answers = Vec::new();
    for sender in senders {
        let (done, answer) = oneshot::channel();
        let command = Command {
            kind,
            deadline: after(now, limit.saturating_sub(margin)),
            done,
        };
        // A pipeline that has ended does not answer.
        let _ = sender.send(command);
        answers.push(answer);
    }
    let all = async {
        let mut is_complete = true;
        for answer in answers {
            is_complete &= answer.await.unwrap_or(false);
        }
        match is_complete {
            true => Ok(()),
            false => Err(Unfinished::Undelivered),
        }
    };
    async move {
        let late = Err(Unfinished::Late { limit });
        timeout_at(deadline.into(), all).await.unwrap_or(late)
    }
}

impl Handle {
    /// Collects and sends everything now, even to a receiver that was unavailable a moment ago. Blocks
    /// the calling thread until this is done, for `limit` at most.
    ///
    /// # Errors
    /// [`Unfinished`] if not everything was delivered or written to the persistent queue.
    pub fn flush(&self, limit: Duration) -> Result<(), Unfinished> {
        wait(self.command(CommandKind::Flush, limit), limit)
    }

    /// Does the same as [`flush`](Self::flush), without blocking the thread. The future needs no
    /// runtime: a temporary thread enforces the limit.
    ///
    /// # Errors
    /// The same as those of [`flush`](Self::flush).
    pub async fn flush_async(&self, limit: Duration) -> Result<(), Unfinished> {
        in_time(self.command(CommandKind::Flush, limit), limit).await
    }

    /// Sends everything a last time and ends the driver. What cannot be sent stays in the persistent
    /// queue, or is dropped and counted. Blocks the calling thread until this is done, for `limit` at
    /// most.
    ///
    /// # Errors
    /// The same as those of [`flush`](Self::flush), and [`Unfinished::Ended`] if it was shut down
    /// before.
    pub fn shutdown(&self, limit: Duration) -> Result<(), Unfinished> {
        wait(self.command(CommandKind::Shutdown, limit), limit)
    }

    /// Does the same as [`shutdown`](Self::shutdown), without blocking the thread. The future needs no
    /// runtime.
    ///
    /// # Errors
    /// The same as those of [`shutdown`](Self::shutdown).
    pub async fn shutdown_async(&self, limit: Duration) -> Result<(), Unfinished> {
        in_time(self.command(CommandKind::Shutdown, limit), limit).await
    }

    /// Returns this handle as if the driver ran in that process.
    #[cfg(test)]
    pub(super) fn of_process(mut self, process: u32) -> Self {
        self.runner = Arc::new(AtomicU32::new(process));
        self
    }

    /// Sends the command at once. The returned future waits for its result.
    fn command(
        &self,
        kind: CommandKind,
        limit: Duration,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        let runner = self.runner.load(Ordering::Relaxed);
        // A fork does not copy the driver's thread.
        let is_elsewhere = runner != 0 && runner != std::process::id();
        let command = HandleCommand { kind, limit, done };
        let is_sent = !is_elsewhere && self.commands.send(command).is_ok();
        async move {
            if !is_sent {
                return Err(Unfinished::Ended);
            }
            answer.await.unwrap_or(Err(Unfinished::Ended))
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfinished::Undelivered => f.write_str("a receiver did not take everything"),
            Unfinished::Late { limit } => write!(f, "not everything was sent within {limit:?}"),
            Unfinished::Ended => f.write_str("the push loop has ended"),
        }
    }
}

impl std::error::Error for Unfinished {}

/// Blocks this thread until the future completes. Measures the limit itself, because the driver may
/// hang.
pub(super) fn wait(
    future: impl Future<Output = Result<(), Unfinished>>,
    limit: Duration,
) -> Result<(), Unfinished> {
    let began = std::time::Instant::now();
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        match limit.checked_sub(began.elapsed()) {
            Some(left) if !left.is_zero() => std::thread::park_timeout(left),
            _ => return Err(Unfinished::Late { limit }),
        }
    }
}

/// Waits for the future, and measures the limit itself as [`wait`] does.
async fn in_time(
    future: impl Future<Output = Result<(), Unfinished>>,
    limit: Duration,
) -> Result<(), Unfinished> {
    let mut future = pin!(future);
    let mut clock = None;
    poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        let Some((_, is_late)) = clock.get_or_insert_with(|| Clock::start(limit)) else {
            // No thread could be started, so only the driver enforces the limit.
            return Poll::Pending;
        };
        let late = Err(Unfinished::Late { limit });
        Pin::new(is_late).poll(context).map(|_| late)
    })
    .await
}

/// A thread that waits for a time limit. It ends as soon as this is dropped.
struct Clock {
    _end: channel::Sender<()>,
}

impl Clock {
    /// Starts the thread. The receiver gets a message when the limit has passed. Returns `None` if no
    /// thread can be started.
    fn start(limit: Duration) -> Option<(Self, oneshot::Receiver<()>)> {
        let (end, is_over) = channel::channel();
        let (late, is_late) = oneshot::channel();
        let wait = move || {
            let _: Result<(), _> = is_over.recv_timeout(limit);
            // The receiver may have been dropped.
            let _ = late.send(());
        };
        let thread = std::thread::Builder::new().name("barograph-clock".into());
        thread.spawn(wait).ok()?;
        Some((Clock { _end: end }, is_late))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The longest time between the deadline of a pipeline and the limit of the command.
const MARGIN: Duration = Duration::from_millis(100);
/// The time limit of the shutdown that follows when all handles have been dropped.
const LAST_LIMIT: Duration = Duration::from_secs(5);
