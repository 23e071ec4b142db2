//! The connections of a service: accepted, served, counted, and ended.
//!
//! What counts is what is open: a connection as long as its socket is, so also when a handler has
//! taken it over (a websocket), and each task that serves one. They all follow a [`Phase`], which
//! whoever ends the service sets, from another thread if need be.

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

/// What is asked of connections. The order is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// New ones come in.
    Serving,
    /// None comes in any more; each ends after what it does now.
    Finishing,
    /// They end at once.
    Cut,
}

/// The connections of a service. Clones are the same.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    phase: watch::Sender<Phase>,
    /// Whether more may come.
    is_listening: AtomicBool,
    /// Connections and streams that are served.
    tasks: AtomicUsize,
    sockets: Mutex<HashMap<u64, Connection>>,
    next: AtomicU64,
    fewer: Notify,
}

struct Connection {
    closer: Closer,
    /// None for a moment at its begin.
    task: Option<AbortHandle>,
}

/// How connections are served.
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

    /// Serves what comes in until no more shall.
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
        // These clients believe that they are connected.
        for _ in 0..MOST_WAITING {
            match acceptor.accept_waiting().await {
                Some(accepted) => self.open(accepted.stream, accepted.peer, protocol),
                None => break,
            }
        }
        drop(acceptor);
        self.close();
    }

    /// No more come.
    fn close(&self) {
        // Release: pairs with the Acquire in `are_open`, which then sees the tasks of all connections.
        self.0.is_listening.store(false, Ordering::Release);
        self.0.fewer.notify_waiters();
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr, protocol: &Protocol) {
        // Responses are written in few pieces; none should wait for an acknowledgment.
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
        // Not under the lock: a runtime that ends drops the task at once, and with it the socket.
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
        // The limit for a head begins when the protocol is known.
        let says_nothing = async {
            sleep(protocol.head_time).await;
            if has_spoken.load(Ordering::Relaxed) {
                pending().await
            }
        };
        let mut phase = self.0.phase.subscribe();
        // An error says that the client left, or broke the protocol: no matter of the service.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => {}
            () = says_nothing => return,
        }
        if !has_spoken.load(Ordering::Relaxed) {
            // It may have asked for something which is not read yet.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = sleep(FIRST_BYTES) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    /// Takes no new connections, and lets each end after what it does now.
    pub(super) fn finish(&self) {
        self.0.phase.send_replace(Phase::Finishing);
    }

    /// Waits until none is left.
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

    /// Ends all of them, whatever they do. Clients see it at once, also where the runtime is blocked.
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

    /// Waits until no task is left that was cut: all but those whose thread is blocked.
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

    /// Connections and streams that are served now.
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

/// Spawns what serves a stream of HTTP/2.
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

/// Connections that are accepted at the end because they waited before it.
const MOST_WAITING: usize = 4096;
/// How long a client that has said nothing has to begin when the service ends.
const FIRST_BYTES: Duration = Duration::from_millis(200);
/// Streams of one connection of HTTP/2 at once.
const MOST_STREAMS: u32 = 256;
/// Bytes of the headers of one request of HTTP/2.
const MOST_HEADERS: u32 = 64 * 1024;
/// How often a connection of HTTP/2 is asked whether anybody is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
