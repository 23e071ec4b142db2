//! Sends requests like the pipeline: on its own runtime, with a timeout.

use std::time::Duration;

use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::client::{Client, ClientConfig, Endpoint, Headers, Protocol};
use barograph_export::{Outcome, PartialSuccess, Permanent, Retryable, Transport};
use tokio::runtime::Runtime;

/// Longer than anything here takes, and still bearable when a test hangs.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) struct Runner {
    runtime: Runtime,
    pub(crate) client: Client,
}

impl Runner {
    #[track_caller]
    pub(crate) fn new(config: ClientConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = Client::new(config, Signal::Metrics).unwrap();
        Runner { runtime, client }
    }

    pub(crate) fn http(port: u16) -> Self {
        Self::new(http(port))
    }

    pub(crate) fn grpc(port: u16) -> Self {
        Self::new(grpc(port))
    }

    /// Makes one attempt, and returns `None` if it is not finished after `limit`.
    pub(crate) fn try_for(&mut self, limit: Duration, request: &Request) -> Option<Outcome> {
        let sending = self.client.send(request);
        self.runtime
            .block_on(async { tokio::time::timeout(limit, sending).await.ok() })
    }

    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) -> Outcome {
        self.try_for(LONG, request).expect("an outcome in time")
    }

    #[track_caller]
    pub(crate) fn delivered(&mut self, request: &Request) -> Option<PartialSuccess> {
        match self.send(request) {
            Outcome::Delivered(partial) => partial,
            other => panic!("not delivered: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn retryable(&mut self, request: &Request) -> Retryable {
        match self.send(request) {
            Outcome::Retryable(retryable) => retryable,
            other => panic!("no retryable: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, request: &Request) -> Permanent {
        match self.send(request) {
            Outcome::Permanent(permanent) => permanent,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Lets the runtime run, as it does while the pipeline waits for its next cycle.
    pub(crate) fn idle(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }
}

pub(crate) fn config_for(protocol: Protocol, endpoint: impl AsRef<str>) -> ClientConfig {
    ClientConfig::new(Endpoint::parse(protocol, endpoint.as_ref()).unwrap())
}

pub(crate) fn headers(list: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in list {
        headers.insert(name, value).unwrap();
    }
    headers
}

pub(crate) fn http(port: u16) -> ClientConfig {
    config_for(Protocol::HttpProtobuf, format!("http://127.0.0.1:{port}"))
}

pub(crate) fn json(port: u16) -> ClientConfig {
    config_for(Protocol::HttpJson, format!("http://127.0.0.1:{port}"))
}

pub(crate) fn grpc(port: u16) -> ClientConfig {
    config_for(Protocol::Grpc, format!("http://127.0.0.1:{port}"))
}

/// A request with a body of `length` bytes without meaning.
pub(crate) fn request(length: usize) -> Request {
    Request {
        signal: Signal::Metrics,
        encoding: Encoding::Protobuf,
        body: (0..length)
            .map(|index| (index % 251) as u8)
            .collect::<Vec<_>>()
            .into(),
        items: 10,
    }
}

pub(crate) fn json_request() -> Request {
    let body = r#"{"resourceMetrics":[]}"#.into();
    Request {
        encoding: Encoding::Json,
        body,
        ..request(0)
    }
}
