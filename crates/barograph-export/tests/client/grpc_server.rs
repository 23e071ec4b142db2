//! A gRPC server on the loopback that responds with the frames and trailers that a test needs.

use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, thread};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A received call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The response to a call.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(&'static str, String)>,
    pub(crate) end: End,
}

/// The end of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Trailers,
    /// The stream is reset.
    Reset,
    /// Nothing more is sent.
    Hang,
}

impl Reply {
    /// Creates a reply with a status, and a message before it.
    pub(crate) fn new(code: u8, message: &[u8]) -> Self {
        Reply {
            status: StatusCode::OK,
            headers: vec![("content-type", "application/grpc".to_owned())],
            body: framed(0, message),
            trailers: vec![("grpc-status", code.to_string())],
            end: End::Trailers,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.trailers.push((name, value.into()));
        self
    }
}

/// Frames a message with the five-byte prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// Returns the flag and the message of a request that has exactly one frame.
pub(crate) fn unframed(body: &[u8]) -> (u8, &[u8]) {
    let (head, message) = body.split_first_chunk::<5>().unwrap();
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    assert_eq!(length as usize, message.len());
    (head[0], message)
}

pub(crate) struct GrpcServer {
    pub(crate) port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    accepted: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl GrpcServer {
    pub(crate) fn start(handler: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), None, handler)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let (calls, accepted) = (Arc::default(), Arc::default());
        let serving = Serving {
            calls: Arc::clone(&calls),
            accepted: Arc::clone(&accepted),
            tls,
            handler: Arc::new(handler),
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = serving.run(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        GrpcServer {
            port,
            calls,
            accepted,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Serving {
    calls: Arc<Mutex<Vec<Call>>>,
    accepted: Arc<AtomicUsize>,
    tls: Option<Arc<ServerConfig>>,
    handler: Arc<dyn Fn(&Call) -> Reply + Send + Sync>,
}

impl Serving {
    async fn run(self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            self.accepted.fetch_add(1, Ordering::SeqCst);
            let (calls, handler) = (self.calls.clone(), self.handler.clone());
            let service = service_fn(move |request| call(request, calls.clone(), handler.clone()));
            let server = http2::Builder::new(TokioExecutor::new());
            match self.tls.clone() {
                None => {
                    let serving = server.serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(serving);
                }
                Some(tls) => {
                    tokio::spawn(async move {
                        if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    });
                }
            }
        }
    }
}

async fn call(
    request: Request<Incoming>,
    calls: Arc<Mutex<Vec<Call>>>,
    handler: Arc<dyn Fn(&Call) -> Reply + Send + Sync>,
) -> Result<Response<Answer>, Infallible> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await
    {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(_) => break,
        }
    }
    let call = Call {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    };
    calls.lock().unwrap().push(call.clone());
    let reply = handler(&call);
    let mut response = Response::new(Answer {
        data: (!reply.body.is_empty()).then(|| reply.body.into()),
        trailers: (!reply.trailers.is_empty()).then(|| map(&reply.trailers)),
        end: reply.end,
    });
    *response.status_mut() = reply.status;
    *response.headers_mut() = map(&reply.headers);
    Ok(response)
}

fn map(headers: &[(&'static str, String)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, String)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    headers.iter().map(header).collect()
}

struct Answer {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    end: End,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Trailers => Poll::Ready(self.trailers.take().map(|all| Ok(Frame::trailers(all)))),
            End::Reset => Poll::Ready(Some(Err(io::Error::other("as the test wants it")))),
            End::Hang => Poll::Pending,
        }
    }
}
