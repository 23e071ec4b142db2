//! What the admin pages answer with: a few words, or a page that is made while it is sent.
//!
//! Pages are made on threads of their own, a chunk at a time, so that however many are asked for, the
//! thread that answers `/health` only passes bytes on.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{Semaphore, mpsc};

use crate::admin::places::Place;
use crate::page::Scrape;

/// The body of an answer.
pub(super) enum Answer {
    /// Some words, sent at once.
    Words(Option<Bytes>),
    /// A page.
    Page(Paging),
}

/// A page that is being sent.
pub(super) struct Paging {
    chunks: mpsc::Receiver<Made>,
    deadline: Instant,
    /// Gives the place of this page to another one when dropped.
    _place: Place,
}

/// What was made of a page.
enum Made {
    Chunk(Bytes),
    End,
}

impl Answer {
    pub(super) fn words(words: &'static str) -> Self {
        Answer::Words((!words.is_empty()).then_some(Bytes::from_static(words.as_bytes())))
    }

    /// A page that was begun. Whoever makes a chunk of one has a permit of `makers`.
    pub(super) fn page(
        scrape: Scrape,
        place: Place,
        deadline: Instant,
        makers: Arc<Semaphore>,
    ) -> Self {
        // One is being sent while the next one is made.
        let (made, chunks) = mpsc::channel(1);
        tokio::spawn(make(scrape, made, makers));
        Answer::Page(Paging {
            chunks,
            deadline,
            _place: place,
        })
    }
}

/// Makes a page as fast as it is taken, until its end or until nobody takes it any more.
async fn make(mut scrape: Scrape, made: mpsc::Sender<Made>, makers: Arc<Semaphore>) {
    // Reserved first: no chunk is made for a reader who takes none.
    while let Ok(room) = made.reserve().await {
        let Ok(permit) = makers.acquire().await else {
            return;
        };
        let next = tokio::task::spawn_blocking(move || {
            let chunk = scrape.next();
            (scrape, chunk)
        });
        // A source that panics leaves a page without its end, which is an error to the reader.
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

/// A page that was not taken in time, or could not be made.
#[derive(Debug)]
pub(super) struct Unfinished;

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page was not finished")
    }
}

impl std::error::Error for Unfinished {}
