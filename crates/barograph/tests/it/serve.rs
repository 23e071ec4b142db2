//! A service from its start to its end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use barograph::registry::Registry;
use barograph::serve::Server;
use tokio::sync::{Notify, oneshot};

use crate::client::{self, connect, is_closed, read};
use crate::service::{FREE, address, builder};

/// A service in a runtime of its own.
struct Running {
    service: SocketAddr,
    admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<barograph::Result>>,
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
            .route(
                "/panic",
                get(async || -> &'static str { panic!("a handler that fails") }),
            )
            .route(
                "/peer",
                get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
            );
        let server = set(telemetry.server(app)).with_stop(async {
            let _ = stopped.await;
        });
        let listener = std::net::TcpListener::bind(FREE).unwrap();
        listener.set_nonblocking(true).unwrap();
        let service = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                server
                    .serve(tokio::net::TcpListener::from_std(listener)?)
                    .await
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

/// Waits until something is so.
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
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

#[test]
fn the_end_comes_in_order() -> Result<(), barograph::Error> {
    let saw_admin = Arc::new(AtomicBool::new(false));
    let listener = std::net::TcpListener::bind(FREE)?;
    let admin = listener.local_addr()?;
    let telemetry = {
        let saw_admin = Arc::clone(&saw_admin);
        builder(&Registry::new())
            .with_listener(listener)
            .with_flush(move |_| {
                let answers = client::get(admin, "/metrics").status == 200;
                saw_admin.store(answers, Ordering::Relaxed);
            })
            .start()?
    };
    let mut running = Running::start(telemetry, |server| server);
    let slow = running.send(&quick("/slow"));
    let mut kept = running.send("GET /quick HTTP/1.1\r\nHost: x\r\n\r\n");
    kept.read_exact(&mut [0; 12]).unwrap();
    assert_eq!(client::get(admin, "/ready").status, 200);
    running.stop();
    until("not ready", || client::get(admin, "/ready").status == 503);
    until("no new connection", || is_closed(running.service));
    // What is idle is closed, what is under way goes on, and the pages with it.
    kept.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(client::get(admin, "/metrics").status, 200);
    running.release.notify_one();
    assert_eq!(read(slow).status, 200);
    running.wait_for_the_end();
    assert!(saw_admin.load(Ordering::Relaxed));
    assert!(is_closed(admin));
    Ok(())
}

#[test]
fn the_drain_delay_passes_before_the_listener_closes() -> Result<(), barograph::Error> {
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
fn what_is_left_is_cut() -> Result<(), barograph::Error> {
    let telemetry = builder(&Registry::new()).start()?;
    let time = Duration::from_millis(300);
    let mut running = Running::start(telemetry, |server| server.with_request_time(time));
    let half_a_head = running.send("GET /quick HTT");
    let half_a_body =
        running.send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
    let slow = running.send(&quick("/slow"));
    let silent = running.send("");
    // One that is answered shows that those before it were accepted.
    assert_eq!(client::get(running.service, "/quick").status, 200);
    let began = Instant::now();
    running.stop();
    running.wait_for_the_end();
    assert!(began.elapsed() >= time);
    assert!(began.elapsed() < Duration::from_secs(5));
    for mut stream in [half_a_head, half_a_body, slow, silent] {
        let mut rest = Vec::new();
        // Closed, or reset where something was not read.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    Ok(())
}

#[test]
fn a_head_that_takes_too_long_is_cut_at_any_time() -> Result<(), barograph::Error> {
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
fn a_handler_that_panics_ends_its_own_connection_only() -> Result<(), barograph::Error> {
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
