//! For any request, its spans have text of bounded length from each part, and a client's span has
//! the host and port that the crate `http` parses from the URL.
#![no_main]

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{LazyLock};
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use barograph_core::record_queue::RecordQueue;
use barograph_tracing::trace::TraceLayer;
use barograph::{HttpClientLayer, HttpServerLayer, layers::TrustedProxies};
use barograph_model::span::SpanRecord;
use barograph::span::AnyValue;
use barograph::Registry;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::{Layer, Service, service_fn};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

type Body = Empty<Bytes>;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    method: &'a [u8],
    uri: Target<'a>,
    headers: Vec<(u8, Text<'a>)>,
    peer: Option<u32>,
    status: u16,
}

#[derive(Arbitrary, Debug)]
enum Target<'a> {
    Any(&'a [u8]),
    Url {
        https: bool,
        authority: &'a str,
        rest: &'a str,
    },
    Long(u16),
}

#[derive(Arbitrary, Debug)]
enum Text<'a> {
    Bytes(&'a [u8]),
    Long(u8, u16),
}

const NAMES: [&str; 14] = [
    "host",
    "user-agent",
    "content-length",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "uber-trace-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "content-type",
    "other",
];

/// A little more than the layers' limit, since a secret at the cut may become `REDACTED`.
const LONGEST: usize = 2048 + 32;

struct Setup {
    spans: RecordQueue<SpanRecord>,
    subscriber: Dispatch,
    server: HttpServerLayer,
    client: HttpClientLayer,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let registry = Registry::new();
    let spans = RecordQueue::new(64);
    let layer = TraceLayer::new(spans.clone());
    let proxies = TrustedProxies::new(["10.0.0.0/8"]).expect("it is a network");
    Setup {
        spans,
        subscriber: Dispatch::new(tracing_subscriber::registry().with(layer)),
        server: HttpServerLayer::builder()
            .with_registry(&registry)
            .with_trusted_proxies(proxies)
            .build(),
        client: HttpClientLayer::builder().with_registry(&registry).build(),
    }
});

fuzz_target!(|input: Input<'_>| {
    let Some(request) = input.request() else {
        return;
    };
    let uri = request.uri().clone();
    let status = input.status;
    let answer = move |_: Request<Body>| {
        let response = Response::builder().status(status).body(Body::new());
        ready(Ok::<_, Infallible>(
            response.unwrap_or_else(|_| Response::new(Body::new())),
        ))
    };
    let setup = &*SETUP;
    tracing::dispatcher::with_default(&setup.subscriber, || {
        drive(setup.server.layer(service_fn(answer)).call(request.clone()));
        drive(setup.client.layer(service_fn(answer)).call(request));
    });
    let mut spans = 0;
    while let Some(span) = setup.spans.pop() {
        spans += 1;
        for attribute in &span.attributes {
            if let AnyValue::Str(text) = &attribute.value {
                assert!(text.len() <= LONGEST, "{}", attribute.key);
            }
        }
        if span.kind.as_str() == "client" {
            check_server(&uri, &span);
        }
    }
    assert_eq!(spans, 2);
});

fn check_server(uri: &Uri, span: &SpanRecord) {
    let attribute = |key| {
        span.attributes
            .iter()
            .find(|attribute| attribute.key == key)
    };
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    if host.is_empty() || host.len() > 2048 {
        return;
    }
    let address = attribute("server.address").map(|attribute| &attribute.value);
    assert_eq!(address, Some(&AnyValue::from(host.to_owned())));
    if let Some(port) = uri.port_u16() {
        let told = attribute("server.port").map(|attribute| &attribute.value);
        assert_eq!(told, Some(&AnyValue::I64(port.into())));
    }
}

fn drive<T>(future: impl Future<Output = Result<T, Infallible>>) {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = pin!(future).poll(&mut cx);
    assert!(matches!(polled, Poll::Ready(Ok(_))));
}

impl Input<'_> {
    fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::new(Body::new());
        *request.method_mut() = Method::from_bytes(self.method).unwrap_or(Method::GET);
        *request.uri_mut() = self.uri.uri()?;
        for (name, text) in &self.headers {
            let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
            if let Ok(value) = HeaderValue::from_bytes(&text.bytes()) {
                request.headers_mut().append(name, value);
            }
        }
        if let Some(bits) = self.peer {
            let peer = SocketAddr::from((std::net::Ipv4Addr::from_bits(bits), 80));
            request.extensions_mut().insert(peer);
        }
        Some(request)
    }
}

impl Target<'_> {
    fn uri(&self) -> Option<Uri> {
        match *self {
            Target::Any(bytes) => Uri::try_from(bytes).ok(),
            Target::Url {
                https,
                authority,
                rest,
            } => {
                let scheme = if https { "https" } else { "http" };
                format!("{scheme}://{authority}/{rest}").parse().ok()
            }
            Target::Long(length) => format!("/{0}?{0}", "x".repeat(length.into())).parse().ok(),
        }
    }
}

impl Text<'_> {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Text::Bytes(bytes) => bytes.to_vec(),
            Text::Long(byte, length) => vec![byte; length.into()],
        }
    }
}
