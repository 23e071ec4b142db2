//! A service from its start to its end.

use std::convert::Infallible;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use barograph::Registry;
use barograph::ServeError;
use barograph::serve::Server;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, oneshot};

use crate::client::{self, connect, is_closed, read};
use crate::service::{FREE, address, builder};

/// A service in a separate runtime.
struct Running {
    service: SocketAddr,
    admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    release: Arc<Notify>,
}

impl Running {
    fn start(telemetry: barograph::Telemetry, set: impl FnOnce(Server) -> Server) -> Self {
        let admin = address(&telemetry);
        let release = Arc::new(Notify::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let waits = Arc::clone(&release);
        let app = Router::new()
            .route("/quick", get(|| async { "quick" }))
            .route("/slow", get(async move || waits.notified().await))
            .route("/body", post(async |body: String| body))
            .route("/endless", get(async || Body::new(Endless::default())))
            .route("/echo", get(echo))
            .route(
                "/panic",
                get(async || -> &'static str { panic!("a handler that fails") }),
            )
            .route(
                "/peer",
                get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
            )
            .merge(tonic::service::Routes::new(Orders).into_axum_router());
        let server = set(telemetry.server(app)).with_stop(async {
            let _ = stopped.await;
        });
        let listener = std::net::TcpListener::bind(FREE).unwrap();
        listener.set_nonblocking(true).unwrap();
        let service = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                server.serve(listener).await
            })
        });
        Running {
            service,
            admin,
            stop: Some(stop),
            thread: Some(thread),
            release,
        }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = connect(self.service);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    fn wait_for_the_end(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// A body that sends its first bytes, and nothing after them: an event stream that pauses.
#[derive(Default)]
struct Endless {
    has_begun: bool,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match std::mem::replace(&mut self.has_begun, true) {
            false => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: 1\n\n"))))),
            true => Poll::Pending,
        }
    }
}

/// Takes the connection over and echoes what arrives, as a websocket might.
async fn echo(request: axum::extract::Request) -> Response {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut upgraded = TokioIo::new(upgrade.await.unwrap());
        let mut part = [0; 64];
        while let Ok(n @ 1..) = upgraded.read(&mut part).await {
            if upgraded.write_all(&part[..n]).await.is_err() {
                break;
            }
        }
    });
    let headers = [("connection", "upgrade"), ("upgrade", "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A gRPC service as generated code defines it: its only method begins a stream that does not end.
#[derive(Clone)]
struct Orders;

impl tonic::server::NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl tower_service::Service<http::Request<tonic::body::Body>> for Orders {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
        let response = http::Response::builder().header("content-type", "application/grpc");
        std::future::ready(Ok(response
            .body(tonic::body::Body::new(Endless::default()))
            .unwrap()))
    }
}

/// Waits until the condition holds.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "waited for: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn quick(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn the_end_comes_in_order() -> Result<(), Box<dyn Error>> {
    let saw_admin = Arc::new(AtomicBool::new(false));
    let listener = std::net::TcpListener::bind(FREE)?;
    let admin = listener.local_addr()?;
    let telemetry = {
        let saw_admin = Arc::clone(&saw_admin);
        builder(&Registry::new())
            .with_listener(listener)
            .on_shutdown(move |_| {
                let answers = client::get(admin, "/metrics").status == 200;
                saw_admin.store(answers, Ordering::Relaxed);
            })
            .start()?
    };
    let mut running = Running::start(telemetry, |server| server);
    let slow = running.send(&quick("/slow"));
    let mut idle = running.send("GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
    idle.read_exact(&mut [0; 12]).unwrap();
    assert_eq!(client::get(admin, "/ready").status, 200);
    running.stop();
    until("not ready", || client::get(admin, "/ready").status == 503);
    until("no new connection", || is_closed(running.service));
    // Idle connections are closed; open requests continue, and so do the pages.
    idle.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(client::get(admin, "/metrics").status, 200);
    running.release.notify_one();
    assert_eq!(read(slow).status, 200);
    running.wait_for_the_end();
    assert!(saw_admin.load(Ordering::Relaxed));
    assert!(is_closed(admin));
    Ok(())
}

#[test]
fn the_drain_delay_passes_before_the_listener_closes() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let delay = Duration::from_secs(1);
    let mut running = Running::start(telemetry, |server| server.with_drain_delay(delay));
    let began = Instant::now();
    running.stop();
    until("not ready", || {
        client::get(running.admin, "/ready").status == 503
    });
    assert_eq!(client::get(running.service, "/quick").text(), "quick");
    assert!(began.elapsed() < delay);
    running.wait_for_the_end();
    assert!(began.elapsed() >= delay);
    assert!(is_closed(running.service) && is_closed(running.admin));
    Ok(())
}

