//! Tests of TLS: trusted roots, client certificates, and certificates that change.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{Client, ClientConfig, InvalidClient, Protocol, TlsConfig};
use barograph_export::{Outcome, Retryable};

use crate::certificates::{Authority, Signed, put};
use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{Runner, config_for, request};
use crate::server::{Server, ok, responds};

fn https(port: u16, tls: TlsConfig) -> ClientConfig {
    let url = format!("https://127.0.0.1:{port}");
    config_for(Protocol::HttpProtobuf, url).with_tls(tls)
}

fn serve(authority: &Authority) -> Server {
    Server::start_tls(&authority.tls("http/1.1"), responds(ok()))
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::default().with_root_pem(authority.pem())
}

fn trusting_file(path: &Path) -> TlsConfig {
    TlsConfig::default().with_root_file(path)
}

/// Checks that nothing was sent, and that the failure names its cause.
#[track_caller]
fn is_unsent(failure: &Retryable, error_type: &str, cause: &str) {
    assert_eq!(
        (&*failure.error_type, failure.may_have_arrived),
        (error_type, false)
    );
    assert!(failure.message.contains(cause), "{}", failure.message);
}

#[test]
fn both_protocols_go_over_tls() {
    let authority = Authority::new("a");
    let server = serve(&authority);
    let mut runner = Runner::new(https(server.port, trusting(&authority)));
    runner.delivered(&request(1 << 20));
    runner.delivered(&request(1 << 20));
    assert_eq!(
        (server.accepted(), server.received()[1].body.len()),
        (1, 1 << 20)
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = Some(authority.server("h2", None));
    let server = GrpcServer::start_on(listener, tls, |_| Reply::new(0, b""));
    // Without a scheme, gRPC uses TLS.
    let config = config_for(Protocol::Grpc, format!("localhost:{}", server.port));
    let mut runner = Runner::new(config.with_tls(trusting(&authority)));
    runner.delivered(&request(1 << 20));
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn an_untrusted_server_receives_nothing() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let server = serve(&authority);
    let retryable = Runner::new(https(server.port, trusting(&other))).retryable(&request(10));
    is_unsent(&retryable, "tls", "UnknownIssuer");
    assert!(
        retryable.message.contains(&server.port.to_string()),
        "{}",
        retryable.message
    );
    assert!(server.received().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_not_taken() {
    let authority = Authority::new("a");
    let tls = authority.tls("http/1.1");
    *tls.lock().unwrap() = authority.server_named(&["elsewhere.test"], "http/1.1", None);
    let server = Server::start_tls(&tls, responds(ok()));
    let retryable = Runner::new(https(server.port, trusting(&authority))).retryable(&request(10));
    is_unsent(&retryable, "tls", "not valid for");
}

#[test]
fn a_server_without_tls_is_retryable() {
    let server = Server::start(responds(ok()));
    let retryable = Runner::new(https(server.port, trusting(&Authority::new("a"))))
        .try_for(Duration::from_millis(300), &request(10));
    // The server waits for the end of a line, as servers do; if it responds at all, it is not with
    // TLS.
    assert!(
        !matches!(retryable, Some(Outcome::Delivered(_))),
        "{retryable:?}"
    );
    assert!(server.received().is_empty());
}

#[test]
fn a_server_may_ask_who_we_are() {
    let (authority, clients) = (Authority::new("a"), Authority::new("clients"));
    let tls = authority.tls("http/1.1");
    *tls.lock().unwrap() = authority.server("http/1.1", Some(&clients));
    let server = Server::start_tls(&tls, responds(ok()));
    let nobody = Runner::new(https(server.port, trusting(&authority))).retryable(&request(10));
    assert!(
        matches!(&*nobody.error_type, "tls" | "connection"),
        "{nobody:?}"
    );
    assert!(server.received().is_empty());
    let Signed { certificate, key } = clients.sign(&["me"]);
    let identity = trusting(&authority).with_identity_pem(certificate, key);
    Runner::new(https(server.port, identity)).delivered(&request(10));
}

#[test]
fn a_root_file_is_read_again_when_it_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let root = put(directory.path(), "ca.pem", &old.pem());
    let tls = old.tls("http/1.1");
    let server = Server::start_tls(&tls, responds(ok()));
    let mut runner = Runner::new(https(server.port, trusting_file(&root)));
    runner.delivered(&request(10));
    // The server changes first.
    *tls.lock().unwrap() = new.server("http/1.1", None);
    runner.delivered(&request(10));
    server.cut();
    runner.idle(Duration::from_millis(20));
    assert_eq!(runner.retryable(&request(10)).error_type, "tls");
    put(directory.path(), "ca.pem", &(old.pem() + &new.pem()));
    runner.delivered(&request(10));
    let accepted = server.accepted();
    runner.delivered(&request(10));
    assert_eq!(server.accepted(), accepted);
    // A change closes the existing connection.
    put(directory.path(), "ca.pem", &new.pem());
    runner.delivered(&request(10));
    assert_eq!(server.accepted(), accepted + 1);
}

fn put_identity(directory: &Path, signed: &Signed) -> TlsConfig {
    let certificate = put(directory, "client.pem", &signed.certificate);
    let key = put(directory, "client.key", &signed.key);
    let roots = TlsConfig::default().with_root_file(directory.join("ca.pem"));
    roots.with_identity_files(certificate, key)
}

#[test]
fn an_identity_is_read_again_when_it_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, old, new) = (
        Authority::new("a"),
        Authority::new("old"),
        Authority::new("new"),
    );
    put(directory, "ca.pem", &authority.pem());
    let identity = put_identity(directory, &old.sign(&["me"]));
    let tls = authority.tls("http/1.1");
    *tls.lock().unwrap() = authority.server("http/1.1", Some(&old));
    let server = Server::start_tls(&tls, responds(ok()));
    let mut runner = Runner::new(https(server.port, identity));
    runner.delivered(&request(10));
    *tls.lock().unwrap() = authority.server("http/1.1", Some(&new));
    let signed = new.sign(&["me"]);
    // For a moment the two files do not match.
    put(directory, "client.pem", &signed.certificate);
    let retryable = runner.retryable(&request(10));
    is_unsent(&retryable, "certificate", "client.key");
    put(directory, "client.key", &signed.key);
    runner.delivered(&request(10));
    assert_eq!((server.accepted(), server.received().len()), (2, 2));
}

