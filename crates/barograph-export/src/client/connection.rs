//! A connection, which carries one request at a time.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::body::RequestBody;
use super::connect::{Counted, Stream, Traffic};
use super::message::causes;
use super::response::Arrival;
use super::suppressed::{Suppressed, SuppressedExecutor};

/// An HTTP connection. Dropping it closes it immediately, even during a request.
pub(super) struct Connection {
    sender: Sender,
    /// The task that reads and writes while the connection is open.
    driver: Driver,
    born: Instant,
    traffic: Arc<Traffic>,
    /// The last request is sent completely once more bytes than this have been written.
    due: u64,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// The supported versions of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl Version {
    /// Returns the protocol name in ALPN.
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Version::Http1 => b"http/1.1",
            Version::Http2 => b"h2",
        }
    }
}

/// A request without a response.
pub(super) enum Unanswered {
    /// Nothing of it was sent: the connection had been closed before.
    Unsent(Box<Request<RequestBody>>),
    /// The connection broke.
    Broken { message: String, arrival: Arrival },
}

impl Connection {
    /// Starts HTTP on a stream.
    pub(super) async fn new(stream: Box<dyn Stream>, version: Version) -> hyper::Result<Self> {
        let traffic = Arc::new(Traffic::default());
        // Bytes that belong to no request, such as settings, count towards the first.
        traffic.begin_exchange();
        let stream = TokioIo::new(Counted {
            stream,
            traffic: traffic.clone(),
        });
        let (sender, driver) = match version {
            Version::Http1 => {
                let builder = http1::Builder::new();
                let (sender, connection) = builder.handshake(stream).await?;
                (
                    Sender::Http1(sender),
                    tokio::spawn(async { drop(connection.await) }),
                )
            }
            Version::Http2 => {
                let builder = http2::Builder::new(SuppressedExecutor);
                let (sender, connection) = builder.handshake(stream).await?;
                let driver = Suppressed::new(async { drop(connection.await) });
                (Sender::Http2(sender), tokio::spawn(driver))
            }
        };
        Ok(Connection {
            sender,
            driver: Driver(Some(driver)),
            born: Instant::now(),
            traffic,
            due: 0,
        })
    }

    /// Returns true if the connection is not known to be closed.
    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Returns true if the last request was sent completely. A receiver may respond before that,
    /// and how it then treats the remaining bytes is undefined.
    pub(super) fn has_sent_all(&self) -> bool {
        self.traffic.written() > self.due
    }

    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Closes the connection gracefully, in the background.
    pub(super) fn retire(mut self) {
        // Without a sender the task closes the connection and ends; if the peer does not respond,
        // it is aborted after a timeout.
        if let Some(mut task) = self.driver.0.take() {
            tokio::spawn(async move {
                if timeout(GOODBYE, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
    }

    /// Sends a request, and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        // The head precedes the body, so a complete request is longer than its body.
        self.due = self.traffic.written().saturating_add(request.body().len());
        self.traffic.begin_exchange();
        let sent = match &mut self.sender {
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Err(Unanswered::Unsent(request.into())),
            },
            Sender::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Err(Unanswered::Unsent(request.into())),
            },
        };
        sent.map_err(
            |mut error: TrySendError<Request<RequestBody>>| match error.take_message() {
                Some(request) => Unanswered::Unsent(request.into()),
                None => Unanswered::Broken {
                    message: causes(&error.into_error()),
                    arrival: match self.has_sent_all() {
                        true => Arrival::Possible,
                        false => Arrival::Excluded,
                    },
                },
            },
        )
    }
}

/// The task of a connection, aborted on drop.
struct Driver(Option<JoinHandle<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The time that a graceful close may take.
const GOODBYE: Duration = Duration::from_secs(5);
