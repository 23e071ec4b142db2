//! What the admin pages answer with: a few words, or a page that is made while it is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::page::Scrape;

/// The body of an answer.
pub(super) enum Answer {
    /// Some words, sent at once.
    Words(Option<Bytes>),
    /// A page.
    Page(Box<Paging>),
}

/// A page that is being sent.
pub(super) struct Paging {
    pub(super) scrape: Scrape,
    pub(super) deadline: Instant,
    /// Gives the place of this page to another one when dropped.
    pub(super) _permit: OwnedSemaphorePermit,
    /// Tells that the connection does something, until dropped.
    pub(super) _busy: Busy,
}

impl Answer {
    pub(super) fn words(words: &'static str) -> Self {
        Answer::Words((!words.is_empty()).then_some(Bytes::from_static(words.as_bytes())))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = TooSlow;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooSlow>>> {
        Poll::Ready(match self.get_mut() {
            Answer::Words(words) => words.take().map(|words| Ok(Frame::data(words))),
            Answer::Page(page) if Instant::now() > page.deadline => Some(Err(TooSlow)),
            Answer::Page(page) => page.scrape.next().map(|chunk| Ok(Frame::data(chunk))),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Answer::Words(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Words(words) => {
                SizeHint::with_exact(words.as_ref().map_or(0, |words| words.len() as u64))
            }
            Answer::Page(_) => SizeHint::default(),
        }
    }
}

/// A page that was not taken in time.
#[derive(Debug)]
pub(super) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader takes too long for one page")
    }
}

impl std::error::Error for TooSlow {}

/// Says of a connection that it has a page under way.
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(super) fn begin(connection: &Arc<AtomicBool>) -> Self {
        connection.store(true, Ordering::Relaxed);
        Busy(Arc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
