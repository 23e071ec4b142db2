//! Tests of the lifetime of connections.

use std::net::TcpListener;
use std::time::Duration;

use barograph_export::client::Protocol;

use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{Runner, config_for, grpc, http, request};
use crate::server::{Next, Server, answer, ok, responds};

#[test]
fn a_connection_is_reused() {
    let server = Server::start(responds(ok()));
    let mut runner = Runner::http(server.port);
    for _ in 0..5 {
        runner.delivered(&request(10_000));
    }
    assert_eq!((server.accepted(), server.received().len()), (1, 5));

    let server = GrpcServer::start(|_| Reply::new(0, b""));
    let mut runner = Runner::grpc(server.port);
    for _ in 0..5 {
        runner.delivered(&request(10_000));
    }
    assert_eq!((server.accepted(), server.calls().len()), (1, 5));
}

#[test]
fn a_connection_is_not_reused_forever() {
    let server = Server::start(responds(ok()));
    let mut runner = Runner::new(http(server.port).with_max_age(Duration::ZERO));
    for _ in 0..3 {
        runner.delivered(&request(10));
    }
    assert_eq!(server.accepted(), 3);

    let server = GrpcServer::start(|_| Reply::new(0, b""));
    let mut runner = Runner::new(grpc(server.port).with_max_age(Duration::from_millis(50)));
    runner.delivered(&request(10));
    runner.idle(Duration::from_millis(60));
    runner.delivered(&request(10));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_server_may_close_after_each_answer() {
    let closing = answer("200 OK", &[("connection", "close")], b"");
    let mut last = closing.clone();
    let server = Server::start(move |_, stream| {
        // Closes the connection in turn with and without a `Connection: close` header.
        last = if last == closing {
            ok()
        } else {
            closing.clone()
        };
        stream.write_all(&last).unwrap();
        Next::Close
    });
    let mut runner = Runner::http(server.port);
    for _ in 0..6 {
        runner.delivered(&request(10));
        runner.idle(Duration::from_millis(20));
    }
    assert_eq!(server.accepted(), 6);
}

#[test]
fn a_server_may_come_back() {
    let server = Server::start(responds(ok()));
    let port = server.port;
    let mut runner = Runner::http(port);
    runner.delivered(&request(10));
    // Between two requests, the client does not notice the change.
    drop(server);
    let server = Server::start_on(
        TcpListener::bind(("127.0.0.1", port)).unwrap(),
        None,
        responds(ok()),
    );
    runner.idle(Duration::from_millis(20));
    runner.delivered(&request(10));
    assert_eq!(server.received().len(), 1);
    // While the server is down, the client reports that nothing was sent.
    drop(server);
    runner.idle(Duration::from_millis(20));
    let retryable = runner.retryable(&request(10));
    assert_eq!(
        (&*retryable.error_type, retryable.may_have_arrived),
        ("connection_refused", false)
    );
    // The report that contains this message names the address.
    let reported = &retryable.message;
    assert!(
        reported.starts_with("no connection: Connection refused"),
        "{reported}"
    );
    let server = Server::start_on(
        TcpListener::bind(("127.0.0.1", port)).unwrap(),
        None,
        responds(ok()),
    );
    runner.delivered(&request(10));
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_grpc_server_may_come_back() {
    let server = GrpcServer::start(|_| Reply::new(0, b""));
    let port = server.port;
    let mut runner = Runner::grpc(port);
    runner.delivered(&request(10));
    drop(server);
    runner.idle(Duration::from_millis(20));
    assert_eq!(
        runner.retryable(&request(10)).error_type,
        "connection_refused"
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let server = GrpcServer::start_on(listener, None, |_| Reply::new(0, b""));
    runner.delivered(&request(10));
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The name may have an IPv6 address on which no server listens.
    let server = Server::start(responds(ok()));
    let url = format!("http://localhost:{}", server.port);
    let mut runner = Runner::new(config_for(Protocol::HttpProtobuf, url));
    runner.delivered(&request(10));
    let host = format!("localhost:{}", server.port);
    assert_eq!(server.received()[0].header("host"), Some(&*host));
}

#[cfg(unix)]
#[test]
fn sockets_of_the_system_are_reached() {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use barograph_export::Transport;

    use crate::server::read;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.sock");
    let url = format!("unix:{}", path.display());
    let mut runner = Runner::new(config_for(Protocol::HttpProtobuf, url.clone()));
    assert_eq!(runner.client.target().url, url);
    let retryable = runner.retryable(&request(10));
    assert_eq!(
        (&*retryable.error_type, retryable.may_have_arrived),
        ("connection_failed", false)
    );
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let request = read(&mut stream).unwrap();
        stream.write_all(&ok()).unwrap();
        request
    });
    runner.delivered(&request(10));
    let received = server.join().unwrap();
    assert_eq!(received.line, "POST /v1/metrics HTTP/1.1");
    assert_eq!(received.header("host"), Some("localhost"));
    assert_eq!(received.body, request(10).body);
}

#[test]
fn the_target_is_shown_without_credentials() {
    use barograph_export::Transport;

    let url = "https://me:hunter2@collector:4318/p?key=hunter2";
    let runner = Runner::new(config_for(Protocol::HttpJson, url.replace("https", "http")));
    let target = runner.client.target();
    assert_eq!(target.url, "http://collector:4318/p/v1/metrics");
    assert_eq!(target.component_type, "otlp_http_json_metric_exporter");
    assert_eq!((&*target.host, target.port), ("collector", Some(4318)));
    assert!(!format!("{:?}", runner.client).contains("hunter2"));
}
