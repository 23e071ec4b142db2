//! Tests of proxies: which one is used, how, and for which endpoints.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use barograph_export::client::{Protocol, Proxy, ProxyConfig, TlsConfig};

use crate::certificates::Authority;
use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{Runner, config_for, request};
use crate::server::{Received, Server, answer, ok, read, responds};

/// The end of a tunnel that sends the first bytes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Client,
    Server,
}

/// A proxy that opens tunnels to the loopback, whatever host is named. If the server sends first, its
/// bytes follow the head of the proxy's response immediately.
fn tunnels(seen: &Arc<Mutex<Vec<Received>>>, first: First) -> Server {
    let seen = seen.clone();
    Server::raw(move |mut stream| {
        let Some(request) = read(&mut stream) else {
            return;
        };
        seen.lock().unwrap().push(request.clone());
        let authority = request.line.split(' ').nth(1).unwrap();
        let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
        let mut onwards = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut answer = b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n".to_vec();
        if first == First::Server {
            let mut bytes = [0; 1024];
            let read = onwards.read(&mut bytes).unwrap();
            answer.extend_from_slice(&bytes[..read]);
        }
        stream.write_all(&answer).unwrap();
        let (mut from, mut to) = (onwards.try_clone().unwrap(), stream.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut stream, &mut onwards);
    })
}

fn proxy(port: u16) -> ProxyConfig {
    let proxy = Proxy::parse(&format!("http://me:hun%20ter2@127.0.0.1:{port}")).unwrap();
    ProxyConfig::default()
        .with_https(proxy.clone())
        .with_http(proxy)
}

/// "me:hun ter2".
const BASIC: &str = "Basic bWU6aHVuIHRlcjI=";

#[test]
fn tls_goes_through_a_tunnel() {
    let (authority, seen) = (Authority::new("a"), Arc::default());
    let server = Server::start_tls(&authority.tls("http/1.1"), responds(ok()));
    let through = tunnels(&seen, First::Client);
    let url = format!("https://collector.test:{}", server.port);
    let config = config_for(Protocol::HttpProtobuf, url)
        .with_proxy(proxy(through.port))
        .with_tls(TlsConfig::default().with_root_pem(authority.pem()));
    let mut runner = Runner::new(config);
    runner.delivered(&request(100_000));
    runner.delivered(&request(100_000));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let authority = format!("collector.test:{}", server.port);
    assert_eq!(seen[0].line, format!("CONNECT {authority} HTTP/1.1"));
    assert_eq!(seen[0].header("host"), Some(&*authority));
    assert_eq!(seen[0].header("proxy-authorization"), Some(BASIC));
    // The credentials for the proxy are not sent to the collector.
    assert_eq!(server.received()[0].line, "POST /v1/metrics HTTP/1.1");
    assert_eq!(server.received()[0].header("proxy-authorization"), None);
    assert_eq!(server.received().len(), 2);
}

#[test]
fn grpc_goes_through_a_tunnel_in_which_the_server_sends_first() {
    let seen = Arc::default();
    let server = GrpcServer::start(|_| Reply::new(0, b""));
    let through = tunnels(&seen, First::Server);
    let url = format!("http://collector.test:{}", server.port);
    let config = config_for(Protocol::Grpc, url).with_proxy(proxy(through.port));
    Runner::new(config).delivered(&request(100_000));
    assert!(
        seen.lock().unwrap()[0]
            .line
            .starts_with("CONNECT collector.test:")
    );
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn plain_http_is_given_to_the_proxy_with_its_whole_url() {
    let through = Server::start(responds(ok()));
    let config = config_for(Protocol::HttpProtobuf, "http://collector.test:4318/p?a=b");
    Runner::new(config.with_proxy(proxy(through.port))).delivered(&request(10));
    let received = &through.received()[0];
    assert_eq!(
        received.line,
        "POST http://collector.test:4318/p/v1/metrics?a=b HTTP/1.1"
    );
    assert_eq!(received.header("host"), Some("collector.test:4318"));
    assert_eq!(received.header("proxy-authorization"), Some(BASIC));
}

#[test]
fn the_loopback_and_exceptions_are_reached_directly() {
    let server = Server::start(responds(ok()));
    let through = Server::start(responds(ok()));
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}", server.port);
        let config = config_for(Protocol::HttpProtobuf, url);
        Runner::new(config.with_proxy(proxy(through.port))).delivered(&request(10));
    }
    assert_eq!(server.received().len(), 2);
    // A name that only the proxy could resolve.
    let name = format!("{}.test", "x".repeat(64));
    let config = config_for(Protocol::HttpProtobuf, format!("http://{name}"));
    let excepted = config
        .clone()
        .with_proxy(proxy(through.port).with_no_proxy("a, .test"));
    assert_eq!(
        Runner::new(excepted).retryable(&request(10)).error_type,
        "name_resolution"
    );
    assert_eq!(through.accepted(), 0);
    Runner::new(config.with_proxy(proxy(through.port))).delivered(&request(10));
    assert_eq!(through.accepted(), 1);
}

