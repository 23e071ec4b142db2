//! An axum app, served from its start to an orderly end.
//!
//! The end begins with SIGTERM, Ctrl-C, or a future of one's own. Then, one after the other:
//! `/ready` answers 503, so that load balancers look elsewhere; for the drain delay everything goes on
//! as before; the address is given up; requests that are under way have 10 s; what is left then, heads
//! sent by half and bodies not read among it, is cut; what the telemetry has to send is sent within
//! 5 s; the admin port closes last. A second signal cuts at once.

use std::convert::Infallible;
use std::future::{self, Future};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use crate::error::{Error, Result};
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
            drain_delay: Duration::ZERO,
            request_time: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            stop: None,
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
    drain_delay: Duration,
    request_time: Duration,
    head_time: Duration,
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Server {
    /// How long to go on as before while `/ready` answers 503 already; as long as a load balancer
    /// needs to notice. Nothing by default.
    pub fn with_drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// How long requests that are under way at the end have. 10 s by default.
    pub fn with_request_time(mut self, time: Duration) -> Self {
        self.request_time = time;
        self
    }

    /// How long the head of a request may take to arrive, and how long a connection may idle before
    /// it. 30 s by default; behind a load balancer that keeps connections, more than it waits.
    pub fn with_head_time(mut self, time: Duration) -> Self {
        self.head_time = time;
        self
    }

    /// Ends when this future does. No signal is handled then.
    pub fn with_stop(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Some(Box::pin(stop));
        self
    }

    /// Handles no signal: what ends the process ends it.
    pub fn without_signal_handling(self) -> Self {
        self.with_stop(future::pending())
    }

    /// Serves, and ends everything in order.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn serve(self, listener: TcpListener) -> Result {
        let mut stop = match self.stop {
            Some(stop) => Stop::Future(stop),
            None => Stop::Signals(Signals::new()?),
        };
        let mut connections = Connections::new(self.app, self.head_time);
        connections.accept_until(&listener, stop.wait()).await;
        self.telemetry.readiness().set(false);
        let drained = sleep(self.drain_delay);
        let in_order = async {
            connections.accept_until(&listener, drained).await;
            drop(listener);
            connections.finish(self.request_time).await;
        };
        tokio::select! {
            () = in_order => {}
            () = stop.again() => {}
        }
        connections.cut().await;
        // It waits for others, which must not stop the tasks that are left.
        self.telemetry.shutdown_async().await;
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

/// The connections of the service.
struct Connections {
    app: Router,
    head_time: Duration,
    /// Closed when connections shall end.
    ending: Option<watch::Sender<()>>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(app: Router, head_time: Duration) -> Self {
        Connections {
            app,
            head_time,
            ending: Some(watch::Sender::new(())),
            tasks: JoinSet::new(),
        }
    }

    async fn accept_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.open(stream, peer),
                    // It was gone before it was here; the next one is well.
                    Err(error) if is_of_one_connection(&error) => {}
                    // Such as too many open files, which the next moment may cure.
                    Err(error) => {
                        tracing::warn!(target: "barograph", "no connection is accepted: {error}");
                        tokio::select! {
                            () = &mut end => return,
                            () = sleep(ACCEPT_PAUSE) => {}
                        }
                    }
                },
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(ending) = &self.ending else {
            return;
        };
        let mut ending = ending.subscribe();
        // Responses are written in few pieces; none should wait for an acknowledgment.
        let _ = stream.set_nodelay(true);
        let app = self.app.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = app.clone().call(request);
            async move { Ok::<_, Infallible>(response.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_time)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        self.tasks.spawn(async move {
            tokio::pin!(connection);
            // An error says that the client left, or broke the protocol: no matter of the service.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = ending.changed() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }

    /// Lets every connection end after what it does now, for some time.
    async fn finish(&mut self, time: Duration) {
        self.ending = None;
        let _ = timeout(time, self.ended()).await;
    }

    async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    async fn cut(mut self) {
        self.tasks.abort_all();
        // A handler that blocks its thread cannot be stopped, and is not waited for.
        let _ = timeout(CUT_TIME, self.ended()).await;
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// What ends the service.
enum Stop {
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
    Signals(Signals),
}

impl Stop {
    async fn wait(&mut self) {
        match self {
            Stop::Future(stop) => stop.await,
            Stop::Signals(signals) => signals.next().await,
        }
    }

    /// The wish to end without waiting.
    async fn again(&mut self) {
        match self {
            Stop::Future(_) => future::pending().await,
            Stop::Signals(signals) => signals.next().await,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        // Without a handler Ctrl-C ends the process, which is an end too.
        if tokio::signal::ctrl_c().await.is_err() {
            future::pending().await
        }
    }
}

/// How long to wait after connections could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long tasks that were cut may take to end.
const CUT_TIME: Duration = Duration::from_secs(1);
