//! A connection that can be closed from another thread, and that notices when the client begins to
//! send.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection. `_on_close` is dropped with it, also after an upgrade from HTTP.
pub(super) struct Socket<G> {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    /// The number of bytes read of the HTTP/2 preface, if nothing else was read.
    of_preface: usize,
    has_spoken: Arc<AtomicBool>,
    _on_close: G,
}

/// Closes a connection, if it is still open.
pub(super) struct Closer(Weak<OwnedWriteHalf>);

impl<G> Socket<G> {
    pub(super) fn new(stream: TcpStream, on_close: impl FnOnce(Closer) -> G) -> Self {
        let (read, write) = stream.into_split();
        let write = Arc::new(write);
        Socket {
            read,
            of_preface: 0,
            has_spoken: Arc::new(AtomicBool::new(false)),
            _on_close: on_close(Closer(Arc::downgrade(&write))),
            write,
        }
    }

    /// Returns a flag that becomes true when the protocol of the client is known. Until then no time
    /// limit of a protocol applies.
    pub(super) fn has_spoken(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_spoken)
    }
}

impl Closer {
    /// Closes both directions at once: reads return the end, writes fail.
    pub(super) fn close(&self) {
        if let Some(write) = self.0.upgrade() {
            // An error means that the client has already closed it.
            let _ = SockRef::from(write.as_ref().as_ref()).shutdown(Shutdown::Both);
        }
    }
}

impl<G: Unpin> AsyncRead for Socket<G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.read).poll_read(cx, buf))?;
        if self.of_preface < PREFACE.len() {
            let read = &buf.filled()[before..];
            let rest = &PREFACE[self.of_preface..];
            let length = read.len().min(rest.len());
            self.of_preface = match read[..length] == rest[..length] {
                true => self.of_preface + length,
                false => PREFACE.len(),
            };
            if self.of_preface == PREFACE.len() {
                self.has_spoken.store(true, Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<G: Unpin> AsyncWrite for Socket<G> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = (*self.write).as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream: &TcpStream = (*self.write).as_ref();
        Poll::Ready(SockRef::from(stream).shutdown(Shutdown::Write))
    }
}

/// The first bytes that an HTTP/2 client sends.
///
/// Source: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
