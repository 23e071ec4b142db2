//! Real connections: axum serves, and the client is a socket that can disconnect at any time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use barograph_core::registry::Registry;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::page::{ACTIVE, DURATION, REQUEST_SIZE, RESPONSE_SIZE, lines, setup};
use crate::script::Script;
use crate::script::Step::{Data, Fail};

const LONG: Duration = Duration::from_secs(20);

/// Starts a server, which stops with the test's runtime. Returns its registry and a connection to it.
async fn serve(router: Router) -> (Registry, TcpStream) {
    let (registry, layer) = setup();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router.layer(layer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (registry, TcpStream::connect(address).await.unwrap())
}

/// Sends a request and reads until `end` has arrived. Returns everything that was read.
async fn ask(connection: &mut TcpStream, request: &str, end: &str) -> String {
    connection.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if text.contains(end) {
            return text;
        }
        let n = timeout(LONG, connection.read(&mut piece)).await;
        let n = n.expect("the server answers").unwrap();
        assert!(n > 0, "closed after {text:?}");
        read.extend_from_slice(&piece[..n]);
    }
}

/// Waits until the family shows these lines, because the server ends a request asynchronously.
async fn expect(registry: &Registry, name: &str, expected: &[&str]) {
    let shown = async {
        while lines(registry, name) != expected {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(LONG, shown).await.is_err() {
        assert_eq!(lines(registry, name), expected);
    }
}

/// A body that returns one piece and is then pending forever.
struct Endless {
    piece: Option<&'static str>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn requests_on_one_connection_are_recorded_one_by_one() {
    let router = Router::new().route("/hello/{name}", get(|| async { "hello" }));
    let (registry, mut connection) = serve(router).await;
    for _ in 0..3 {
        let request = "GET /hello/you HTTP/1.1\r\nhost: a\r\n\r\n";
        ask(&mut connection, request, "\r\n\r\nhello").await;
    }
    let request = "HEAD /hello/you HTTP/1.1\r\nhost: a\r\n\r\n";
    let head = ask(&mut connection, request, "\r\n\r\n").await;
    assert!(head.contains("content-length: 5\r\n"), "{head}");
    let expected = [
        "GET /hello/{name} 200 http = 3",
        "HEAD /hello/{name} 200 http = 1",
    ];
    expect(&registry, DURATION, &expected).await;
    let expected = [
        "GET /hello/{name} 200 http = 3/15",
        "HEAD /hello/{name} 200 http = 1/0",
    ];
    expect(&registry, RESPONSE_SIZE, &expected).await;
    expect(&registry, ACTIVE, &["GET http = 0", "HEAD http = 0"]).await;
}

#[tokio::test]
async fn chunks_are_counted_both_ways() {
    let echo = |body: Body| async { Response::new(body) };
    let (registry, mut connection) = serve(Router::new().route("/", post(echo))).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    ask(&mut connection, request, "\r\n0\r\n\r\n").await;
    expect(&registry, REQUEST_SIZE, &["POST / 200 http = 1/5"]).await;
    expect(&registry, RESPONSE_SIZE, &["POST / 200 http = 1/5"]).await;
}

#[tokio::test]
async fn a_client_leaves_before_the_head() {
    let arrived = Arc::new(Notify::new());
    let arrival = arrived.clone();
    let handler = async move || {
        arrival.notify_one();
        std::future::pending::<()>().await;
    };
    let router = Router::new().route("/for/ever", get(handler));
    let (registry, mut connection) = serve(router).await;
    let request = "GET /for/ever HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    arrived.notified().await;
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 1"]);
    drop(connection);
    let expected = ["GET /for/ever http client_disconnect = 1"];
    expect(&registry, DURATION, &expected).await;
    expect(&registry, ACTIVE, &["GET http = 0"]).await;
    assert_eq!(lines(&registry, RESPONSE_SIZE), [""; 0]);
}

#[tokio::test]
async fn a_client_leaves_within_the_body() {
    let router = Router::new().route(
        "/",
        get(|| async {
            Response::new(Body::new(Endless {
                piece: Some("first"),
            }))
        }),
    );
    let (registry, mut connection) = serve(router).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    ask(&mut connection, request, "first").await;
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 1"]);
    assert_eq!(lines(&registry, DURATION), [""; 0]);
    drop(connection);
    let expected = ["GET / 200 http client_disconnect = 1"];
    expect(&registry, DURATION, &expected).await;
    expect(&registry, ACTIVE, &["GET http = 0"]).await;
    let expected = ["GET / 200 http client_disconnect = 1/5"];
    expect(&registry, RESPONSE_SIZE, &expected).await;
}

#[tokio::test]
async fn an_upgrade_is_not_recorded() {
    let upgrade = || async {
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "echo");
        response.body(Body::empty()).unwrap()
    };
    let router = Router::new()
        .route("/up", get(upgrade))
        .route("/", get(|| async { "hello" }));
    let (registry, mut connection) = serve(router).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    ask(&mut connection, request, "hello").await;
    let request = "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    ask(&mut connection, request, "101 Switching Protocols").await;
    drop(connection);
    expect(&registry, ACTIVE, &["GET http = 0"]).await;
    expect(&registry, DURATION, &["GET / 200 http = 1"]).await;
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_connection() {
    async fn fails() -> &'static str {
        panic!("on purpose")
    }
    let router = Router::new().route("/", get(fails));
    let (registry, mut connection) = serve(router).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(LONG, connection.read_to_end(&mut rest)).await;
    read.expect("the server closes").unwrap();
    expect(&registry, DURATION, &["GET / http panic = 1"]).await;
    expect(&registry, ACTIVE, &["GET http = 0"]).await;
}

#[tokio::test]
async fn a_body_that_fails_is_not_a_client_that_leaves() {
    let body = || async { Response::new(Body::new(Script::new([Data("ab"), Fail]))) };
    let (registry, mut connection) = serve(Router::new().route("/", get(body))).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(LONG, connection.read_to_end(&mut rest)).await;
    expect(&registry, DURATION, &["GET / 200 http body_error = 1"]).await;
}
