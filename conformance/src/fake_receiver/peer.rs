//! The connection to a client, and the operations on it.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    Shared,
    behavior::{Behavior, Hook},
};

/// The interval at which a waiting connection checks whether it is still needed.
const LOOK: Duration = Duration::from_millis(20);
/// The pause between two pieces of a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(2);
/// The size of a single read.
const CHUNK: usize = 64 << 10;

/// A connected client.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// The turn of the behavior that began last on this connection.
    turn: u64,
    buffer: Vec<u8>,
    /// The HTTP/2 stream of the current request.
    pub(super) request: u32,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let able = "a socket takes options";
        stream.set_nonblocking(false).expect(able);
        stream.set_nodelay(true).expect(able);
        stream.set_read_timeout(Some(LOOK)).expect(able);
        stream.set_write_timeout(Some(LOOK)).expect(able);
        let turn = shared.behavior().1;
        Self {
            stream,
            shared,
            turn,
            buffer: Vec::new(),
            request: 0,
        }
    }

    /// The error that a hook returns when it has finished, to close the connection.
    pub fn done() -> io::Error {
        ErrorKind::ConnectionAborted.into()
    }

    /// The HTTP/2 stream of the current request.
    pub fn request(&self) -> u32 {
        self.request
    }

    /// Returns true while the behavior that began last on this connection is still the current one.
    pub fn goes_on(&self) -> bool {
        !self.shared.is_over() && self.shared.behavior().1 == self.turn
    }

    /// Writes all of the bytes.
    ///
    /// # Errors
    ///
    /// Fails if the client has closed, or reads nothing until the behavior changes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => rest = &rest[length..],
                Err(error) if is_timeout(&error) && self.goes_on() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes the same bytes repeatedly until the behavior changes, some megabytes per second. A
    /// higher rate would be a test of the machine.
    ///
    /// # Errors
    ///
    /// Fails if the client closes the connection.
    pub fn flood(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Pieces large enough to be worth a system call.
        let piece = bytes.repeat(1 + (16 << 10) / bytes.len().max(1));
        while self.goes_on() {
            self.write(&piece)?;
            thread::sleep(FLOOD_PAUSE);
        }
        Ok(())
    }

    /// Writes one byte at a time, with a pause after each, until the behavior changes.
    ///
    /// # Errors
    ///
    /// Fails if the client closes the connection.
    pub fn drip(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            if !self.goes_on() {
                break;
            }
            self.write(&[*byte])?;
            thread::sleep(pause);
        }
        self.hold()
    }

    /// Reads, but writes nothing, until the client closes the connection, or for some time after
    /// the behavior changed.
    ///
    /// # Errors
    ///
    /// Fails once that has happened.
    pub fn hold(&mut self) -> io::Result<()> {
        const LONGER: Duration = Duration::from_secs(2);
        let mut begun = Instant::now();
        let mut chunk = vec![0; CHUNK];
        while begun.elapsed() < LONGER && !self.shared.is_over() {
            if self.goes_on() {
                begun = Instant::now();
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Self::done())
    }

    /// Neither reads nor writes until the behavior changes.
    ///
    /// # Errors
    ///
    /// Always fails, since the connection ends then.
    pub fn ignore(&mut self) -> io::Result<()> {
        while self.goes_on() {
            thread::sleep(LOOK);
        }
        Err(Self::done())
    }

    /// Runs the current behavior on a new connection, if it has a hook for that.
    pub(super) fn greet(&mut self, hook: fn(&Behavior) -> &Option<Hook>) -> io::Result<()> {
        let (behavior, turn) = self.shared.behavior();
        self.turn = turn;
        match hook(&behavior) {
            Some(hook) => self.run(hook),
            None => Ok(()),
        }
    }

    /// Returns the hook of the current behavior for a request, or `None` if it is the good one.
    /// Fails if the behavior needs a new connection.
    pub(super) fn on_request(&mut self) -> io::Result<Option<Hook>> {
        let (behavior, turn) = self.shared.behavior();
        if turn != self.turn && behavior.needs_new_connection() {
            return Err(Self::done());
        }
        self.turn = turn;
        Ok(behavior.on_request.clone())
    }

    pub(super) fn run(&mut self, hook: &Hook) -> io::Result<()> {
        self.shared.met.fetch_add(1, Ordering::Relaxed);
        hook(self)
    }

    pub(super) fn take(&self, body: &[u8]) {
        self.shared.take(body);
    }

    /// The bytes that were read and not yet consumed.
    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Removes this number of bytes from the buffer and returns them.
    pub(super) fn consume(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    pub(super) fn starts_with(&self, bytes: &[u8]) -> bool {
        self.buffer.starts_with(bytes)
    }

    /// Reads until the buffer has at least this number of bytes.
    pub(super) fn fill_to(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(())
    }

    /// Reads more bytes. Fails when the connection is no longer needed.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.buffer.extend(&chunk[..length]);
                    return Ok(());
                }
                Err(error) if is_timeout(&error) => {
                    let (behavior, turn) = self.shared.behavior();
                    let is_stale = turn != self.turn && behavior.needs_new_connection();
                    if is_stale || self.shared.is_over() {
                        return Err(Self::done());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
