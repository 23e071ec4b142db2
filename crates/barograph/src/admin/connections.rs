//! The open connections of the admin pages, and who has to go when there are too many.
//!
//! Room is made by whoever idles: a connection on which no page is sent or waited for, of the peer that
//! has most, and of those the oldest. There is always one, since pages under way and requests that wait
//! for one are fewer than connections.

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
use crate::admin::patience::Patience;
use crate::admin::places::{self, Activity};
use crate::admin::routes::{On, Routes};
use crate::own::AdminFailure;

/// Serves connections, a bounded number of them.
pub(super) struct Connections {
    routes: Routes,
    listener: SocketAddr,
    graceful: GracefulShutdown,
    /// From the oldest on.
    open: VecDeque<Connection>,
}

struct Connection {
    task: AbortHandle,
    peer: IpAddr,
    activity: Arc<Activity>,
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
        let stream = Patience::new(stream, WRITE_TIME, Arc::clone(&activity));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .keep_alive(!is_last)
            .serve_connection(TokioIo::new(stream), service);
        let watched = self.graceful.watch(connection);
        let until_cut = Arc::clone(&activity);
        let task = tokio::spawn(async move {
            // A reader who left, or was given up; the scrape counted it.
            let served = async {
                tokio::select! {
                    _ = watched => {}
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

    fn make_room(&mut self) {
        self.open
            .retain(|connection| !connection.task.is_finished());
        let mut peers: HashMap<IpAddr, usize> = HashMap::new();
        for connection in &self.open {
            *peers.entry(connection.peer).or_default() += 1;
        }
        let mut too_many = self.open.len().saturating_sub(ROOM_FOR);
        while too_many > 0 {
            let idle = self.open.iter().enumerate();
            let idle = idle.filter(|(_, connection)| !connection.activity.is_busy());
            // Of the same number the first one, so the oldest.
            let idle = idle
                .rev()
                .max_by_key(|(_, connection)| peers.get(&connection.peer));
            let Some(connection) = idle.map(|(at, _)| at).and_then(|at| self.open.remove(at))
            else {
                return;
            };
            if let Some(count) = peers.get_mut(&connection.peer) {
                *count -= 1;
            }
            connection.task.abort();
            self.routes.failed(AdminFailure::Evicted);
            too_many -= 1;
        }
    }

    /// Answers what was asked, and closes.
    pub(super) async fn close(self) {
        self.graceful.shutdown().await;
    }
}

/// Connections at once.
const MOST_CONNECTIONS: usize = 512;
/// How many are left when room was made: for some at once, since looking for them takes its time.
const ROOM_FOR: usize = MOST_CONNECTIONS - 16;
const _: () = assert!(places::MOST_PAGES + places::MOST_WAITING < ROOM_FOR);
/// How long a head may take, and how long a connection may idle: longer than scrapers pause.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// How long a connection may take in all that has the last file descriptor.
const LAST_TIME: Duration = Duration::from_millis(250);
/// How long a full buffer may take to be read.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// The most that is buffered for a reader.
const BUFFER: usize = 128 * 1024;
