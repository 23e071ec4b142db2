//! Tests with misbehaving servers, and with networks that break.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use barograph_export::client::Protocol;

use crate::http::gzipped;
use crate::runner::{Runner, config_for, grpc, http, request};
use crate::server::{Next, Server, answer, ok, read, responds};

/// Long enough for anything on the loopback; the exact time is not checked.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_server_that_hangs_costs_its_connection_only() {
    let mut calls = 0;
    let server = Server::start(move |request, stream| {
        calls += 1;
        match calls {
            1 => Next::Hang,
            _ => responds(ok())(request, stream),
        }
    });
    let mut runner = Runner::http(server.port);
    assert_eq!(runner.try_for(SHORT, &request(10)), None);
    assert_eq!(runner.delivered(&request(10)), None);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_server_that_never_speaks_costs_its_connection_only() {
    for config in [http, grpc] {
        // Connections wait in the queue of a listener that accepts none.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut runner = Runner::new(config(silent.local_addr().unwrap().port()));
        assert_eq!(runner.try_for(SHORT, &request(10)), None);
        assert_eq!(runner.try_for(SHORT, &request(10)), None);
    }
}

#[test]
fn a_response_that_drips_is_given_up_with_its_connection() {
    let server = Server::start(|_, stream| {
        let mut drip = || -> std::io::Result<()> {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(5));
            }
        };
        drip().map_or(Next::Close, |()| Next::Keep)
    });
    let mut runner = Runner::http(server.port);
    assert_eq!(runner.try_for(SHORT, &request(10)), None);
    assert_eq!(runner.try_for(SHORT, &request(10)), None);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_request_that_broke_off_has_not_arrived() {
    let server = Server::raw(|mut stream| {
        // Unread data turns closing the socket into a reset.
        let _ = stream.read_exact(&mut [0; 1_000]);
    });
    for config in [http, grpc] {
        // More than fits into the buffers of two sockets.
        let retryable = Runner::new(config(server.port)).retryable(&request(32 << 20));
        assert_eq!(retryable.error_type, "connection");
        assert!(!retryable.may_have_arrived, "{}", retryable.message);
    }
}

#[test]
fn a_request_without_an_answer_may_have_arrived() {
    let server = Server::start(|_, _| Next::Close);
    let retryable = Runner::http(server.port).retryable(&request(10_000));
    assert_eq!(retryable.error_type, "connection");
    assert!(retryable.may_have_arrived, "{}", retryable.message);
    assert_eq!(server.received()[0].body.len(), 10_000);
}

#[test]
fn a_response_that_ends_early_is_not_a_success() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel".to_vec();
    let head = b"HTTP/1.1 200 O".to_vec();
    for part in [half, chunk, head] {
        let server = Server::start(move |_, stream| {
            stream.write_all(&part).unwrap();
            Next::Close
        });
        let retryable = Runner::http(server.port).retryable(&request(10));
        assert_eq!(retryable.error_type, "connection");
        assert!(retryable.may_have_arrived, "{}", retryable.message);
    }
}

#[test]
fn garbage_is_not_a_response() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..],
        &[0; 64],
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ] {
        let server = Server::raw(move |mut stream| {
            let _ = read(&mut stream);
            let _ = stream.write_all(garbage);
        });
        let retryable = Runner::http(server.port).retryable(&request(10));
        assert_eq!(retryable.error_type, "connection");
        assert!(!retryable.message.is_empty());
    }
    // A server that speaks first does so before the request is sent, or meanwhile.
    let server = Server::raw(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        let _ = stream.read(&mut [0; 1 << 16]);
    });
    for config in [http, grpc] {
        assert_eq!(
            Runner::new(config(server.port))
                .retryable(&request(10))
                .error_type,
            "connection"
        );
    }
}

#[test]
fn an_endless_head_is_not_read_to_its_end() {
    let server = Server::start(|_, stream| {
        let mut drone = || -> std::io::Result<()> {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"x-more: and more, and more, and more, and more\r\n")?;
            }
        };
        drone().map_or(Next::Close, |()| Next::Keep)
    });
    assert_eq!(
        Runner::http(server.port).retryable(&request(10)).error_type,
        "connection"
    );
}

