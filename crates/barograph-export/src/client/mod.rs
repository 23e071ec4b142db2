//! The network transport: gRPC, protobuf and JSON over HTTP, and Zipkin, on one connector.
//!
//! A [`Client`] holds one connection and sends one request at a time on it. The protocols differ in
//! their headers and in the meaning of a response; name resolution, sockets, proxies, TLS,
//! connection age, limits and secrets are the same for all of them, and each is one module here.
//!
//! * A connection is kept between requests. It is replaced, with a new name resolution, when it
//!   has reached its maximum age, when a certificate file has changed, or when it broke.
//! * Nothing is read without a limit, and messages of a receiver are truncated, escaped and stripped
//!   of the client's secrets before they are shown.
//! * Redirections are rejected: credentials are meant for the configured host.
//! * Nothing here logs, by `tracing` or otherwise; HTTP/2 does, and is suppressed.
//!
//! # Limits on input from peers
//!
//! | what | limit |
//! |---|---|
//! | connecting, TLS, a slow response | the timeout of the request; then its connection is dropped |
//! | addresses of a name | 8, and 2 s for each but the last |
//! | the response of a proxy to `CONNECT` | 16 KiB |
//! | redirections | rejected; the `Location` is only reported |
//! | the head of a response over HTTP/1.1 | 100 fields in 408 KiB, by hyper |
//! | HTTP/2 head and trailers, frames, pushes, resets | 16 KiB, 5 MiB windows, none, 1,024, by hyper, h2 |
//! | a body, whatever its `Content-Length` | 4 MiB |
//! | everything read for one request: interim responses, heads, frames, the body | 8 MiB |
//! | a compressed body | 4 MiB after decompression, with a window of 8 MiB |
//! | JSON, protobuf | 128 levels; as deep as the messages that are decoded |
//! | the length in front of a gRPC message | must be the length of the body, otherwise it is not decoded |
//! | the number of rejected items | at most the number sent, and 0 if negative |
//! | `Retry-After`, `RetryInfo` | the longest pause of the [`RetryPolicy`](crate::RetryPolicy) |
//! | messages, statuses, details, the `Location` | 512 bytes, escaped |
//! | kinds of errors | 16 in metrics, 32 in the log |
//!
//! Why not reqwest, or hyper's own client? They choose TLS and proxies by the environment, follow
//! redirections, and do not report whether a request that failed was sent.

mod protocol;
mod invalid;
mod url;
mod endpoint;
mod proxy;
mod message;
mod small_file;
mod headers;
mod config;
mod settings;
mod body;
mod response;
mod json;
mod over_http;
mod over_grpc;
mod tls;
mod connect;
mod suppressed;
mod connection;
mod probe;

use std::future::Future;
use std::pin::Pin;

use barograph_model::cause::CONNECTION_FAILED;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Incoming;

pub use self::config::{ClientConfig, Compression, TlsConfig};
pub use self::endpoint::Endpoint;
pub use self::headers::Headers;
pub use self::invalid::{InvalidClient, InvalidFile, InvalidHeader, InvalidUrl, MissingFeature};
pub use self::probe::{ClockDifference, Probe};
pub use self::protocol::Protocol;
pub use self::proxy::{Proxy, ProxyConfig};

use self::body::{MAX_REQUEST, Received, RequestBody, compress, receive};
use self::connect::{Route, Unconnected};
use self::connection::{Connection, Unanswered, Version};
use self::endpoint::Address;
use self::message::causes;
use self::probe::Head;
use self::response::{Arrival, OutcomeBuilder, Response};
use self::settings::Settings;
use crate::outcome::{Outcome, Permanent};
use crate::transport::{Target, Transport};
use barograph_encode::otlp::{Encoding, Request, Signal};

/// A client that sends requests of one signal to one receiver, over gRPC or HTTP.
///
/// ```
/// use barograph_encode::otlp::Signal;
/// use barograph_export::client::{
///     Client, ClientConfig, Compression, Endpoint, Headers, Protocol,
/// };
///
/// let endpoint = Endpoint::parse(Protocol::HttpProtobuf, "http://localhost:4318")?;
/// let config = ClientConfig::new(endpoint)
///     .with_headers(Headers::new().with("x-tenant", "shop")?)
///     .with_compression(Compression::Gzip);
/// let client = Client::new(config, Signal::Metrics)?;
/// # Ok::<_, barograph_export::client::InvalidClient>(())
/// ```
pub struct Client {
    settings: Settings,
    signal: Signal,
    target: Target,
    tls: Option<tls::Tls>,
    /// `None` while a request is in progress: when an attempt is canceled, its connection is
    /// dropped too.
    connection: Option<Connection>,
}

