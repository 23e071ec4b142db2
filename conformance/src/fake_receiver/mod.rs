//! An OTLP receiver with a configurable behavior: correct, or one of many ways to misbehave that no
//! client may suffer from.
//!
//! It does not validate requests, as [`crate::receiver`] does. It accepts a request in any form and
//! counts it as taken once it has sent a success response.

mod peer;
mod behavior;
mod http1;
mod http2;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use self::{
    behavior::{Behavior, Hook},
    http1::{behaviors as http1_behaviors, pauses as http1_pauses},
    http2::{behaviors as http2_behaviors, pauses as grpc_pauses},
    peer::Peer,
};
use crate::frames::PREFACE;

const PAUSE: Duration = Duration::from_millis(5);

/// A receiver on the loopback interface, with HTTP/1 and HTTP/2 on one port.
#[derive(Debug)]
pub struct FakeReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// The state that all connections of a receiver share.
#[derive(Debug)]
struct Shared {
    behavior: Mutex<Arc<Behavior>>,
    /// Incremented whenever the behavior changes.
    turn: AtomicU64,
    is_over: AtomicBool,
    /// The number of times that a hook of the current behavior was run.
    met: AtomicU64,
    /// The number of requests that got a success response.
    taken: AtomicU64,
    /// The bodies of those requests, concatenated; `None` if they are not kept.
    kept: Mutex<Option<Vec<u8>>>,
}

impl FakeReceiver {
    /// Starts a receiver that behaves correctly.
    ///
    /// # Panics
    ///
    /// Panics if no port is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address that was bound");
        let mut receiver = Self {
            address,
            shared: Arc::new(Shared {
                behavior: Mutex::new(Arc::new(Behavior::good())),
                turn: AtomicU64::new(0),
                is_over: AtomicBool::new(false),
                met: AtomicU64::new(0),
                taken: AtomicU64::new(0),
                kept: Mutex::new(None),
            }),
            accepting: None,
        };
        receiver.accept(listener);
        receiver
    }

    /// Starts a receiver that behaves correctly and keeps the bodies that it accepts.
    pub fn that_keeps_bodies() -> Self {
        let receiver = Self::start();
        *lock(&receiver.shared.kept) = Some(Vec::new());
        receiver
    }

    /// The URL of the receiver.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the behavior.
    pub fn behave(&self, behavior: &Behavior) {
        let mut present = lock(&self.shared.behavior);
        *present = Arc::new(behavior.clone());
        self.shared.met.store(0, Ordering::Relaxed);
        self.shared.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of times that a client has met the current behavior, unless it is the good one.
    pub fn met(&self) -> u64 {
        self.shared.met.load(Ordering::Relaxed)
    }

    /// The number of requests that got a success response.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Returns true if the kept bodies contain this text.
    pub fn has(&self, text: &str) -> bool {
        let kept = lock(&self.shared.kept);
        let mut windows = kept.iter().flat_map(|kept| kept.windows(text.len()));
        windows.any(|window| window == text.as_bytes())
    }

    /// The number of times that the kept bodies contain this text.
    pub fn count(&self, text: &str) -> usize {
        let kept = lock(&self.shared.kept);
        let windows = kept.iter().flat_map(|kept| kept.windows(text.len()));
        windows.filter(|window| *window == text.as_bytes()).count()
    }

    /// Closes the port and all connections.
    ///
    /// # Panics
    ///
    /// Panics if a connection's thread has panicked.
    pub fn stop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("accepting does not panic");
        }
    }

    /// Opens the same port again.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be bound.
    pub fn resume(&mut self) {
        self.stop();
        let listener = TcpListener::bind(self.address).expect("the port that it had");
        self.shared.is_over.store(false, Ordering::Relaxed);
        self.accept(listener);
    }

    fn accept(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let pause = "a listener can be told not to wait";
        listener.set_nonblocking(true).expect(pause);
        self.accepting = Some(thread::spawn(move || {
            let mut connections: Vec<JoinHandle<()>> = Vec::new();
            while !shared.is_over() {
                connections.retain(|connection| !connection.is_finished());
                match listener.accept() {
                    Ok((stream, _)) => {
                        let peer = Peer::new(stream, Arc::clone(&shared));
                        connections.push(thread::spawn(move || converse(peer)));
                    }
                    Err(_) => thread::sleep(PAUSE),
                }
            }
            for connection in connections {
                connection.join().expect("a connection does not panic");
            }
        }));
    }
}

impl Drop for FakeReceiver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The current behavior and its turn.
    fn behavior(&self) -> (Arc<Behavior>, u64) {
        let behavior = lock(&self.behavior);
        (Arc::clone(&behavior), self.turn.load(Ordering::Relaxed))
    }

    fn take(&self, body: &[u8]) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(kept) = &mut *lock(&self.kept) {
            kept.extend(body);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a connection until either side closes it.
fn converse(mut peer: Peer) {
    // Errors are ignored: most behaviors make the client close the connection.
    let _ = (|| {
        peer.greet(|behavior| &behavior.on_accept)?;
        peer.fill_to(4)?;
        match peer.starts_with(&PREFACE[..4]) {
            true => http2::serve(&mut peer),
            false => http1::serve(&mut peer),
        }
    })();
}