#[test]
fn connections_that_are_left_are_closed() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let time = Duration::from_millis(300);
    let mut running = Running::start(telemetry, |server| server.with_request_time(time));
    let half_a_head = running.send("GET /quick HTT");
    let half_a_body =
        running.send("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf");
    let slow = running.send(&quick("/slow"));
    let silent = running.send("");
    // A response to a later connection shows that the earlier ones were accepted.
    assert_eq!(client::get(running.service, "/quick").status, 200);
    let began = Instant::now();
    running.stop();
    running.wait_for_the_end();
    assert!(began.elapsed() >= time);
    assert!(began.elapsed() < Duration::from_secs(5));
    for mut stream in [half_a_head, half_a_body, slow, silent] {
        let mut rest = Vec::new();
        // Closed, or reset if data was not read.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    Ok(())
}

#[test]
fn a_head_that_takes_too_long_is_cut_at_any_time() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let time = Duration::from_millis(200);
    let mut running = Running::start(telemetry, |server| server.with_head_time(time));
    let began = Instant::now();
    let mut half = running.send("GET /quick HTT");
    let _ = half.read_to_end(&mut Vec::new());
    assert!(began.elapsed() >= time);
    assert!(began.elapsed() < Duration::from_secs(5));
    running.stop();
    running.wait_for_the_end();
    Ok(())
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_only() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let mut running = Running::start(telemetry, |server| server);
    let mut stream = running.send(&quick("/panic"));
    let _ = stream.read_to_end(&mut Vec::new());
    let peer = client::get(running.service, "/peer").text();
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    running.stop();
    running.wait_for_the_end();
    Ok(())
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind(FREE).unwrap();
    let there = taken.local_addr().unwrap();
    let telemetry = builder(&Registry::new()).start().unwrap();
    let error = telemetry.serve(Router::new(), there).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.starts_with(&format!("cannot serve on {there}: ")),
        "{text}"
    );
}

/// Sends a request over HTTP/2, on a connection that this runtime drives.
async fn ask(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> http::Response<Incoming> {
    let request = http::Request::get(format!("http://localhost{path}"));
    let request = request.body(Empty::new()).unwrap();
    client.send_request(request).await.unwrap()
}

async fn http2(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits for the end of a service on another thread.
async fn ended(mut running: Running) -> Duration {
    let began = Instant::now();
    running.stop();
    let waiting = tokio::task::spawn_blocking(move || running.wait_for_the_end());
    waiting.await.unwrap();
    began.elapsed()
}

const SOON: Duration = Duration::from_millis(300);
/// The time that a shutdown may take beyond its limit, with a margin for a busy machine.
const BEYOND: Duration = Duration::from_secs(3);

#[tokio::test]
async fn http_2_is_served_without_tls_and_ends_in_order() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let mut running = Running::start(telemetry, |server| server);
    let mut client = http2(running.service).await;
    let peer = ask(&mut client, "/peer").await.into_body();
    let peer = peer.collect().await.unwrap().to_bytes();
    assert!(peer.starts_with(b"127.0.0.1:"), "{peer:?}");
    // One stream is open and is completed; then the connection ends.
    let mut slow = client.clone();
    let slow = tokio::spawn(async move { ask(&mut slow, "/slow").await.status() });
    ask(&mut client, "/quick").await;
    running.stop();
    let address = running.service;
    let closed = tokio::task::spawn_blocking(move || until("closed", || is_closed(address)));
    closed.await.unwrap();
    running.release.notify_one();
    assert_eq!(slow.await.unwrap(), StatusCode::OK);
    let began = Instant::now();
    running.wait_for_the_end();
    assert!(began.elapsed() < BEYOND);
    assert!(client.ready().await.is_err() || client.is_closed());
    Ok(())
}

#[tokio::test]
async fn streams_that_do_not_end_are_cut() -> Result<(), Box<dyn Error>> {
    // HTTP/2, and gRPC through tonic's router.
    for path in ["/endless", "/shop.Orders/Watch", "/slow"] {
        let telemetry = builder(&Registry::new()).start()?;
        let running = Running::start(telemetry, |server| server.with_request_time(SOON));
        let mut client = http2(running.service).await;
        if path == "/slow" {
            let mut slow = client.clone();
            tokio::spawn(async move { ask(&mut slow, "/slow").await });
            ask(&mut client, "/quick").await;
            let took = ended(running).await;
            assert!(took >= SOON && took < SOON + BEYOND, "{path}: {took:?}");
            continue;
        }
        let mut body = ask(&mut client, path).await.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
        let took = ended(running).await;
        assert!(took >= SOON && took < SOON + BEYOND, "{path}: {took:?}");
        assert!(!matches!(body.frame().await, Some(Ok(_)) | None), "{path}");
    }
    Ok(())
}

#[test]
fn events_that_do_not_end_are_cut() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let mut running = Running::start(telemetry, |server| server.with_request_time(SOON));
    let mut events = running.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut first = [0; 15];
    events.read_exact(&mut first).unwrap();
    let began = Instant::now();
    running.stop();
    running.wait_for_the_end();
    assert!(began.elapsed() >= SOON && began.elapsed() < SOON + BEYOND);
    let mut rest = Vec::new();
    let _ = events.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    Ok(())
}

