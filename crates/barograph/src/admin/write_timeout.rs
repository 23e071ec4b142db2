//! A stream that fails if the client does not read what was written.
//!
//! The clock starts with the first write that has to wait, and stops when everything is written
//! (hyper flushes whenever its buffer is empty). A client that reads a byte now and then does not
//! reset it, so a connection either transfers at least a buffer in that time, or ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::admin::page_slots::Activity;

/// A stream whose writes have a time limit.
pub(super) struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    /// Records when the client does not read.
    activity: Arc<Activity>,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(stream: S, limit: Duration, activity: Arc<Activity>) -> Self {
        WriteTimeout {
            stream,
            limit,
            activity,
            waiting: None,
        }
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.activity.begin_wait();
            let limit = self.limit;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
            ready!(waiting.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.activity.end_wait();
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.waiting = None;
        }
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_drips_is_given_up() {
        let (near, mut far) = duplex(64);
        let mut near = WriteTimeout::new(near, Duration::from_secs(10), Arc::default());
        let drip = async {
            let mut byte = [0];
            while far.read(&mut byte).await.is_ok_and(|n| n == 1) {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let began = tokio::time::Instant::now();
        let (written, ()) = tokio::join!(
            async {
                let written = near.write_all(&[7; 4096]).await;
                drop(near);
                written
            },
            drip
        );
        let error = written.expect_err("the reader is far too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_pauses_is_waited_for() {
        let (near, mut far) = duplex(64);
        let mut near = WriteTimeout::new(near, Duration::from_secs(10), Arc::default());
        let pausing = async {
            let mut part = [0; 64];
            for _ in 0..8 {
                sleep(Duration::from_secs(9)).await;
                far.read_exact(&mut part).await.expect("64 bytes are there");
            }
        };
        let writing = async {
            for _ in 0..8 {
                near.write_all(&[7; 64])
                    .await
                    .expect("the reader is in time");
                near.flush().await.expect("the reader is in time");
            }
        };
        tokio::join!(writing, pausing);
    }
}
