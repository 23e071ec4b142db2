//! Tests of paths to certificates, keys and tokens that lead to anything: everything except a small
//! regular file is an immediate error, and is never waited for.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{Client, ClientConfig, Headers, InvalidClient, Protocol, TlsConfig};

use crate::certificates::{Authority, put};
use crate::runner::config_for;

/// Long enough for the slowest machine; a FIFO without a writer would block forever.
const LIMIT: Duration = Duration::from_secs(60);

/// Unusable files, and the error message for each.
fn useless(directory: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |name: &str| directory.join(name);
    assert!(
        Command::new("mkfifo")
            .arg(at("fifo"))
            .status()
            .unwrap()
            .success()
    );
    fs::create_dir(at("directory")).unwrap();
    drop(UnixListener::bind(at("socket")).unwrap());
    symlink(at("fifo"), at("link-to-fifo")).unwrap();
    symlink(at("nothing"), at("link-to-nothing")).unwrap();
    symlink("link-to-itself", at("link-to-itself")).unwrap();
    fs::write(at("empty"), b"").unwrap();
    fs::write(at("bytes"), [0xFF; 1000]).unwrap();
    File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
    vec![
        (at("absent"), "No such file"),
        (at("empty").join("below"), "Not a directory"),
        (at("fifo"), "not a regular file"),
        (at("directory"), "not a regular file"),
        (at("socket"), "not a regular file"),
        (at("link-to-fifo"), "not a regular file"),
        (at("link-to-nothing"), "No such file"),
        (at("link-to-itself"), "symbolic links"),
        (PathBuf::from("/dev/zero"), "not a regular file"),
        (PathBuf::from("/dev/null"), "not a regular file"),
        (at("empty"), ""),
        (at("bytes"), ""),
        (at("huge"), "larger than 4 MiB"),
    ]
}

fn https() -> ClientConfig {
    config_for(Protocol::HttpProtobuf, "https://127.0.0.1:1")
}

/// Creates a client on another thread, and waits for it no longer than the limit.
fn client(config: ClientConfig) -> Result<(), InvalidClient> {
    let (made, client) = mpsc::channel();
    std::thread::spawn(move || made.send(Client::new(config, Signal::Metrics).map(drop)));
    client.recv_timeout(LIMIT).expect("nobody waits for a file")
}

#[test]
fn a_path_that_leads_to_no_certificate_is_an_error_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("a");
    let mine = authority.sign(&["me"]);
    let certificate = put(directory.path(), "me.pem", &mine.certificate);
    let key = put(directory.path(), "me.key", &mine.key);
    for (path, reported) in useless(directory.path()) {
        let none = TlsConfig::default;
        for config in [
            https().with_tls(none().with_root_file(&path)),
            https().with_tls(none().with_identity_files(&path, &key)),
            https().with_tls(none().with_identity_files(&certificate, &path)),
        ] {
            let error = client(config).unwrap_err();
            let InvalidClient::File(invalid) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(invalid.path.as_ref(), Some(&path));
            assert!(error.to_string().contains(reported), "{error}");
        }
    }
    // Kubernetes mounts certificates as links.
    let link = directory.path().join("link");
    symlink(&certificate, &link).unwrap();
    let identity = TlsConfig::default().with_identity_files(&link, &key);
    assert_eq!(client(https().with_tls(identity)), Ok(()));
}

#[test]
fn a_path_that_leads_to_no_token_is_an_error_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for (path, reported) in useless(directory.path()) {
        let config = config_for(Protocol::HttpProtobuf, "http://127.0.0.1:1");
        let is_token = path.ends_with("bytes");
        let made = client(config.with_headers(Headers::new().with_token_file(path)));
        match made {
            Ok(()) => assert!(is_token, "any bytes but control characters may be one"),
            Err(error) => assert!(error.to_string().contains(reported) && !is_token, "{error}"),
        }
    }
}

#[test]
fn files_in_place_of_the_system_roots_are_checked_before_they_are_read() {
    let test = "files::files_in_place_of_the_system_roots_are_checked_before_they_are_read";
    const CHILD: &str = "PUSH_CLIENT_ROOTS";
    if std::env::var_os(CHILD).is_some() {
        match client(https()) {
            Ok(()) => println!("made"),
            Err(error) => println!("refused: {error}"),
        }
        return;
    }
    let run = |variable: &str, path: &Path| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .env(variable, path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{path:?} {child:?}");
        String::from_utf8(child.stdout).unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    for (path, reported) in useless(directory.path()) {
        let said = run("SSL_CERT_FILE", &path);
        assert!(said.contains("refused: "), "{path:?}: {said}");
        assert!(said.contains(reported), "{path:?}: {said}");
    }
    let said = run("SSL_CERT_DIR", directory.path());
    assert!(said.contains("larger than 4 MiB"), "{said}");
    // Entries beside a certificate that are not regular files are ignored.
    fs::remove_file(directory.path().join("huge")).unwrap();
    put(directory.path(), "ca.pem", &Authority::new("a").pem());
    let said = run("SSL_CERT_DIR", directory.path());
    assert!(said.contains("made"), "{said}");
}
