//! Accepting connections, also while the process has no file descriptor left.
//!
//! An error of `accept` never ends a listener: it is counted, said once, and tried again after a
//! pause. A [`Reserve`] is a descriptor that is given up for a single connection when none is left, so
//! that `/health` answers all the same.

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
use crate::own::{Listener, Own};

/// A listener whose errors are looked after.
pub(crate) struct Acceptor {
    listener: TcpListener,
    of: Listener,
    own: Option<Arc<Own>>,
    reserve: Option<Reserve>,
    trouble: Option<Trouble>,
}

/// A time in which connections cannot be accepted.
#[derive(Clone, Copy)]
struct Trouble {
    began: Instant,
    last: Instant,
}

/// A connection that was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Set where it has the descriptor of the reserve, to which it goes back when this is dropped: so
    /// after the stream, and soon.
    pub(crate) reserve: Option<Borrowed>,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, of: Listener, own: Option<Arc<Own>>) -> Self {
        // Raised where it was too low; the system may cap it, and some take no second one.
        let _ = SockRef::from(&listener).listen(BACKLOG);
        Acceptor {
            listener,
            of,
            own,
            reserve: None,
            trouble: None,
        }
    }

    /// Accepts one connection at a time with the descriptor of this reserve when there is no other.
    pub(crate) fn with_reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// The next connection. Nothing is lost when it is no longer waited for.
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
                // The client left before it was accepted.
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

    /// A connection that waits already; none where there is no such.
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
            // Somebody else was faster with the descriptor.
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

    /// Says that it is over, when it was for a while: at the edge it begins and ends many times.
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

/// A descriptor that is given up when no other is left. Clones are the same.
#[derive(Clone)]
pub(crate) struct Reserve(Arc<Held>);

struct Held {
    /// What descriptors of the reserve are made of. It need not be opened, only duplicated.
    source: Arc<std::net::TcpListener>,
    held: Mutex<Option<std::net::TcpListener>>,
    is_back: tokio::sync::Notify,
}

impl Reserve {
    pub(crate) fn new(source: Arc<std::net::TcpListener>) -> Self {
        let reserve = Reserve(Arc::new(Held {
            source,
            held: Mutex::new(None),
            is_back: tokio::sync::Notify::new(),
        }));
        reserve.fill();
        reserve
    }

    /// Gives the descriptor up, if there is one.
    fn borrow(&self) -> Option<Borrowed> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(held.take()?);
        Some(Borrowed(self.clone()))
    }

    /// Counts a descriptor that was got otherwise as that of the reserve, where that is gone and there
    /// is no other: something else in the process took it for a moment while it was given up.
    fn lend_if_missing(&self) -> Option<Borrowed> {
        self.fill();
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.is_none().then(|| Borrowed(self.clone()))
    }

    fn fill(&self) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = self.0.source.try_clone().ok();
        }
    }

    /// Waits until it is worth another try.
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

/// Connections that wait to be accepted; the system's own limit is 4096 on Linux, 128 on macOS.
const BACKLOG: i32 = 4096;
/// How long to wait after connections could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);
/// How long connections have to be accepted before the trouble is over.
const QUIET: Duration = Duration::from_secs(5);
