//! The pages for those who operate the service: `/metrics`, `/health` and `/ready`.
//!
//! They are served by one thread with a runtime of its own, so that they answer while the service's
//! runtime is busy or there is none. What others can make this thread do is bounded: connections
//! (the one that idles longest makes room), pages at once, the time for a head, for a page, and for
//! taking what was written. Between two chunks of a page nothing is locked.

mod body;
mod patience;
mod routes;
mod connections;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use barograph_core::exemplar;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::admin::connections::Connections;
use crate::error::StartError;

pub(crate) use crate::admin::routes::Routes;

/// The thread that serves the pages. Dropping it ends them at once.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    pub(crate) fn start(listener: TcpListener, routes: Routes) -> Result<Self, StartError> {
        let thread_error = |source| StartError::Thread { source };
        let address = listener.local_addr().map_err(thread_error)?;
        listener.set_nonblocking(true).map_err(thread_error)?;
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::sync_channel(1);
        // The runtime is made and dropped on its thread: where this is called may forbid both.
        let run = move || match prepare(listener) {
            Ok((runtime, listener)) => {
                let _ = started.send(Ok(()));
                runtime.block_on(serve(listener, routes, stopped));
                // A callback that never returns must not keep the process alive.
                runtime.shutdown_background();
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new()
            .name("barograph-admin".into())
            .spawn(run)
            .map_err(thread_error)?;
        let died = || Err(io::Error::other("the thread ended at once"));
        start
            .recv()
            .unwrap_or_else(|_| died())
            .map_err(thread_error)?;
        Ok(Admin {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens no more, gives pages that are being read `grace` to be finished, and ends.
    pub(crate) fn stop(mut self, grace: Duration) {
        self.end(grace);
    }

    fn end(&mut self, grace: Duration) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(grace);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

fn prepare(listener: TcpListener) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(routes::MOST_PAGES)
        .thread_name("barograph-collect")
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

async fn serve(
    listener: tokio::net::TcpListener,
    routes: Routes,
    mut stop: oneshot::Receiver<Duration>,
) {
    let mut connections = Connections::new(routes);
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let grace = loop {
        tokio::select! {
            grace = &mut stop => break grace.unwrap_or_default(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.open(stream),
                // Such as too many open files, which the next moment may cure.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            _ = tick.tick() => exemplar::advance(),
        }
    };
    drop(listener);
    let _ = timeout(grace, connections.close()).await;
}

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