/// Opens a connection that a handler takes over.
fn taken_over(running: &Running) -> TcpStream {
    let request =
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut stream = running.send(request);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
    stream
}

#[track_caller]
fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"echo").unwrap();
    let mut echoed = [0; 4];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"echo");
}

#[test]
fn connections_that_were_taken_over_are_waited_for_and_cut() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let time = Duration::from_secs(1);
    let mut running = Running::start(telemetry, |server| server.with_request_time(time));
    let mut stream = taken_over(&running);
    echoes(&mut stream);
    let began = Instant::now();
    running.stop();
    until("closed", || is_closed(running.service));
    // It continues while there is time, and then ends.
    echoes(&mut stream);
    running.wait_for_the_end();
    assert!(began.elapsed() >= time && began.elapsed() < time + BEYOND);
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    Ok(())
}

#[test]
fn a_connection_that_was_taken_over_and_closes_is_not_waited_for_longer()
-> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let mut running = Running::start(telemetry, |server| server);
    let mut stream = taken_over(&running);
    let began = Instant::now();
    running.stop();
    until("closed", || is_closed(running.service));
    echoes(&mut stream);
    drop(stream);
    running.wait_for_the_end();
    assert!(began.elapsed() < Duration::from_secs(8));
    Ok(())
}

#[test]
fn half_a_preface_is_cut_at_any_time() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let time = Duration::from_millis(200);
    let mut running = Running::start(telemetry, |server| server.with_head_time(time));
    for half in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let began = Instant::now();
        let mut half = running.send(half);
        let _ = half.read_to_end(&mut Vec::new());
        assert!(began.elapsed() >= time && began.elapsed() < BEYOND);
    }
    // A method that begins with the same letters is not the preface.
    assert_eq!(
        read(running.send("POST /body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")).text(),
        "ok"
    );
    running.stop();
    running.wait_for_the_end();
    Ok(())
}

#[test]
fn half_a_preface_does_not_keep_the_end() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let mut running = Running::start(telemetry, |server| server);
    let half = running.send("PRI * HTTP/2.0\r\n");
    let silent = running.send("");
    assert_eq!(client::get(running.service, "/quick").status, 200);
    let began = Instant::now();
    running.stop();
    running.wait_for_the_end();
    assert!(began.elapsed() < BEYOND);
    drop((half, silent));
    Ok(())
}

#[cfg(feature = "otlp")]
#[test]
fn receivers_that_are_dead_or_hang_do_not_keep_the_end() -> Result<(), Box<dyn Error>> {
    use crate::receiver::{Behavior, Receiver};
    use barograph::export::Protocol;
    for behavior in [Behavior::Hangs, Behavior::Takes] {
        let mut receiver = Receiver::start(Protocol::HttpProtobuf, behavior);
        if behavior == Behavior::Takes {
            // No receiver listens there.
            receiver.address = FREE;
            receiver.address.set_port(1);
        }
        let telemetry = builder(&Registry::new())
            .with_push(receiver.push())
            .start()?;
        let mut running = Running::start(telemetry, |server| server);
        assert_eq!(client::get(running.service, "/quick").status, 200);
        let began = Instant::now();
        running.stop();
        running.wait_for_the_end();
        let limit = Duration::from_secs(5);
        assert!(began.elapsed() < limit + BEYOND, "{behavior:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_dropped_sends_what_it_has() -> Result<(), Box<dyn Error>> {
    let is_flushed = Arc::new(AtomicBool::new(false));
    let flushed = Arc::clone(&is_flushed);
    let telemetry = builder(&Registry::new())
        .on_shutdown(move |_| flushed.store(true, Ordering::Relaxed))
        .start()?;
    let listener = tokio::net::TcpListener::bind(FREE).await?;
    let server = telemetry.server(Router::new()).without_signal_handling();
    let serving = server.serve(listener);
    let limit = Duration::from_millis(100);
    assert!(tokio::time::timeout(limit, serving).await.is_err());
    assert!(is_flushed.load(Ordering::Relaxed));
    Ok(())
}
