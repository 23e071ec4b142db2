//! The signals that ask a process to end: SIGTERM and Ctrl-C.
//!
//! A handler stays installed for the rest of the process, and replaces the default action of the
//! system. So one thread receives the signals for as long as the process lives. It passes each signal
//! to the current followers, which end in order. If there are none, because the service has ended,
//! was dropped or has already received a signal, it ends the process as the signal would have done.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use barograph_core::process;
#[cfg(feature = "axum")]
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::exit;
use crate::readiness::Readiness;

/// The signals that a server follows. Until this is dropped, signals do not end the process.
#[cfg(feature = "axum")]
pub(crate) struct Signals(UnboundedReceiver<i32>);

#[cfg(feature = "axum")]
impl Signals {
    /// Receives the signals from now on.
    pub(crate) fn new() -> io::Result<Self> {
        let (follower, signals) = Signals::channel();
        follow(follower)?;
        Ok(signals)
    }

    fn channel() -> (Follower, Self) {
        let (sender, receiver) = unbounded_channel();
        (Follower::Server(sender), Signals(receiver))
    }

    /// Waits for the next signal, and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Receives no more signals. Returns one that arrived before that and was not waited for: the
    /// thread that receives signals relied on this server to follow it.
    pub(crate) fn close(mut self) -> Option<i32> {
        self.0.close();
        self.0.try_recv().ok()
    }
}

/// The request to end the process, which any number of tasks can wait for. No runtime is needed: the
/// signals are received on their own thread.
#[derive(Debug)]
pub(crate) struct Requested {
    /// The signal that was the request.
    by: watch::Sender<Option<i32>>,
    readiness: Readiness,
}

impl Requested {
    /// Begins to handle signals. The first one is the request; the program ends itself in order.
    pub(crate) fn begin(readiness: Readiness) -> io::Result<Arc<Self>> {
        let requested = Arc::new(Requested {
            by: watch::Sender::new(None),
            readiness,
        });
        follow(Follower::Program(Arc::downgrade(&requested)))?;
        Ok(requested)
    }

    /// Requests the end. Returns false if it was requested before.
    fn request(&self, signal: i32) -> bool {
        if self.by.borrow().is_some() {
            return false;
        }
        // First, so that whoever waits for the request finds the service not ready.
        self.readiness.not_ready();
        self.by.send_replace(Some(signal));
        true
    }

    /// Completes when the process is asked to end, or at once if it was before.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut by = self.by.subscribe();
        async move {
            if by.wait_for(Option::is_some).await.is_err() {
                // The telemetry was dropped; no request will come.
                std::future::pending().await
            }
        }
    }
}

/// Ends the process as an unhandled signal does, with 128 plus its number as the status, but exports
/// what was recorded.
pub(crate) fn exit_by(signal: i32) -> ! {
    exit::exit(128 + signal)
}

/// Creates a runtime for the current thread.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Part of the process that ends in order after a signal.
enum Follower {
    /// A server, which also follows the next signals until it has ended.
    #[cfg(feature = "axum")]
    Server(UnboundedSender<i32>),
    /// The program, which follows one signal.
    Program(Weak<Requested>),
}

impl Follower {
    /// Passes a signal on. Returns false if it is not followed, because this part has ended or has
    /// received a signal before.
    fn pass(&self, signal: i32) -> bool {
        match self {
            #[cfg(feature = "axum")]
            Follower::Server(server) => server.send(signal).is_ok(),
            Follower::Program(program) => program.upgrade().is_some_and(|all| all.request(signal)),
        }
    }

    #[cfg(feature = "axum")]
    fn has_ended(&self) -> bool {
        match self {
            Follower::Server(server) => server.is_closed(),
            Follower::Program(program) => program.strong_count() == 0,
        }
    }
}

struct Followers {
    /// The generation of the process in which the signals are received; 0 before that.
    received_in: u64,
    all: Vec<Follower>,
}

static FOLLOWERS: Mutex<Followers> = Mutex::new(Followers {
    received_in: 0,
    all: Vec::new(),
});

/// Passes each signal to this follower from now on, until it does not follow one.
fn follow(follower: Follower) -> io::Result<()> {
    let mut followers = FOLLOWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = process::generation();
    if followers.received_in != generation {
        receive()?;
        // Followers from before a fork belong to the parent.
        std::mem::forget(std::mem::take(&mut followers.all));
        followers.received_in = generation;
    }
    followers.all.push(follower);
    Ok(())
}

/// Ends the process by a signal that arrived for a server while the server was dropped, unless another
/// part of the process follows it.
#[cfg(feature = "axum")]
pub(crate) fn exit_unless_followed(signal: i32) {
    let followers = FOLLOWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_followed = !followers.all.iter().all(Follower::has_ended);
    drop(followers);
    if !is_followed {
        exit_by(signal);
    }
}

/// Receives signals on its own thread, for the rest of the process.
fn receive() -> io::Result<()> {
    let (started, start) = mpsc::sync_channel(1);
    let run = move || {
        let prepared = runtime().and_then(|runtime| {
            let inside = runtime.enter();
            let incoming = Incoming::new()?;
            drop(inside);
            Ok((runtime, incoming))
        });
        match prepared {
            Ok((runtime, mut incoming)) => {
                let _ = started.send(Ok(()));
                loop {
                    pass_on(runtime.block_on(incoming.next()));
                }
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    };
    thread::Builder::new()
        .name("barograph-signals".into())
        .spawn(run)?;
    let died = || Err(io::Error::other("the thread ended immediately"));
    start.recv().unwrap_or_else(|_| died())
}

fn pass_on(signal: i32) {
    let mut followers = FOLLOWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let all = &mut followers.all;
    all.retain(|follower| follower.pass(signal));
    if all.is_empty() {
        drop(followers);
        exit_by(signal);
    }
}

/// The stream of signals.
#[cfg(unix)]
struct Incoming {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Incoming {
    /// Installs the handlers: without them the signals end the process.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Incoming {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

#[cfg(not(unix))]
struct Incoming;

#[cfg(not(unix))]
impl Incoming {
    fn new() -> io::Result<Self> {
        Ok(Incoming)
    }

    async fn next(&mut self) -> i32 {
        // Without a handler Ctrl-C ends the process, which is acceptable.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        // The number of SIGINT in C.
        2
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(feature = "axum")]
    fn a_signal_that_arrives_while_a_server_is_dropped_is_not_lost() {
        use super::Signals;

        let (follower, signals) = Signals::channel();
        assert!(follower.pass(15), "the server follows it");
        assert!(!follower.has_ended());
        assert_eq!(signals.close(), Some(15));
        assert!(follower.has_ended());
        assert!(!follower.pass(15), "the process follows it");

        let (_follower, signals) = Signals::channel();
        assert_eq!(signals.close(), None);
    }
}
