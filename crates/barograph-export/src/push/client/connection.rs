//! One connection: a request at a time, and whether it can take another.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
#[cfg(feature = "grpc")]
use hyper::client::conn::http2;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::answer::Arrival;
use super::body::Whole;
use super::connect::{Counted, Stream, Traffic};
use super::message::causes;
#[cfg(feature = "grpc")]
use super::quiet::{Quiet, QuietExecutor};

/// Something that requests can be sent on. Dropping it ends it at once, whatever is going on.
pub(super) struct Connection {
    sender: Sender,
    /// Reads and writes for as long as there is a connection.
    driver: Driver,
    born: Instant,
    traffic: Arc<Traffic>,
    /// How much has been written when the last request is out.
    due: u64,
}

enum Sender {
    Http1(http1::SendRequest<Whole>),
    #[cfg(feature = "grpc")]
    Http2(http2::SendRequest<Whole>),
}

/// The versions of HTTP that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    #[cfg(feature = "grpc")]
    Http2,
}

impl Version {
    /// Its name in ALPN.
    #[cfg(feature = "tls")]
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Version::Http1 => b"http/1.1",
            #[cfg(feature = "grpc")]
            Version::Http2 => b"h2",
        }
    }
}

/// A request that has had no answer.
pub(super) enum Unanswered {
    /// Nothing of it was sent: the connection had ended before.
    Unsent(Box<Request<Whole>>),
    /// The connection broke.
    Broken { message: String, arrival: Arrival },
}

impl Connection {
    /// Begins to speak HTTP on a stream.
    pub(super) async fn new(stream: Box<dyn Stream>, version: Version) -> hyper::Result<Self> {
        let traffic = Arc::new(Traffic::default());
        // What belongs to no request, such as settings, counts with the first.
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
            #[cfg(feature = "grpc")]
            Version::Http2 => {
                let builder = http2::Builder::new(QuietExecutor);
                let (sender, connection) = builder.handshake(stream).await?;
                let driver = Quiet::new(async { drop(connection.await) });
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

    /// Whether it is open, as far as anybody knows.
    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Whether the last request was written to its end. A receiver may answer before that, and what
    /// it then does with the rest is anybody's guess.
    pub(super) fn has_sent_all(&self) -> bool {
        self.traffic.written() > self.due
    }

    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Ends it in good order, without waiting for that.
    pub(super) fn retire(mut self) {
        // Without a sender the driver says goodbye and ends by itself; or, where the other side does
        // not even take that, a little later.
        if let Some(mut task) = self.driver.0.take() {
            tokio::spawn(async move {
                if timeout(GOODBYE, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Whole>,
    ) -> Result<Response<Incoming>, Unanswered> {
        // The head comes before the body, so that a whole request is longer than its body.
        self.due = self.traffic.written().saturating_add(request.body().len());
        self.traffic.begin_exchange();
        let sent = match &mut self.sender {
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Err(Unanswered::Unsent(request.into())),
            },
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Err(Unanswered::Unsent(request.into())),
            },
        };
        sent.map_err(
            |mut error: TrySendError<Request<Whole>>| match error.take_message() {
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

/// The task of a connection, which ends with this.
struct Driver(Option<JoinHandle<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// How long a connection may take to end in good order.
const GOODBYE: Duration = Duration::from_secs(5);
