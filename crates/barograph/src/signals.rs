//! The signals that ask a process to end: SIGTERM and Ctrl-C.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::readiness::Readiness;

/// The signals as they come, for whoever waits in a runtime.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Handles the signals from now on: without a handler they end the process.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one, and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    pub(crate) async fn next(&mut self) -> i32 {
        // Without a handler Ctrl-C ends the process, which is an end too.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        // SIGINT, as C has it.
        2
    }
}

/// Whether the process was asked to end, for any number of tasks. Handled by a thread of its own, so
/// that the service's runtime may be busy, or not there at all.
#[derive(Debug)]
pub(crate) struct Requested {
    is_requested: watch::Sender<bool>,
    /// Set where somebody else ends the process in order, who gets all signals himself.
    is_served: AtomicBool,
}

impl Requested {
    /// Begins to handle signals.
    ///
    /// The first one is a request, which the program follows. At the second one the process exits,
    /// which sends what was recorded, with the status of a process that a signal ended: 128 and its
    /// number. At the first one, too, when the telemetry is gone.
    pub(crate) fn begin(readiness: Readiness) -> io::Result<Arc<Self>> {
        let requested = Arc::new(Requested {
            is_requested: watch::Sender::new(false),
            is_served: AtomicBool::new(false),
        });
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let ours = Arc::downgrade(&requested);
        let run = move || {
            let prepared = runtime().and_then(|runtime| {
                let inside = runtime.enter();
                let signals = Signals::new()?;
                drop(inside);
                Ok((runtime, signals))
            });
            match prepared {
                Ok((runtime, signals)) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(follow(signals, &ours, &readiness));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        };
        std::thread::Builder::new()
            .name("barograph-signals".into())
            .spawn(run)?;
        let died = || Err(io::Error::other("the thread ended at once"));
        start.recv().unwrap_or_else(|_| died())?;
        Ok(requested)
    }

    /// Ends when the process is asked to end, or was before.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut requested = self.is_requested.subscribe();
        async move {
            if requested
                .wait_for(|is_requested| *is_requested)
                .await
                .is_err()
            {
                // The telemetry is gone; it never comes.
                std::future::pending().await
            }
        }
    }

    /// Leaves a second signal to whoever serves.
    #[cfg(feature = "axum")]
    pub(crate) fn leave_to_server(&self) {
        self.is_served.store(true, Ordering::Relaxed);
    }
}

async fn follow(mut signals: Signals, requested: &Weak<Requested>, readiness: &Readiness) {
    let mut is_first = true;
    loop {
        let signal = signals.next().await;
        match requested.upgrade() {
            Some(requested) if is_first => {
                is_first = false;
                readiness.set(false);
                requested.is_requested.send_replace(true);
            }
            Some(requested) if requested.is_served.load(Ordering::Relaxed) => {}
            Some(_) | None => std::process::exit(128 + signal),
        }
    }
}

/// A runtime for the thread that it is made on.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
