//! The pages for operators of the service: `/metrics`, `/health` and `/ready`.
//!
//! One thread with its own runtime serves them, so they answer while the service's runtime is busy,
//! and without one. The load that clients can cause is limited: the connections (an idle one is
//! closed to make room), the pages at once (a slow client is closed), and the time for a request
//! head, for a page, and for reading what was written. No lock is held between two chunks of a page.
//! If the thread panics, it is restarted.
//!
//! A port that the environment set and that is taken does not keep a service from starting: it is
//! tried again until it is free, for example when the previous process has ended.

mod page_slots;
mod body;
mod write_timeout;
mod hosts;
mod routes;
mod connections;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use barograph_core::exemplar;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::accept::{Acceptor, Reserve};
use crate::admin::connections::Connections;
use crate::error::StartError;
use crate::listen::Listening;
use crate::self_metrics::{AdminFailure, Listener};
use crate::supervise::{Supervised, supervise};

pub(crate) use crate::admin::hosts::Hosts;
pub(crate) use crate::admin::routes::Routes;

/// The thread that serves the pages. Dropping this closes them at once.
#[derive(Debug)]
pub(crate) struct Admin {
    address: Arc<OnceLock<SocketAddr>>,
    stop: watch::Sender<Option<Duration>>,
    is_ending: Arc<AtomicBool>,
    /// Nothing is ever sent: the sender is dropped with the thread. In a mutex only to make `Admin`
    /// `Sync`; the lock is never contended.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Admin {
    pub(crate) fn start(listening: Listening, routes: Routes) -> Result<Self, StartError> {
        let thread_error = |source| StartError::Thread { source };
        let address = Arc::new(OnceLock::new());
        if let Listening::Bound(listener) = &listening {
            let bound = listener.local_addr().map_err(thread_error)?;
            address.get_or_init(|| bound);
        }
        let (stop, stopped) = watch::channel(None);
        let (end, ended) = mpsc::channel::<()>();
        let mut thread = Thread {
            listening,
            address: Arc::clone(&address),
            routes,
            stop: stopped,
        };
        // The runtime is created and dropped on the thread: the caller may be where both are
        // forbidden.
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_ending);
        let run = move || {
            supervise(Supervised::Admin, &ending, || thread.serve());
            // The listener is closed first.
            drop(thread);
            drop(end);
        };
        std::thread::Builder::new()
            .name("barograph-admin".into())
            .spawn(run)
            .map_err(thread_error)?;
        Ok(Admin {
            address,
            stop,
            is_ending,
            ended: Mutex::new(ended),
        })
    }

    /// Returns the address of the pages; None as long as the port is taken.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// Stops listening, gives pages that are being read `grace` to complete, and ends.
    pub(crate) fn stop(self, grace: Duration) {
        self.end(grace);
    }

    /// Waits a little longer than `grace`, and not forever: a source may block the thread, and in a
    /// forked process it does not exist.
    fn end(&self, grace: Duration) {
        let is_first = self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(grace);
            is_first
        });
        if is_first {
            self.is_ending.store(true, Ordering::Relaxed);
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let _: Result<(), RecvTimeoutError> = ended.recv_timeout(grace + END_TIME);
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// The state of the thread, which outlives restarts.
struct Thread {
    listening: Listening,
    address: Arc<OnceLock<SocketAddr>>,
    routes: Routes,
    stop: watch::Receiver<Option<Duration>>,
}

impl Thread {
    /// Serves until it is stopped.
    fn serve(&mut self) -> io::Result<()> {
        let runtime = runtime()?;
        let served = runtime.block_on(self.serve_inside());
        // A callback that never returns must not keep the process alive.
        runtime.shutdown_background();
        served
    }

    async fn serve_inside(&mut self) -> io::Result<()> {
        let mut stop = self.stop.clone();
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut serving = self.accept()?;
        let mut binding = None;
        let mut in_a_row = 0;
        let grace = loop {
            let accepted = async {
                match &mut serving {
                    Some((acceptor, _)) => acceptor.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                stop = stop.wait_for(Option::is_some) => {
                    break stop.ok().and_then(|stop| *stop).unwrap_or_default();
                }
                accepted = accepted => {
                    if let Some((_, connections)) = &mut serving {
                        connections.open(accepted);
                    }
                    // Open connections run soon: otherwise a flood of new connections would delay
                    // them, and exceed the limit before any of them is served.
                    in_a_row += 1;
                    if in_a_row >= MOST_IN_A_ROW {
                        in_a_row = 0;
                        yield_now().await;
                    }
                }
                _ = tick.tick() => {
                    exemplar::advance();
                    if serving.is_none() && self.bind(&mut binding).await {
                        serving = self.accept()?;
                    }
                }
            }
        };
        if let Some((acceptor, connections)) = serving {
            drop(acceptor);
            self.listening = Listening::Ended;
            let _ = timeout(grace, connections.close()).await;
        }
        Ok(())
    }

    /// Begins to accept, if a listener is bound.
    fn accept(&self) -> io::Result<Option<(Acceptor, Connections)>> {
        let Listening::Bound(listener) = &self.listening else {
            return Ok(None);
        };
        let address = listener.local_addr()?;
        let reserve = Reserve::new(Arc::clone(listener));
        let listener = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let own = self.routes.own().cloned();
        let acceptor = Acceptor::new(listener, Listener::Admin, own).with_reserve(reserve);
        let connections = Connections::new(self.routes.clone(), address);
        Ok(Some((acceptor, connections)))
    }

    /// Tries to bind an address that was taken, on another thread, since names may be resolved.
    async fn bind(&mut self, binding: &mut Option<JoinHandle<Listening>>) -> bool {
        if let Some(done) = binding.take_if(|binding| binding.is_finished()) {
            if let Ok(listening) = done.await {
                self.listening = listening;
            }
            if let Listening::Bound(listener) = &self.listening
                && let Ok(address) = listener.local_addr()
            {
                self.address.get_or_init(|| address);
                tracing::info!(target: "barograph", "metrics at http://{address}/metrics");
                return true;
            }
            self.routes.failed(AdminFailure::Listen);
        }
        if let (None, Listening::Later(later)) = (&binding, &self.listening) {
            let later = later.clone();
            *binding = Some(spawn_blocking(move || later.listen()));
        }
        false
    }
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(page_slots::MOST_PAGES + routes::MAKERS)
        .thread_name("barograph-pages")
        .build()
}

/// The maximum number of connections accepted before open ones run. No more than are evicted at once, so
/// that a connection is not evicted before it has run. Each turn costs a system call.
const MOST_IN_A_ROW: usize = 16;
/// The time that the thread may take to end, in addition to `grace`.
const END_TIME: Duration = Duration::from_millis(250);
