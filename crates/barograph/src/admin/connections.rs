//! The open connections of the admin pages, and who has to go when there are too many.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::admin::patience::Patience;
use crate::admin::routes::Routes;

/// Serves connections, a bounded number of them.
pub(super) struct Connections {
    routes: Routes,
    graceful: GracefulShutdown,
    /// From the oldest on.
    open: VecDeque<Connection>,
}

struct Connection {
    task: AbortHandle,
    busy: Arc<AtomicBool>,
}

impl Connections {
    pub(super) fn new(routes: Routes) -> Self {
        Connections {
            routes,
            graceful: GracefulShutdown::new(),
            open: VecDeque::new(),
        }
    }

    /// Serves a connection. Where there are too many the oldest one without a page under way makes
    /// room, so that connections which do nothing keep no scraper out.
    pub(super) fn open(&mut self, stream: TcpStream) {
        self.open
            .retain(|connection| !connection.task.is_finished());
        if self.open.len() >= MOST_CONNECTIONS {
            let is_idle = |connection: &Connection| !connection.busy.load(Ordering::Relaxed);
            let Some(idle) = self.open.iter().position(is_idle) else {
                return;
            };
            if let Some(connection) = self.open.remove(idle) {
                connection.task.abort();
            }
        }
        // Chunks are large; only their last part would wait for an acknowledgment.
        let _ = stream.set_nodelay(true);
        let busy = Arc::new(AtomicBool::new(false));
        let (routes, on_this) = (self.routes.clone(), Arc::clone(&busy));
        let service = service_fn(move |request| {
            let (routes, on_this) = (routes.clone(), Arc::clone(&on_this));
            async move { Ok::<_, Infallible>(routes.answer(request, &on_this).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Patience::new(stream, WRITE_TIME)), service);
        let watched = self.graceful.watch(connection);
        let task = tokio::spawn(async move {
            // A reader who left, or was given up; the scrape counted it.
            let _ = watched.await;
        });
        self.open.push_back(Connection {
            task: task.abort_handle(),
            busy,
        });
    }

    /// Answers what was asked, and closes.
    pub(super) async fn close(self) {
        self.graceful.shutdown().await;
    }
}

/// Connections at once.
const MOST_CONNECTIONS: usize = 64;
/// How long a head may take, and how long a connection may idle: longer than scrapers pause.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// How long a full buffer may take to be read.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// The most that is buffered for a reader.
const BUFFER: usize = 128 * 1024;
