//! An axum app, served from its start to an orderly end, over HTTP/1 and HTTP/2 (without TLS).
//!
//! The end begins with SIGTERM, Ctrl-C, or a future of one's own. Then, one after the other:
//! `/ready` answers 503, so that load balancers look elsewhere; for the drain delay everything goes on
//! as before; the address is given up; requests that are under way have 10 s, and so have streams,
//! websockets and whatever else keeps its connection; what is left then, heads sent by half and bodies
//! not read among it, is cut; what the telemetry has to send is sent within 5 s; the admin port closes
//! last.
//!
//! A second signal cuts at once. What was recorded is sent, and the process exits with the status of one
//! that a signal ended, 128 and its number, as it does with
//! [`shutdown_signal`](Telemetry::shutdown_signal). Likewise does the first signal after `serve` has
//! returned or was dropped, unless another server or `shutdown_signal` of this process follows it.
//!
//! # Connections
//!
//! The number of connections is limited by the file descriptors of the process alone, as it is with
//! `axum::serve`; each takes about 16 KiB. While there is no descriptor left, new connections wait, and
//! `/health` is still answered. A service that anybody may connect to has a proxy in front of it, which
//! limits connections, or a limit of descriptors (`ulimit -n`) that its memory allows. A connection that
//! sends no whole head within [`Server::with_head_time`] is closed.
//!
//! # The time limit
//!
//! All of this is decided on a thread that the service cannot block, and holds whatever its
//! handlers do. A handler that blocks its thread cannot be cut, though, and a tokio runtime waits for it
//! when it is dropped, at the end of `main`. So a process that was asked to end by a signal is ended, after
//! everything was sent:
//!
//! * 300 ms later, where requests still block their threads, or `serve` could not return because of them;
//! * when the drain delay, the time for requests and 5 s have passed since the signal, where the runtime
//!   does no longer work, and waits for a task of `spawn_blocking` that does not return.
//!
//! The exit status is 124 then, as with `timeout(1)`. What a program does between its return from `serve`
//! and the end of `main` is not limited as long as its runtime works and no request is left.
//! [`Server::with_exit_delay`] and [`Server::without_exit`] change it. Where a future of
//! one's own ended the service the process is never ended.

mod socket;
mod connections;
mod end;

use std::future::{self, Future};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::accept::Acceptor;
use crate::error::{Error, Result};
use crate::own::Listener;
use crate::serve::connections::{Connections, Protocol};
use crate::serve::end::{Ending, Stop, Times};
use crate::telemetry::Telemetry;

impl Telemetry {
    /// Serves the app until SIGTERM or Ctrl-C, and ends everything in order: see
    /// [`serve`](crate::serve).
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be listened on.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn serve(self, app: Router, address: impl ToSocketAddrs) -> Result {
        let listener = listen(address).await?;
        self.server(app).serve(listener).await
    }

    /// Takes [`serve`](Self::serve) apart.
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

/// An app that is about to be served.
///
/// ```
/// # async fn run(telemetry: barograph::Telemetry, app: axum::Router) -> barograph::Result {
/// use std::time::Duration;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// telemetry
///     .server(app)
///     .with_drain_delay(Duration::from_secs(5))
///     .serve(listener)
///     .await
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
    /// How long to go on as before while `/ready` answers 503 already; as long as a load balancer
    /// needs to notice. Nothing by default.
    pub fn with_drain_delay(mut self, delay: Duration) -> Self {
        self.times.drain_delay = bounded(delay);
        self
    }

    /// How long requests that are under way at the end have. 10 s by default.
    pub fn with_request_time(mut self, time: Duration) -> Self {
        self.times.request_time = bounded(time);
        self
    }

    /// How long the head of a request may take to arrive, and how long a connection may idle before
    /// it. 30 s by default; behind a load balancer that keeps connections, more than it waits.
    pub fn with_head_time(mut self, time: Duration) -> Self {
        self.head_time = bounded(time);
        self
    }

    /// How long the program has to end after a signal when requests block their threads and could not be
    /// cut, counted from when everything was sent. 300 ms by default. See
    /// [the time limit](self#the-time-limit).
    pub fn with_exit_delay(mut self, delay: Duration) -> Self {
        self.times.exit_delay = Some(bounded(delay));
        self
    }

    /// Never ends the process, which then ends when all blocked threads have returned. See
    /// [the time limit](self#the-time-limit).
    pub fn without_exit(mut self) -> Self {
        self.times.exit_delay = None;
        self
    }

    /// Ends when this future does. No signal is handled then. It is polled on another thread, inside of
    /// the runtime that serves.
    pub fn with_stop(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Stop::Future(Box::pin(stop));
        self
    }

    /// Handles no signal: what ends the process ends it.
    pub fn without_signal_handling(self) -> Self {
        self.with_stop(future::pending())
    }

    /// Serves, and ends everything in order.
    ///
    /// # Errors
    /// When the signals cannot be listened for, or no thread can be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn serve(self, listener: TcpListener) -> Result {
        let own = self.telemetry.own();
        let connections = Connections::new();
        let ending = Ending::new(self.telemetry, &connections, self.times);
        let ended = ending.begin(self.stop).await?;
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

async fn listen(address: impl ToSocketAddrs) -> Result<TcpListener> {
    let mut resolved = Vec::new();
    let bound = async {
        resolved.extend(tokio::net::lookup_host(address).await?);
        TcpListener::bind(&*resolved).await
    };
    let bound = bound.await;
    bound.map_err(|source| Error::Listen {
        address: match &*resolved {
            [] => "the address given".into(),
            [first, ..] => first.to_string(),
        },
        source,
    })
}

/// A time that can be added to any other.
fn bounded(time: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    time.min(YEAR)
}

/// How long the program has to end when threads of it are blocked.
const EXIT_DELAY: Duration = Duration::from_millis(300);
