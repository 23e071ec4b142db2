//! The connections of a service: accepted, served, counted, and closed.
//!
//! Two things are counted: each socket as long as it is open, also after a handler has taken it over
//! (a websocket), and each task that serves a connection or a stream. All of them follow a [`Phase`],
//! which the shutdown sets, possibly from another thread.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tower_service::Service as _;

use crate::accept::Acceptor;
use crate::serve::socket::{Closer, Socket};

/// The phase of the service, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// New connections are accepted.
    Serving,
    /// No connection is accepted; each one ends after its current request.
    Finishing,
    /// All connections end at once.
    Cut,
}

/// The connections of a service. Clones share them.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    phase: watch::Sender<Phase>,
    /// True while more connections may be accepted.
    is_listening: AtomicBool,
    /// The number of connections and streams being served.
    tasks: AtomicUsize,
    sockets: Mutex<HashMap<u64, Connection>>,
    next: AtomicU64,
    fewer: Notify,
}

struct Connection {
    closer: Closer,
    /// None for a moment after it is accepted.
    task: Option<AbortHandle>,
}

/// The protocol settings of connections, and the app that they serve.
#[derive(Clone)]
pub(super) struct Protocol {
    app: Router,
    builder: auto::Builder<Streams>,
    head_time: Duration,
}

impl Connections {
    pub(super) fn new() -> Self {
        Connections(Arc::new(Shared {
            phase: watch::Sender::new(Phase::Serving),
            is_listening: AtomicBool::new(true),
            tasks: AtomicUsize::new(0),
            sockets: Mutex::default(),
            next: AtomicU64::new(0),
            fewer: Notify::new(),
        }))
    }

    /// Accepts and serves connections until the phase is no longer `Serving`.
    pub(super) async fn accept(&self, mut acceptor: Acceptor, protocol: &Protocol) {
        let mut phase = self.0.phase.subscribe();
        let is_over = async {
            // The sender is in `self`.
            let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
        };
        tokio::pin!(is_over);
        loop {
            tokio::select! {
                () = &mut is_over => break,
                accepted = acceptor.accept() => self.open(accepted.stream, accepted.peer, protocol),
            }
        }
        // These clients are already connected from their point of view.
        for _ in 0..MOST_WAITING {
            match acceptor.accept_waiting().await {
                Some(accepted) => self.open(accepted.stream, accepted.peer, protocol),
                None => break,
            }
        }
        drop(acceptor);
        self.close();
    }

    /// Marks that no more connections come.
    fn close(&self) {
        // Release: pairs with the Acquire in `are_open`, which then sees the tasks of all connections.
        self.0.is_listening.store(false, Ordering::Release);
        self.0.fewer.notify_waiters();
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr, protocol: &Protocol) {
        // Responses are written in few pieces; none of them should wait for an acknowledgment.
        let _ = stream.set_nodelay(true);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let socket = Socket::new(stream, |closer| {
            let connection = Connection { closer, task: None };
            self.sockets().insert(id, connection);
            Open {
                connections: self.clone(),
                id,
            }
        });
        let (counted, protocol) = (Task::new(self.clone()), protocol.clone());
        let task = async move { counted.0.serve(socket, peer, protocol).await };
        // Not under the lock: a runtime that shuts down drops the task at once, and with it the
        // socket.
        let task = tokio::spawn(task).abort_handle();
        if let Some(connection) = self.sockets().get_mut(&id) {
            if *self.0.phase.borrow() == Phase::Cut {
                task.abort();
            }
            connection.task = Some(task);
        }
    }