#[test]
fn a_removed_file_is_reported_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("a");
    let root = put(directory.path(), "ca.pem", &authority.pem());
    let server = serve(&authority);
    let mut runner = Runner::new(https(server.port, trusting_file(&root)));
    runner.delivered(&request(10));
    fs::remove_file(&root).unwrap();
    let retryable = runner.retryable(&request(10));
    is_unsent(&retryable, "certificate", "ca.pem");
    put(directory.path(), "ca.pem", &authority.pem());
    runner.delivered(&request(10));
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for_where_that_is_wished() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("a");
    let root = directory.path().join("ca.pem");
    let server = serve(&authority);
    let config = https(server.port, trusting_file(&root));
    assert!(Client::new(config.clone(), Signal::Metrics).is_err());
    let mut runner = Runner::new(config.with_files_read_on_connect());
    let retryable = runner.retryable(&request(10));
    is_unsent(&retryable, "certificate", "ca.pem");
    put(directory.path(), "ca.pem", &authority.pem());
    runner.delivered(&request(10));
}

#[test]
fn certificates_rotate_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let authorities: Vec<_> = (0..6)
        .map(|index| Authority::new(&index.to_string()))
        .collect();
    let bundle = |from: usize| {
        authorities[from..from + 2]
            .iter()
            .map(Authority::pem)
            .collect::<String>()
    };
    let root = put(directory.path(), "ca.pem", &bundle(0));
    let tls = authorities[0].tls("http/1.1");
    let server = Server::start_tls(&tls, responds(ok()));
    let port = server.port;
    let done = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let done = done.clone();
        move || {
            let config = https(port, trusting_file(&root));
            let mut runner = Runner::new(config);
            let (mut delivered, mut retryable) = (0, 0);
            while !done.load(Ordering::SeqCst) || delivered == 0 {
                match runner.send(&request(1_000)) {
                    Outcome::Delivered(None) => delivered += 1,
                    Outcome::Retryable(failure) if !failure.message.contains("certificate") => {
                        retryable += 1
                    }
                    other => panic!("{other:?}"),
                }
            }
            // Requests also succeed with the last certificate.
            runner.delivered(&request(1_000));
            (delivered, retryable)
        }
    });
    // The new root is trusted before it is used, and the old one as long as it is in use.
    for (next, authority) in authorities.iter().enumerate().take(5).skip(1) {
        std::thread::sleep(Duration::from_millis(50));
        *tls.lock().unwrap() = authority.server("http/1.1", None);
        server.cut();
        std::thread::sleep(Duration::from_millis(50));
        put(directory.path(), "ca.pem", &bundle(next));
    }
    done.store(true, Ordering::SeqCst);
    let (delivered, retryable) = load.join().unwrap();
    assert!(delivered > 10, "{delivered}");
    // Only the requests that were in progress when connections were closed.
    assert!(retryable <= 4, "{retryable}");
    assert!(server.accepted() >= 5, "{}", server.accepted());
}

