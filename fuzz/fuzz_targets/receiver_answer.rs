//! Any response of a receiver, or of a proxy in between, becomes an outcome whose message is short,
//! on one line and without our secrets.
#![no_main]

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use arbitrary::Arbitrary;
use barograph_encode::otlp::{Request, Signal};
use barograph_export::client::{
    Client, ClientConfig, Endpoint, Headers, Protocol, Proxy, ProxyConfig,
};
use barograph_export::{Outcome, Transport};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    way: Way,
    head: Head<'a>,
    body: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Way {
    Protobuf,
    Json,
    Grpc,
    /// A proxy that is asked for a tunnel.
    Tunnel,
}

/// The response up to the body.
#[derive(Arbitrary, Debug)]
enum Head<'a> {
    Raw(&'a [u8]),
    Status {
        status: u16,
        /// Headers that a client reads.
        names: Vec<(u8, &'a str)>,
    },
}

const NAMES: [&str; 8] = [
    "Retry-After",
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "Transfer-Encoding",
    "Location",
    "Connection",
    "Date",
];

const SECRET: &str = "S3CRET";

/// Ignores SIGPIPE, as Rust's runtime does at the start of `main`; a fuzz target does not have it.
static PIPES_ARE_ERRORS: LazyLock<()> = LazyLock::new(|| {
    // SAFETY: no handler is set, and no other thread runs yet that could set one.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
});

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

fuzz_target!(|input: Input<'_>| {
    LazyLock::force(&PIPES_ARE_ERRORS);
    let answer = [&input.head.bytes(), input.body].concat();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let receiver = thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            return;
        };
        // The request is small and arrives in one piece, or the response is sent first.
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(Shutdown::Both);
    });
    let receiver_url = format!("http://{address}");
    let (protocol, url) = match input.way {
        Way::Protobuf => (Protocol::HttpProtobuf, &*receiver_url),
        Way::Json => (Protocol::HttpJson, &*receiver_url),
        Way::Grpc => (Protocol::Grpc, &*receiver_url),
        Way::Tunnel => (Protocol::Grpc, "http://192.0.2.1:4317"),
    };
    let endpoint = Endpoint::parse(protocol, url).expect("a valid URL");
    let headers = Headers::new().with("x-key", SECRET).expect("a valid header");
    let mut config = ClientConfig::new(endpoint).with_headers(headers);
    if let Way::Tunnel = input.way {
        let proxy = Proxy::parse(&format!("http://me:{SECRET}@{address}")).expect("a valid URL");
        config = config.with_proxy(ProxyConfig::default().with_https(proxy));
    }
    let encoding = match input.way {
        Way::Json => Protocol::HttpJson.encoding(),
        _ => Protocol::HttpProtobuf.encoding(),
    };
    let mut client = Client::new(config, Signal::Metrics).expect("all of it is in order");
    let request = Request {
        signal: Signal::Metrics,
        encoding,
        body: "{}".into(),
        items: 7,
    };
    let outcome = RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime")
        });
        let limit = Duration::from_secs(5);
        runtime.block_on(async { tokio::time::timeout(limit, client.send(&request)).await })
    });
    receiver.join().expect("it does not panic");
    let message = match outcome.expect("the connection was closed") {
        Outcome::Delivered(partial) => {
            let partial = partial.unwrap_or_default();
            assert!(partial.rejected <= request.items);
            partial.message
        }
        Outcome::Retryable(setback) => setback.message,
        Outcome::Permanent(refusal) => refusal.message,
        other => panic!("{other:?}"),
    };
    assert!(message.len() < 2048, "{} bytes", message.len());
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(!message.contains(SECRET), "{message}");
});

impl Head<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Head::Raw(bytes) => bytes.to_vec(),
            Head::Status { status, names } => {
                let mut head = format!("HTTP/1.1 {} x\r\n", 100 + status % 500);
                for (name, value) in names {
                    let name = NAMES[usize::from(*name) % NAMES.len()];
                    head += &format!("{name}: {value}\r\n");
                }
                (head + "\r\n").into_bytes()
            }
        }
    }
}