    async fn serve(&self, socket: Socket<Open>, peer: SocketAddr, protocol: Protocol) {
        let has_spoken = socket.has_spoken();
        let app = protocol.app;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = app.clone().call(request);
            async move { Ok::<_, Infallible>(response.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = protocol
            .builder
            .serve_connection_with_upgrades(TokioIo::new(socket), service);
        tokio::pin!(connection);
        // The time limit of the head starts when the protocol is known.
        let says_nothing = async {
            sleep(protocol.head_time).await;
            if has_spoken.load(Ordering::Relaxed) {
                pending().await
            }
        };
        let mut phase = self.0.phase.subscribe();
        // An error means that the client left, or broke the protocol; the service does not handle it.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => {}
            () = says_nothing => return,
        }
        if !has_spoken.load(Ordering::Relaxed) {
            // The client may have sent a request that is not read yet.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = sleep(FIRST_BYTES) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    /// Accepts no new connections, and lets each one end after its current request.
    pub(super) fn finish(&self) {
        self.0.phase.send_replace(Phase::Finishing);
    }

    /// Waits until all connections are closed.
    pub(super) async fn ended(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            tokio::pin!(fewer);
            fewer.as_mut().enable();
            if !self.are_open() {
                return;
            }
            fewer.await;
        }
    }

    fn are_open(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.0.is_listening.load(Ordering::Acquire)
            || self.tasks() > 0
            || !self.sockets().is_empty()
    }

    /// Closes all connections, whatever they do. Clients notice at once, even if the runtime is
    /// blocked.
    pub(super) fn cut(&self) {
        self.0.phase.send_replace(Phase::Cut);
        self.close();
        for connection in self.sockets().values() {
            connection.closer.close();
            if let Some(task) = &connection.task {
                task.abort();
            }
        }
    }

    /// Waits until all aborted tasks have ended. Those whose thread is blocked do not end.
    pub(super) async fn tasks_ended(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            tokio::pin!(fewer);
            fewer.as_mut().enable();
            if self.tasks() == 0 {
                return;
            }
            fewer.await;
        }
    }

    /// Returns the number of connections and streams being served.
    pub(super) fn tasks(&self) -> usize {
        // Acquire: pairs with the Release in `Task::drop`.
        self.0.tasks.load(Ordering::Acquire)
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        let sockets = self.0.sockets.lock();
        sockets.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Protocol {
    pub(super) fn new(app: Router, connections: &Connections, head_time: Duration) -> Self {
        let mut builder = auto::Builder::new(Streams(connections.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(MOST_HEADERS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            // Websockets over HTTP/2 (RFC 8441).
            .enable_connect_protocol();
        Protocol {
            app,
            builder,
            head_time,
        }
    }
}

/// Spawns the tasks of HTTP/2 streams.
#[derive(Clone)]
pub(super) struct Streams(Connections);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let counted = Task::new(self.0.clone());
        tokio::spawn(async move {
            let mut phase = counted.0.0.phase.subscribe();
            tokio::select! {
                biased;
                () = stream => {}
                _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
            }
        });
    }
}

/// Counts a task, until dropped.
struct Task(Connections);

impl Task {
    fn new(connections: Connections) -> Self {
        connections.0.tasks.fetch_add(1, Ordering::Relaxed);
        Task(connections)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `tasks`.
        if self.0.0.tasks.fetch_sub(1, Ordering::Release) == 1 {
            self.0.0.fewer.notify_waiters();
        }
    }
}

/// Counts a socket, until dropped.
struct Open {
    connections: Connections,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut sockets = self.connections.sockets();
        sockets.remove(&self.id);
        if sockets.is_empty() {
            self.connections.0.fewer.notify_waiters();
        }
    }
}

/// The maximum number of connections accepted at the end because they were already waiting.
const MOST_WAITING: usize = 4096;
/// The time that a client that has sent nothing has to begin when the service ends.
const FIRST_BYTES: Duration = Duration::from_millis(200);
/// The maximum number of concurrent streams of an HTTP/2 connection.
const MOST_STREAMS: u32 = 256;
/// The maximum size in bytes of the headers of an HTTP/2 request.
const MOST_HEADERS: u32 = 64 * 1024;
/// The interval of keep-alive pings on an HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The time that the response to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
