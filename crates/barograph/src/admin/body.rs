//! The response bodies of the admin pages: a short text, or a page that is rendered while it is sent.
//!
//! Pages are rendered on separate threads, a chunk at a time, so that the thread that answers
//! `/health` only passes bytes on, however many pages are requested.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{Semaphore, mpsc};

use crate::admin::page_slots::PageSlot;
use crate::page::Scrape;

/// A response body.
pub(super) enum Answer {
    /// A short text, sent at once.
    Words(Option<Bytes>),
    /// A page.
    Page(StreamingBody),
}

/// A page that is being sent.
pub(super) struct StreamingBody {
    chunks: mpsc::Receiver<Made>,
    deadline: Instant,
    /// Frees the slot of this page when dropped.
    _slot: PageSlot,
}

/// A part of a rendered page.
enum Made {
    Chunk(Bytes),
    End,
}

impl Answer {
    pub(super) fn words(words: &'static str) -> Self {
        Answer::Words((!words.is_empty()).then_some(Bytes::from_static(words.as_bytes())))
    }

    /// Starts to send a page that was begun. Each chunk is rendered with a permit of `makers`.
    pub(super) fn page(
        scrape: Scrape,
        slot: PageSlot,
        deadline: Instant,
        makers: Arc<Semaphore>,
    ) -> Self {
        // One chunk is being sent while the next one is rendered.
        let (made, chunks) = mpsc::channel(1);
        tokio::spawn(make(scrape, made, makers));
        Answer::Page(StreamingBody {
            chunks,
            deadline,
            _slot: slot,
        })
    }
}

/// Renders a page as fast as it is read, until its end or until the reader is dropped.
async fn make(mut scrape: Scrape, made: mpsc::Sender<Made>, makers: Arc<Semaphore>) {
    // Reserved first: no chunk is rendered for a client that does not read.
    while let Ok(room) = made.reserve().await {
        let Ok(permit) = makers.acquire().await else {
            return;
        };
        let next = tokio::task::spawn_blocking(move || {
            let chunk = scrape.next();
            (scrape, chunk)
        });
        // A source that panics leaves a page without its end, which is an error to the client.
        let Ok((same, chunk)) = next.await else {
            return;
        };
        drop(permit);
        match chunk {
            Some(chunk) => room.send(Made::Chunk(chunk)),
            None => return room.send(Made::End),
        }
        scrape = same;
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        Poll::Ready(match self.get_mut() {
            Answer::Words(words) => words.take().map(|words| Ok(Frame::data(words))),
            Answer::Page(page) if Instant::now() > page.deadline => Some(Err(Unfinished)),
            Answer::Page(page) => match ready!(page.chunks.poll_recv(cx)) {
                Some(Made::Chunk(chunk)) => Some(Ok(Frame::data(chunk))),
                Some(Made::End) => None,
                None => Some(Err(Unfinished)),
            },
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

/// The error of a page that was not read in time, or could not be rendered.
#[derive(Debug)]
pub(super) struct Unfinished;

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page was not finished")
    }
}

impl std::error::Error for Unfinished {}
