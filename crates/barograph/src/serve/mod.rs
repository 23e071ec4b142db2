//! Serves an axum app over HTTP/1 and HTTP/2 (without TLS), from its start to an orderly shutdown.
//!
//! The shutdown begins with SIGTERM, Ctrl-C, or a custom future. Its steps are, in order: `/ready`
//! answers 503, so that load balancers stop sending requests; the service continues as before for the
//! drain delay; the listener is closed; open requests have 10 s to complete, and so have streams,
//! websockets and everything else that keeps its connection open; the remaining connections are
//! closed, also those with a partial request head or an unread body; the remaining telemetry is
//! exported within 5 s; the admin port is closed last.
//!
//! A second signal closes the connections at once. What was recorded is exported, and the process
//! exits with the status of a process ended by that signal, 128 plus its number, as with
//! [`shutdown_signal`](Telemetry::shutdown_signal). The first signal does the same after `serve` has
//! returned or was dropped, unless another server or `shutdown_signal` of this process follows it.
//!
//! # Connections
//!
//! The number of connections is limited only by the file descriptors of the process, as with
//! `axum::serve`; each takes about 16 KiB. While no descriptor is free, new connections wait, and
//! `/health` is still answered. A public service needs a proxy in front of it that limits
//! connections, or a limit of descriptors (`ulimit -n`) that its memory allows. A connection that
//! does not send a complete request head within [`Server::with_head_time`] is closed.
//!
//! # The time limit
//!
//! A thread that the service cannot block controls all of this, so the limits hold whatever the
//! handlers do. A handler that blocks its thread cannot be aborted, though, and a tokio runtime waits
//! for it when it is dropped, at the end of `main`. So a process that was asked to end by a signal is
//! exited after all telemetry was exported:
//!
//! * 300 ms later, if requests still block their threads, or `serve` could not return because of
//!   them;
//! * when the drain delay, the time for requests and 5 s have passed since the signal, if the runtime
//!   no longer works and waits for a task of `spawn_blocking` that does not return.
//!
//! The exit status is 124 then, as with `timeout(1)`. The code of a program between its return from
//! `serve` and the end of `main` has no time limit as long as its runtime works and no request is
//! left. [`Server::with_exit_delay`] and [`Server::without_exit`] change this. If a custom future
//! ended the service, the process is never exited.

mod socket;
mod connections;
mod end;

use std::future::{self, Future};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::accept::Acceptor;
use crate::error::ServeError;
use crate::self_metrics::Listener;
use crate::serve::connections::{Connections, Protocol};
use crate::serve::end::{Ending, Stop, Times};
use crate::telemetry::Telemetry;

impl Telemetry {
    /// Serves the app until SIGTERM or Ctrl-C, and shuts everything down in order: see
    /// [`serve`](crate::serve).
    ///
    /// # Errors
    /// [`ServeError`], most often because another program has the address.
    ///
    /// # Panics
    /// If called outside of a tokio runtime with I/O and time enabled.
    pub async fn serve(self, app: Router, address: impl ToSocketAddrs) -> Result<(), ServeError> {
        let listener = listen(address).await?;
        self.server(app).serve(listener).await
    }

    /// Returns a server of the app, which can be configured before it serves.
    pub fn server(self, app: Router) -> Server {
        Server {
            telemetry: self,
            app,
            times: Times {
                drain_delay: Duration::ZERO,
                request_time: Duration::from_secs(10),
                exit_delay: Some(EXIT_DELAY),
            },
            head_time: Duration::from_secs(30),
            stop: Stop::Signals,
        }
    }
}

/// An app with the configuration of its server.
///
/// ```
/// # async fn run(telemetry: barograph::Telemetry, app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// telemetry
///     .server(app)
///     .with_drain_delay(Duration::from_secs(5))
///     .serve(listener)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is served until `serve`"]
pub struct Server {
    telemetry: Telemetry,
    app: Router,
    times: Times,
    head_time: Duration,
    stop: Stop,
}

impl Server {
    /// Sets the time during which the service continues as before while `/ready` already answers 503:
    /// the time that a load balancer needs to notice. Zero by default.
    pub fn with_drain_delay(mut self, delay: Duration) -> Self {
        self.times.drain_delay = bounded(delay);
        self
    }

    /// Sets the time that open requests have to complete at shutdown; 10 s by default.
    pub fn with_request_time(mut self, time: Duration) -> Self {
        self.times.request_time = bounded(time);
        self
    }

    /// Sets the time that the head of a request may take to arrive, and that a connection may idle
    /// before it; 30 s by default. Behind a load balancer that reuses connections, set more than its
    /// idle timeout.
    pub fn with_head_time(mut self, time: Duration) -> Self {
        self.head_time = bounded(time);
        self
    }

    /// Sets the time that the program has to end after a signal if requests block their threads and
    /// could not be aborted, counted from the end of the export; 300 ms by default. See [the time
    /// limit](self#the-time-limit).
    pub fn with_exit_delay(mut self, delay: Duration) -> Self {
        self.times.exit_delay = Some(bounded(delay));
        self
    }

    /// Never exits the process, which then ends when all blocked threads have returned. See [the time
    /// limit](self#the-time-limit).
    pub fn without_exit(mut self) -> Self {
        self.times.exit_delay = None;
        self
    }

    /// Shuts the service down when this future completes, and handles no signals. The future is
    /// polled on another thread, inside the runtime that serves.
    pub fn with_stop(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Stop::Future(Box::pin(stop));
        self
    }

    /// Handles no signals: a signal ends the process by its default action.
    pub fn without_signal_handling(self) -> Self {
        self.with_stop(future::pending())
    }

    /// Serves the app, and shuts everything down in order.
    ///
    /// # Errors
    /// [`ServeError::Signals`] if the signals cannot be handled, or no thread can be created.
    ///
    /// # Panics
    /// If called outside of a tokio runtime with I/O and time enabled.
    pub async fn serve(self, listener: TcpListener) -> Result<(), ServeError> {
        let own = self.telemetry.own();
        let connections = Connections::new();
        let ending = Ending::new(self.telemetry, &connections, self.times);
        let ended = ending.begin(self.stop).await;
        let ended = ended.map_err(|source| ServeError::Signals { source })?;
        let acceptor = Acceptor::new(listener, Listener::Service, Some(own));
        let protocol = Protocol::new(self.app, &connections, self.head_time);
        connections.accept(acceptor, &protocol).await;
        ended.wait().await;
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("telemetry", &self.telemetry)
            .finish_non_exhaustive()
    }
}

async fn listen(address: impl ToSocketAddrs) -> Result<TcpListener, ServeError> {
    let mut resolved = Vec::new();
    let bound = async {
        resolved.extend(tokio::net::lookup_host(address).await?);
        TcpListener::bind(&*resolved).await
    };
    let bound = bound.await;
    bound.map_err(|source| ServeError::Listen {
        address: match &*resolved {
            [] => "the address given, expected a host name or an address, and a port".into(),
            [first, ..] => first.to_string(),
        },
        source,
    })
}

/// Limits a time, so that it can be added to any other.
fn bounded(time: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    time.min(YEAR)
}

/// The time that the program has to end when its threads are blocked.
const EXIT_DELAY: Duration = Duration::from_millis(300);