#[test]
fn a_proxy_itself_may_speak_tls() {
    let authority = Authority::new("a");
    let through = Server::start_tls(&authority.tls("http/1.1"), responds(ok()));
    let proxy = Proxy::parse(&format!("https://localhost:{}", through.port)).unwrap();
    let proxy = ProxyConfig::default().with_http(proxy);
    let config = config_for(Protocol::HttpProtobuf, "http://collector.test")
        .with_proxy(proxy)
        .with_tls(TlsConfig::default().with_root_pem(authority.pem()));
    Runner::new(config).delivered(&request(10));
    assert_eq!(
        through.received()[0].line,
        "POST http://collector.test/v1/metrics HTTP/1.1"
    );
}

#[test]
fn tls_goes_through_a_proxy_that_speaks_tls() {
    let (authority, seen) = (Authority::new("a"), Arc::default());
    let server = GrpcServer::start_on(
        TcpListener::bind("127.0.0.1:0").unwrap(),
        Some(authority.server("h2", None)),
        |_| Reply::new(0, b""),
    );
    // TLS to the proxy ends here; the contents are forwarded to the tunnel.
    let through = tunnels(&seen, First::Client);
    let front = tls_front(&authority, through.port);
    let proxy = Proxy::parse(&format!("https://localhost:{}", front.port)).unwrap();
    let proxy = ProxyConfig::default().with_https(proxy);
    let url = format!("https://collector.test:{}", server.port);
    let config = config_for(Protocol::Grpc, url)
        .with_proxy(proxy)
        .with_tls(TlsConfig::default().with_root_pem(authority.pem()));
    Runner::new(config).delivered(&request(100_000));
    assert_eq!((seen.lock().unwrap().len(), server.calls().len()), (1, 1));
}

/// A server that terminates TLS, and forwards the contents.
fn tls_front(authority: &Authority, port: u16) -> Server {
    let config = authority.server("http/1.1", None);
    Server::raw(move |stream| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        stream.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(config.clone());
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            // The client must offer the protocol that proxies speak.
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let onwards = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut onwards.unwrap()).await;
        });
    })
}

#[test]
fn a_tunnel_that_cannot_be_opened_is_retryable() {
    let denied = answer("407 Proxy Authentication Required", &[], b"who are you?");
    for (said, reported) in [
        (denied, "407"),
        (b"HTTP/1.1 200 OK\r\nx: ".to_vec(), "end of file"),
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "SSH"),
        (vec![b'x'; 1 << 20], "xxx"),
    ] {
        let through = Server::raw(move |mut stream| {
            let _ = read(&mut stream);
            let _ = stream.write_all(&said);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let config = config_for(Protocol::Grpc, "http://collector.test:4317");
        let retryable = Runner::new(config.with_proxy(proxy(through.port))).retryable(&request(10));
        assert_eq!(
            (&*retryable.error_type, retryable.may_have_arrived),
            ("proxy", false)
        );
        assert!(
            retryable.message.contains(reported),
            "{}",
            retryable.message
        );
        assert!(
            !retryable.message.contains("hun") && retryable.message.len() < 520,
            "{}",
            retryable.message
        );
    }
}