#[test]
fn interim_responses_without_end_are_not_read_to_their_end() {
    let server = Server::start(|_, stream| {
        let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000);
        let mut drone = || -> std::io::Result<()> {
            loop {
                stream.write_all(&interim)?;
            }
        };
        drone().map_or(Next::Close, |()| Next::Keep)
    });
    let retryable = Runner::http(server.port).retryable(&request(10));
    assert_eq!(retryable.error_type, "connection");
    let limit = "more than 8388608 bytes came for one request";
    assert!(retryable.message.contains(limit), "{}", retryable.message);
}

#[test]
fn a_response_is_read_up_to_a_limit() {
    let most = answer(
        "200 OK",
        &[("content-type", "text/plain")],
        &vec![b'x'; 4 << 20],
    );
    let server = Server::start(responds(most));
    assert!(Runner::http(server.port).delivered(&request(10)).is_some());

    let reported = answer("200 OK", &[], &vec![b'x'; (4 << 20) + 1]);
    let endless = |_: &_, stream: &mut dyn Write| {
        let mut drone = || -> std::io::Result<()> {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk)?;
            }
        };
        drone().map_or(Next::Close, |()| Next::Keep)
    };
    for server in [Server::start(responds(reported)), Server::start(endless)] {
        let mut runner = Runner::http(server.port);
        for accepted in 1..=2 {
            assert_eq!(
                runner.refused(&request(10)).error_type,
                "response_too_large"
            );
            // The rest of the response is not read.
            assert_eq!(server.accepted(), accepted);
        }
    }
}

#[test]
fn a_decompression_bomb_is_rejected() {
    let bomb = gzipped(&vec![0; 16 << 20]);
    assert!(bomb.len() < 200_000);
    for status in ["200 OK", "400 Bad Request", "503 Service Unavailable"] {
        let server = Server::start(responds(answer(
            status,
            &[("content-encoding", "gzip")],
            &bomb,
        )));
        let permanent = Runner::http(server.port).refused(&request(10));
        assert_eq!(permanent.error_type, "response_too_large");
    }
}

#[test]
fn a_response_before_the_request_is_out_ends_the_connection() {
    let taken = Server::start(responds(ok()));
    let port = taken.port;
    let server = Server::raw(move |mut stream| {
        let mut first = [0; 1_000];
        stream.read_exact(&mut first).unwrap();
        // Rejects large requests without reading them, and forwards small ones.
        if first
            .windows(22)
            .any(|window| window == b"content-length: 335544")
        {
            let _ = stream.write_all(&answer("413 Content Too Large", &[], b""));
            thread::sleep(Duration::from_secs(60));
        }
        let mut onwards = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _ = onwards.write_all(&first);
        let mut back = (stream.try_clone().unwrap(), onwards.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut back.1, &mut back.0));
        let _ = std::io::copy(&mut stream, &mut onwards);
    });
    let mut runner = Runner::http(server.port);
    assert_eq!(runner.refused(&request(33_554_432)).error_type, "413");
    assert_eq!(runner.delivered(&request(5_000)), None);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_closed_port_is_retryable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for config in [http(port), grpc(port)] {
        let retryable = Runner::new(config).retryable(&request(10));
        assert_eq!(
            (&*retryable.error_type, retryable.may_have_arrived),
            ("connection_refused", false)
        );
        // The report names the endpoint, and with it the address.
        let message = &retryable.message;
        assert!(
            message.starts_with("no connection: Connection refused"),
            "{message}"
        );
    }
}

#[test]
fn a_name_without_an_address_is_retryable() {
    // A label may have 63 letters, so no name server is asked.
    let name = "x".repeat(64);
    let config = config_for(
        Protocol::HttpProtobuf,
        format!("http://{name}.invalid:4318"),
    );
    let retryable = Runner::new(config).retryable(&request(10));
    assert_eq!(
        (&*retryable.error_type, retryable.may_have_arrived),
        ("name_resolution", false)
    );
    let message = &retryable.message;
    assert!(message.starts_with("no address: "), "{message}");
}
