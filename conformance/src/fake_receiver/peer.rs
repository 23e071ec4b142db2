//! The connection to a client, and what can be done to it.

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

/// How often a connection that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);
/// Between two pieces of a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(2);
/// What is read at once.
const CHUNK: usize = 64 << 10;

/// A client that has connected.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// The turn of the behavior that began last.
    turn: u64,
    buffer: Vec<u8>,
    /// The stream of HTTP/2 whose request is there.
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

    /// The error of who has done what it wanted to.
    pub fn done() -> io::Error {
        ErrorKind::ConnectionAborted.into()
    }

    /// The stream of HTTP/2 whose request is there.
    pub fn request(&self) -> u32 {
        self.request
    }

    /// Whether the behavior that began last is still the present one.
    pub fn goes_on(&self) -> bool {
        !self.shared.is_over() && self.shared.behavior().1 == self.turn
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// When the client has closed, or reads nothing until another behavior begins.
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

    /// Writes the same again and again until another behavior begins, some megabytes a second: more is
    /// a test of the machine.
    ///
    /// # Errors
    ///
    /// When the client closes.
    pub fn flood(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In pieces that are worth a call.
        let piece = bytes.repeat(1 + (16 << 10) / bytes.len().max(1));
        while self.goes_on() {
            self.write(&piece)?;
            thread::sleep(FLOOD_PAUSE);
        }
        Ok(())
    }

    /// Writes a byte now and then until another behavior begins.
    ///
    /// # Errors
    ///
    /// When the client closes.
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

    /// Reads and says nothing, until the client closes; for a while after another behavior began.
    ///
    /// # Errors
    ///
    /// When it has.
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

    /// Neither reads nor writes, until another behavior begins.
    ///
    /// # Errors
    ///
    /// Always, since the connection ends then.
    pub fn ignore(&mut self) -> io::Result<()> {
        while self.goes_on() {
            thread::sleep(LOOK);
        }
        Err(Self::done())
    }

    /// Begins the present behavior on a new connection, if it has a hook for that.
    pub(super) fn greet(&mut self, hook: fn(&Behavior) -> &Option<Hook>) -> io::Result<()> {
        let (behavior, turn) = self.shared.behavior();
        self.turn = turn;
        match hook(&behavior) {
            Some(hook) => self.run(hook),
            None => Ok(()),
        }
    }

    /// What the present behavior does to a request; nothing when it is good. Fails when it needs a
    /// connection that begins with it.
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

    /// What was read and not used.
    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets so much of what was read.
    pub(super) fn consume(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    pub(super) fn starts_with(&self, bytes: &[u8]) -> bool {
        self.buffer.starts_with(bytes)
    }

    /// Reads until there are so many bytes.
    pub(super) fn fill_to(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(())
    }

    /// Reads some more. Fails when the connection is not wanted anymore.
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