#[test]
fn invalid_files_are_reported_by_name_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| put(directory.path(), name, contents);
    let authority = Authority::new("a");
    let (mine, other) = (authority.sign(&["me"]), authority.sign(&["me"]));
    let certificate = file("me.pem", &mine.certificate);
    let broken = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
    let none = TlsConfig::default;
    for (tls, name, reported) in [
        (
            none().with_root_file(directory.path().join("absent")),
            "absent",
            "No such file",
        ),
        (
            none().with_root_file(directory.path()),
            "",
            "not a regular file",
        ),
        (
            none().with_root_file(file("empty", "")),
            "empty",
            "there is none",
        ),
        (
            none().with_root_file(file("key", &mine.key)),
            "key",
            "there is none",
        ),
        (
            none().with_root_file(file("broken", broken)),
            "broken",
            "certificates in PEM form",
        ),
        (
            none().with_identity_files(&certificate, file("no.key", "?")),
            "no.key",
            "a private key",
        ),
        (
            none().with_identity_files(&certificate, file("other.key", &other.key)),
            "other.key",
            "the private key of the client certificate",
        ),
    ] {
        let error = Client::new(https(1, tls), Signal::Metrics).unwrap_err();
        let InvalidClient::File(invalid) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(invalid.path, Some(directory.path().join(name)));
        assert!(error.to_string().contains(reported), "{error}");
    }
    let error = Client::new(https(1, none().with_root_pem("?")), Signal::Metrics).unwrap_err();
    assert!(error.to_string().starts_with("given: "), "{error}");
}

#[test]
fn a_program_with_two_providers_does_not_panic() {
    // As in a program that links two providers: rustls cannot choose one.
    assert!(std::panic::catch_unwind(rustls::ClientConfig::builder).is_err());
    let authority = Authority::new("a");
    let server = serve(&authority);
    Runner::new(https(server.port, trusting(&authority))).delivered(&request(10));
}

/// The variable that passes the port of the server to a child of this test.
const CHILD: &str = "PUSH_CLIENT_PORT";

#[test]
fn the_systems_roots_are_trusted_where_none_are_given() {
    // `SSL_CERT_FILE` replaces the system's store, and is set for a separate process.
    if let Some(port) = std::env::var_os(CHILD) {
        let port = port.to_str().unwrap().parse().unwrap();
        Runner::new(https(port, TlsConfig::default())).delivered(&request(10));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let server = serve(&authority);
    for (roots, is_trusted) in [(&authority, true), (&other, false)] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tls::the_systems_roots_are_trusted_where_none_are_given",
            ])
            .env(
                "SSL_CERT_FILE",
                put(directory.path(), "roots.pem", &roots.pem()),
            )
            .env_remove("SSL_CERT_DIR")
            .env(CHILD, server.port.to_string())
            .output();
        let child = child.unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert_eq!(child.status.success(), is_trusted, "{said}");
        assert!(said.contains("running 1 test"), "{said}");
    }
    assert_eq!(server.received().len(), 1);
}
