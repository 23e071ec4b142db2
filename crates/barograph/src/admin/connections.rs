//! The open connections of the admin pages, and the choice of one to close when there are too many.
//!
//! Idle connections make room. Of the connections on which no page is sent or waited for, the oldest
//! one of the peer with the most connections is closed. There is always one, since the pages being
//! sent and the requests that wait for one are fewer than the connections.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::accept::Accepted;
use crate::admin::page_slots::{self, Activity};
use crate::admin::routes::{On, Routes};
use crate::admin::write_timeout::WriteTimeout;
use crate::self_metrics::AdminFailure;

/// Serves connections, up to a limit.
pub(super) struct Connections {
    routes: Routes,
    listener: SocketAddr,
    graceful: GracefulShutdown,
    /// The oldest first.
    open: VecDeque<Connection>,
}

struct Connection {
    task: AbortHandle,
    peer: IpAddr,
    activity: Arc<Activity>,
}

/// The connections of one peer.
#[derive(Default)]
struct Peer {
    connections: usize,
    /// The positions of the idle ones, the oldest first.
    idle: VecDeque<usize>,
}

impl Connections {
    pub(super) fn new(routes: Routes, listener: SocketAddr) -> Self {
        Connections {
            routes,
            listener,
            graceful: GracefulShutdown::new(),
            open: VecDeque::new(),
        }
    }

    /// Serves a connection.
    pub(super) fn open(&mut self, accepted: Accepted) {
        let Accepted {
            stream,
            peer,
            reserve,
        } = accepted;
        if self.open.len() >= MOST_CONNECTIONS {
            self.make_room();
        }
        // Chunks are large; only their last part would wait for an acknowledgment.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::default());
        let on = On {
            listener: self.listener,
            activity: Arc::clone(&activity),
            is_last: reserve.is_some(),
        };
        let is_last = on.is_last;
        let routes = self.routes.clone();
        let service = service_fn(move |request| {
            let (routes, on) = (routes.clone(), on.clone());
            async move { Ok::<_, Infallible>(routes.answer(request, &on).await) }
        });
        let stream = WriteTimeout::new(stream, WRITE_TIME, Arc::clone(&activity));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .keep_alive(!is_last)
            .serve_connection(TokioIo::new(stream), service);
        let stats = self.graceful.watch(connection);
        let until_cut = Arc::clone(&activity);
        let task = tokio::spawn(async move {
            // The client left, or was too slow; the scrape has counted it.
            let served = async {
                tokio::select! {
                    _ = stats => {}
                    () = until_cut.cut() => {}
                }
            };
            match is_last {
                true => drop(timeout(LAST_TIME, served).await),
                false => served.await,
            }
            drop(reserve);
        });
        self.open.push_back(Connection {
            task: task.abort_handle(),
            peer: peer.ip(),
            activity,
        });
    }

    /// Closes idle connections until there is room for several more.
    fn make_room(&mut self) {
        self.open
            .retain(|connection| !connection.task.is_finished());
        // Addresses are counted once for all closed connections: a flood causes this at every
        // sixteenth connection only.
        let mut peers: HashMap<IpAddr, Peer> = HashMap::new();
        for (at, connection) in self.open.iter().enumerate() {
            let peer = peers.entry(connection.peer).or_default();
            peer.connections += 1;
            if !connection.activity.is_busy() {
                peer.idle.push_back(at);
            }
        }
        let mut evicted = Vec::new();
        for _ in ROOM_FOR..self.open.len() {
            let with_idle = peers
                .values_mut()
                .filter_map(|peer| peer.idle.front().copied().map(|oldest| (oldest, peer)));
            let Some((oldest, peer)) =
                with_idle.max_by_key(|(oldest, peer)| (peer.connections, Reverse(*oldest)))
            else {
                break;
            };
            peer.connections -= 1;
            peer.idle.pop_front();
            evicted.push(oldest);
        }
        // From the last position on, so that the other positions stay valid.
        evicted.sort_unstable_by_key(|at| Reverse(*at));
        for connection in evicted.into_iter().filter_map(|at| self.open.remove(at)) {
            connection.task.abort();
            self.routes.failed(AdminFailure::Evicted);
        }
    }

    /// Answers the pending requests, and closes.
    pub(super) async fn close(self) {
        self.graceful.shutdown().await;
    }
}

/// The maximum number of connections at once.
const MOST_CONNECTIONS: usize = 512;
/// The number of connections left after making room. Several are closed at once, since the search is
/// slow.
const ROOM_FOR: usize = MOST_CONNECTIONS - 16;
const _: () = assert!(page_slots::MOST_PAGES + page_slots::MOST_WAITING < ROOM_FOR);
/// The time that a request head may take, and that a connection may idle: longer than the scrape
/// interval.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// The total time of a connection that uses the last file descriptor.
const LAST_TIME: Duration = Duration::from_millis(250);
/// The time that a full buffer may take to be read.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// The maximum number of bytes buffered for a client.
const BUFFER: usize = 128 * 1024;