impl Client {
    /// Creates a client. Connects only when there is something to send.
    ///
    /// # Errors
    ///
    /// Returns an error for everything that would make each request fail: a missing or invalid file,
    /// a feature that this build lacks, a URL that is too long with the path of the signal.
    pub fn new(config: ClientConfig, signal: Signal) -> Result<Self, InvalidClient> {
        let (tls, files) = (config.tls.clone(), config.files);
        let settings = Settings::new(config, signal)?;
        let tls = {
            let proxy = settings.proxy.as_ref();
            let is_wanted = settings.endpoint.is_tls || proxy.is_some_and(|proxy| proxy.is_tls);
            let alpn = version(settings.endpoint.protocol).alpn();
            let new = || tls::Tls::new(tls, alpn, files);
            is_wanted.then(new).transpose()?
        };
        Ok(Client {
            target: target(&settings, signal),
            settings,
            signal,
            tls,
            connection: None,
        })
    }

    async fn try_once(&mut self, request: &Request) -> Outcome {
        self.attempt(request).await.0
    }

    /// Sends a request once. Returns the head of the response as well, if there was one.
    async fn attempt(&mut self, request: &Request) -> (Outcome, Option<Head>) {
        let mut secrets = self.settings.secrets.clone();
        let head = self.settings.head(&mut secrets);
        let outcomes = OutcomeBuilder {
            secrets: &secrets,
            items: request.items,
        };
        let body = match self.body(request, &outcomes) {
            Ok(body) => body,
            Err(outcome) => return (outcome, None),
        };
        let mut head = match head {
            Ok(head) => head,
            // The next version of the file may be valid.
            Err(invalid) => {
                let message = invalid.to_string();
                let outcome = outcomes.retryable("header_file", &message, None, Arrival::Excluded);
                return (outcome, None);
            }
        };
        self.set_headers(&mut head.headers, request);
        let sent = self.exchange(http::Request::from_parts(head, body)).await;
        let (connection, response) = match sent {
            Ok(sent) => sent,
            Err(Failed {
                kind,
                message,
                arrival,
            }) => {
                return (outcomes.retryable(kind, &message, None, arrival), None);
            }
        };
        let (head, body) = response.into_parts();
        let seen = Head::new(head.status, &head.headers);
        let outcome = match receive(body).await {
            Received::Complete(body, trailers) => {
                self.connection = connection.has_sent_all().then_some(connection);
                let (status, headers) = (head.status, head.headers);
                let response = Response {
                    status,
                    headers,
                    body,
                    trailers,
                };
                match self.settings.endpoint.protocol {
                    Protocol::Grpc => over_grpc::outcome(&response, &outcomes),
                    Protocol::Zipkin => over_http::plain_outcome(&response, &outcomes),
                    _ => over_http::outcome(&response, request.encoding, &outcomes),
                }
            }
            Received::TooLarge => outcomes.response_too_large(),
            Received::Broken(error) => {
                let message = format!("the response ended early: {}", causes(&error));
                outcomes.retryable("connection", &message, None, Arrival::Possible)
            }
        };
        (outcome, Some(seen))
    }

    /// Returns the body to send, or the outcome if the request cannot be sent.
    fn body(
        &self,
        request: &Request,
        outcomes: &OutcomeBuilder<'_>,
    ) -> Result<RequestBody, Outcome> {
        if request.encoding != self.settings.endpoint.protocol.encoding() {
            let message = format!(
                "{:?} does not go over {:?}",
                request.encoding, self.settings.endpoint.protocol
            );
            return Err(outcomes.permanent("encoding", &message));
        }
        if self.settings.endpoint.protocol == Protocol::Zipkin && request.signal != Signal::Traces {
            let message = format!("Zipkin takes no {}", request.signal.as_str());
            return Err(outcomes.permanent("encoding", &message));
        }
        let check = |body: &Bytes, how| match body.len() > MAX_REQUEST {
            true => {
                let message = format!("{} bytes{how}: more than 64 MiB are not sent", body.len());
                Err(outcomes.permanent(Permanent::TOO_LARGE, &message))
            }
            false => Ok(()),
        };
        check(&request.body, "")?;
        let body = compress(&request.body, self.settings.compression).map_err(|error| {
            outcomes.permanent("compression", &format!("cannot be compressed: {error}"))
        })?;
        check(&body, ", compressed")?;
        Ok(match self.settings.endpoint.protocol {
            Protocol::Grpc => over_grpc::frame(body, self.settings.compression),
            _ => RequestBody::new(Bytes::new(), body),
        })
    }

    fn set_headers(&self, headers: &mut HeaderMap, request: &Request) {
        match self.settings.endpoint.protocol {
            Protocol::Grpc => over_grpc::set_headers(headers, self.settings.compression),
            _ => over_http::set_headers(headers, request.encoding, self.settings.compression),
        }
    }

