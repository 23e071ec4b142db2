//! Accepts connections, also while the process has no free file descriptor.
//!
//! An error of `accept` never ends a listener: it is counted, logged once, and tried again after a
//! pause. A [`Reserve`] is a descriptor that is released for a single connection when none is free,
//! so that `/health` still answers.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::diagnostics;
use crate::self_metrics::{Listener, SelfMetrics};

/// A listener that handles accept errors.
pub(crate) struct Acceptor {
    listener: TcpListener,
    of: Listener,
    own: Option<Arc<SelfMetrics>>,
    reserve: Option<Reserve>,
    trouble: Option<Trouble>,
}

/// A period in which connections cannot be accepted.
#[derive(Clone, Copy)]
struct Trouble {
    began: Instant,
    last: Instant,
}

/// An accepted connection.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Set if the connection uses the descriptor of the reserve, which is refilled when this is
    /// dropped. Drop it after the stream, and soon.
    pub(crate) reserve: Option<Borrowed>,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, of: Listener, own: Option<Arc<SelfMetrics>>) -> Self {
        // Raises a backlog that is too small. The system may cap it, and some do not accept a second
        // call.
        let _ = SockRef::from(&listener).listen(of.backlog());
        Acceptor {
            listener,
            of,
            own,
            reserve: None,
            trouble: None,
        }
    }

    /// Sets the reserve, whose descriptor is used to accept one connection at a time when no other
    /// descriptor is free.
    pub(crate) fn with_reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Returns the next connection. Cancel safe: no connection is lost.
    pub(crate) async fn accept(&mut self) -> Accepted {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.recover();
                    let reserve = self.reserve.as_ref().and_then(Reserve::lend_if_missing);
                    return Accepted {
                        stream,
                        peer,
                        reserve,
                    };
                }
                // The client disconnected before the connection was accepted.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.fail(&error);
                    if let Some(accepted) = self.accept_with_reserve().await {
                        return accepted;
                    }
                    match &self.reserve {
                        Some(reserve) => reserve.wait().await,
                        None => sleep(PAUSE).await,
                    }
                }
            }
        }
    }

    /// Returns a connection that is already waiting; None if there is none.
    #[cfg(feature = "axum")]
    pub(crate) async fn accept_waiting(&mut self) -> Option<Accepted> {
        tokio::select! {
            biased;
            accepted = self.accept() => Some(accepted),
            () = tokio::task::yield_now() => None,
        }
    }

    async fn accept_with_reserve(&mut self) -> Option<Accepted> {
        let borrowed = self.reserve.as_ref()?.borrow()?;
        let listener = &self.listener;
        match poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
            Poll::Ready(Ok((stream, peer))) => Some(Accepted {
                stream,
                peer,
                reserve: Some(borrowed),
            }),
            // Another thread has taken the descriptor meanwhile.
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if let Some(own) = &self.own {
            own.accept_failed(self.of);
        }
        let last = Instant::now();
        match &mut self.trouble {
            Some(trouble) => trouble.last = last,
            None => {
                let of = self.of;
                self.trouble = Some(Trouble { began: last, last });
                diagnostics::warn(&format_args!(
                    "connections to {of} cannot be accepted: {error}; it is tried again, and said \
                     when it is over"
                ));
            }
        }
    }

    /// Logs the recovery once it has lasted: at the descriptor limit, errors begin and end many
    /// times.
    fn recover(&mut self) {
        let Some(trouble) = self.trouble.filter(|t| t.last.elapsed() >= QUIET) else {
            return;
        };
        self.trouble = None;
        let (of, seconds) = (self.of, (trouble.last - trouble.began).as_secs());
        diagnostics::warn(&format_args!(
            "connections to {of} are accepted again, after {seconds} s"
        ));
    }
}

impl Listener {
    /// Returns the length of the accept queue; the system's own limit is 4096 on Linux, 128 on macOS.
    ///
    /// A connection that finds the queue full is retried by its client a second later. A long queue
    /// takes long to drain: the one thread of the admin port accepts some 80,000 connections a second,
    /// and `/health` has to be answered in 50 ms during a flood of connections.
    fn backlog(self) -> i32 {
        match self {
            Listener::Admin => 2048,
            #[cfg(feature = "axum")]
            Listener::Service => 4096,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Listener::Admin => "the admin port",
            #[cfg(feature = "axum")]
            Listener::Service => "the service",
        })
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

/// A descriptor that is released when no other is free. Clones share it.
#[derive(Clone)]
pub(crate) struct Reserve(Arc<Held>);

struct Held {
    /// The descriptors of the reserve are duplicates of this one, so that nothing has to be opened.
    source: Arc<std::net::TcpListener>,
    spare: Mutex<Option<std::net::TcpListener>>,
    is_back: tokio::sync::Notify,
}

impl Reserve {
    pub(crate) fn new(source: Arc<std::net::TcpListener>) -> Self {
        let reserve = Reserve(Arc::new(Held {
            source,
            spare: Mutex::new(None),
            is_back: tokio::sync::Notify::new(),
        }));
        reserve.fill();
        reserve
    }

    /// Releases the descriptor, if there is one.
    fn borrow(&self) -> Option<Borrowed> {
        let mut spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        drop(spare.take()?);
        Some(Borrowed(self.clone()))
    }

    /// Counts the descriptor of an accepted connection as that of the reserve, if the reserve is
    /// empty and cannot be refilled: another thread of the process took the released descriptor for a
    /// moment.
    fn lend_if_missing(&self) -> Option<Borrowed> {
        self.fill();
        let spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.is_none().then(|| Borrowed(self.clone()))
    }

    fn fill(&self) {
        let mut spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            *spare = self.0.source.try_clone().ok();
        }
    }

    /// Waits until another try may succeed.
    async fn wait(&self) {
        tokio::select! {
            () = self.0.is_back.notified() => {}
            () = sleep(PAUSE) => self.fill(),
        }
    }
}

/// The descriptor of a [`Reserve`], in use.
pub(crate) struct Borrowed(Reserve);

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.fill();
        self.0.0.is_back.notify_one();
    }
}

/// The pause after an accept error.
const PAUSE: Duration = Duration::from_millis(50);
/// The time without accept errors after which the failure counts as over.
const QUIET: Duration = Duration::from_secs(5);