    /// Sends a request on the existing connection or on a new one, and waits for the head of the
    /// response.
    async fn exchange(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<(Connection, http::Response<Incoming>), Failed> {
        let request = match self.reusable_connection().await {
            None => request,
            Some(mut connection) => match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                // The receiver closed it in the meantime, which is legitimate and not a failure.
                Err(Unanswered::Unsent(request)) => *request,
                Err(broken) => return Err(broken.into()),
            },
        };
        let mut connection = self.connect().await?;
        let response = connection.send(request).await?;
        Ok((connection, response))
    }

    /// Returns the existing connection if it may be reused.
    async fn reusable_connection(&mut self) -> Option<Connection> {
        let connection = self.connection.take()?;
        // Lets the connection task notice that the peer has closed it.
        tokio::task::yield_now().await;
        let is_old = connection.age() >= self.settings.max_age
            || self.tls.as_ref().is_some_and(tls::Tls::has_changed);
        match connection.is_open() && !is_old {
            true => Some(connection),
            false => {
                connection.retire();
                None
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, Failed> {
        let (tls, proxy_tls) = match self.tls.as_mut().map(tls::Tls::connectors).transpose() {
            Ok(connectors) => connectors.map(|both| (both.endpoint, both.proxy)).unzip(),
            Err(invalid) => {
                return Err(Unconnected::new("certificate", invalid.to_string()).into());
            }
        };
        let route = Route {
            endpoint: &self.settings.endpoint,
            proxy: self.settings.proxy.as_ref(),
            tls,
            proxy_tls,
            user_agent: &self.settings.user_agent,
        };
        let stream = route.connect().await?;
        let connection = Connection::new(stream, version(self.settings.endpoint.protocol)).await;
        connection.map_err(|error| Unconnected::new(CONNECTION_FAILED, causes(&error)).into())
    }
}

impl Transport for Client {
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        match self.settings.endpoint.protocol {
            Protocol::Grpc => Box::pin(suppressed::Suppressed::new(self.try_once(request))),
            _ => Box::pin(self.try_once(request)),
        }
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn encoding(&self) -> Encoding {
        self.settings.endpoint.protocol.encoding()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// The reason why there is no response.
struct Failed {
    kind: &'static str,
    message: String,
    arrival: Arrival,
}

impl From<Unconnected> for Failed {
    fn from(Unconnected { kind, message }: Unconnected) -> Self {
        Failed {
            kind,
            message,
            arrival: Arrival::Excluded,
        }
    }
}

impl From<Unanswered> for Failed {
    fn from(unanswered: Unanswered) -> Self {
        let (message, arrival) = match unanswered {
            Unanswered::Unsent(_) => {
                let message = "closed before anything was sent".to_owned();
                (message, Arrival::Excluded)
            }
            Unanswered::Broken { message, arrival } => (message, arrival),
        };
        Failed {
            kind: "connection",
            message,
            arrival,
        }
    }
}

fn version(protocol: Protocol) -> Version {
    match protocol {
        Protocol::Grpc => Version::Http2,
        _ => Version::Http1,
    }
}

/// Returns the description of the receiver.
///
/// Source: the semantic conventions of OpenTelemetry, `otel.component.type`.
fn target(settings: &Settings, signal: Signal) -> Target {
    let component_type = match (settings.endpoint.protocol, signal) {
        (Protocol::Grpc, Signal::Metrics) => "otlp_grpc_metric_exporter",
        (Protocol::Grpc, Signal::Traces) => "otlp_grpc_span_exporter",
        (Protocol::Grpc, Signal::Logs) => "otlp_grpc_log_exporter",
        (Protocol::HttpProtobuf, Signal::Metrics) => "otlp_http_metric_exporter",
        (Protocol::HttpProtobuf, Signal::Traces) => "otlp_http_span_exporter",
        (Protocol::HttpProtobuf, Signal::Logs) => "otlp_http_log_exporter",
        (Protocol::HttpJson, Signal::Metrics) => "otlp_http_json_metric_exporter",
        (Protocol::HttpJson, Signal::Traces) => "otlp_http_json_span_exporter",
        (Protocol::HttpJson, Signal::Logs) => "otlp_http_json_log_exporter",
        (Protocol::Zipkin, _) => "zipkin_http_exporter",
    };
    let (host, port) = match &settings.endpoint.address {
        Address::Tcp(host) => (host.name.clone(), Some(host.port)),
        Address::Unix(path) => (path.display().to_string(), None),
    };
    Target {
        url: settings.endpoint.url(signal),
        component_type,
        host,
        port,
    }
}
