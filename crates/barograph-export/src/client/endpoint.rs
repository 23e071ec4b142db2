//! A parsed endpoint.

use std::fmt;
use std::path::PathBuf;

use barograph_encode::otlp::Signal;
use barograph_encode::zipkin;

use super::invalid::InvalidUrl;
use super::protocol::Protocol;
use super::url::{Credentials, Host, Url};

/// The destination of requests: a protocol, an address and the credentials in a URL. `Debug` shows
/// neither userinfo nor query.
///
/// ```
/// use barograph_encode::otlp::Signal;
/// use barograph_export::client::{Endpoint, Protocol};
///
/// let endpoint = Endpoint::parse(Protocol::HttpProtobuf, "http://me:secret@collector:4318")?;
/// assert_eq!(endpoint.url(Signal::Traces), "http://collector:4318/v1/traces");
/// # Ok::<_, barograph_export::client::InvalidUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) protocol: Protocol,
    pub(super) is_tls: bool,
    pub(super) address: Address,
    pub(super) credentials: Option<Credentials>,
    has_scheme: bool,
    /// The path of the text; `/` for a socket, whose address has no path for requests.
    base_path: String,
    query: Option<String>,
    path_rule: PathRule,
}

/// The address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(Host),
    Unix(PathBuf),
}

/// The treatment of the path of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathRule {
    SignalAppended,
    Exact,
}

impl Endpoint {
    /// Parses an endpoint: `http://host:port`, `https://host:port`, `unix:/path/of/socket`, and for
    /// gRPC also `host:port`.
    ///
    /// For OTLP over HTTP, the path of the signal, such as `/v1/metrics`, is appended. gRPC defines
    /// its own paths, so a path in the endpoint is ignored. Userinfo becomes a header.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidUrl`] if the text is not an endpoint of the protocol.
    pub fn parse(protocol: Protocol, text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Endpoint {
                protocol,
                is_tls: false,
                address: Address::Unix(socket(text, path)?),
                credentials: None,
                has_scheme: true,
                base_path: "/".to_owned(),
                query: None,
                path_rule: PathRule::SignalAppended,
            });
        }
        let url = Url::parse(text, expected(protocol))?;
        let (is_tls, default_port) = match (url.scheme.as_deref(), protocol) {
            (Some("http"), _) => (false, 80),
            (Some("https"), _) => (true, 443),
            (None, Protocol::Grpc) => (true, 4317),
            _ => return Err(InvalidUrl::new(text, expected(protocol))),
        };
        Ok(Endpoint {
            protocol,
            is_tls,
            address: Address::Tcp(Host {
                name: url.name,
                port: url.port.unwrap_or(default_port),
            }),
            credentials: url.credentials,
            has_scheme: url.scheme.is_some(),
            base_path: url.path,
            query: url.query,
            path_rule: PathRule::SignalAppended,
        })
    }

    /// Returns the default endpoint of a protocol: a receiver on this machine.
    pub fn local(protocol: Protocol) -> Self {
        Endpoint::valid(
            protocol,
            match protocol {
                Protocol::Grpc => "http://localhost:4317",
                Protocol::HttpProtobuf | Protocol::HttpJson => "http://localhost:4318",
                Protocol::Zipkin => zipkin::DEFAULT_ENDPOINT,
            },
        )
    }

    fn valid(protocol: Protocol, text: &str) -> Self {
        Endpoint::parse(protocol, text).expect("the text is an endpoint")
    }

    /// Uses the path of the URL unchanged, as for `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`. The
    /// endpoints of Zipkin always do.
    pub fn with_exact_path(mut self) -> Self {
        self.path_rule = PathRule::Exact;
        self
    }

    /// Uses plaintext if the text had no scheme, as for `OTEL_EXPORTER_OTLP_INSECURE`. A scheme takes
    /// precedence.
    pub fn with_plaintext(mut self) -> Self {
        self.is_tls &= self.has_scheme;
        self
    }

    /// Returns the scheme, host and port, or the socket: the destination without path and secrets.
    pub fn origin(&self) -> String {
        match &self.address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Tcp(_) => format!("{}://{}", self.scheme(), self.authority()),
        }
    }

    /// Returns the URL of the requests of a signal for display, or the socket: without userinfo and
    /// query.
    pub fn url(&self, signal: Signal) -> String {
        match &self.address {
            Address::Unix(_) => self.origin(),
            Address::Tcp(_) => self.origin() + &self.path(signal),
        }
    }

    /// Returns the protocol of requests.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns the port, or `None` for a UNIX socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Unix(_) => None,
            Address::Tcp(host) => Some(host.port),
        }
    }

    /// Returns true if the endpoint has a path or a query that is ignored, because gRPC defines its
    /// own paths.
    pub fn has_unused_path(&self) -> bool {
        self.protocol == Protocol::Grpc && (self.base_path.len() > 1 || self.query.is_some())
    }

    /// Returns the path of requests, without the query.
    fn path(&self, signal: Signal) -> String {
        match (self.protocol, self.path_rule, &self.address) {
            // gRPC servers expect exactly the path of the method, without a prefix.
            (Protocol::Grpc, _, _) => signal.grpc_path().to_owned(),
            (Protocol::Zipkin, _, _) | (_, PathRule::Exact, Address::Tcp(_)) => {
                self.base_path.clone()
            }
            _ => self.base_path.trim_end_matches('/').to_owned() + signal.http_path(),
        }
    }

    /// Returns the path of requests, with the query if there is one.
    pub(super) fn path_and_query(&self, signal: Signal) -> String {
        match self.query() {
            Some(query) => self.path(signal) + "?" + query,
            None => self.path(signal),
        }
    }

    /// Returns the query of requests, which may contain secrets.
    pub(super) fn query(&self) -> Option<&str> {
        let query = self.query.as_deref();
        query.filter(|_| self.protocol != Protocol::Grpc)
    }

    /// Returns the value of `Host` and `:authority`.
    pub(super) fn authority(&self) -> String {
        match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp(host) => {
                let default = if self.is_tls { 443 } else { 80 };
                let authority = host.authority();
                match authority.strip_suffix(&format!(":{default}")) {
                    Some(name) if host.port == default => name.to_owned(),
                    _ => authority,
                }
            }
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Returns true if a proxy cannot take the requests themselves, but only open a tunnel.
    pub(super) fn needs_tunnel(&self) -> bool {
        self.is_tls || self.protocol == Protocol::Grpc
    }

    /// Returns true if the requests can be read on the network: plaintext that leaves this machine.
    pub(super) fn is_readable_by_others(&self) -> bool {
        match &self.address {
            Address::Unix(_) => false,
            Address::Tcp(host) => !self.is_tls && !host.is_loopback(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("protocol", &self.protocol)
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}

fn expected(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "http://host:port, https://host:port, host:port or unix:/path",
        _ => "http://host:port, https://host:port or unix:/path",
    }
}

fn socket(text: &str, path: &str) -> Result<PathBuf, InvalidUrl> {
    // `unix:/path` and `unix:///path` are the same; the part between the second and the third slash
    // would be a host, which a socket does not have.
    let path = path.strip_prefix("//").unwrap_or(path);
    match path.starts_with('/') && path.len() > 1 {
        true => Ok(path.into()),
        false => Err(InvalidUrl::new(text, "unix: and an absolute path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(protocol: Protocol, url: &str) -> Endpoint {
        Endpoint::parse(protocol, url).unwrap()
    }

    #[test]
    fn the_path_of_the_signal_is_appended_to_the_url() {
        let http = Protocol::HttpProtobuf;
        for (url, origin, path) in [
            (
                "http://localhost:4318",
                "http://localhost:4318",
                "/v1/metrics",
            ),
            ("HTTP://Collector", "http://collector", "/v1/metrics"),
            (
                "https://collector:443/otlp/",
                "https://collector",
                "/otlp/v1/metrics",
            ),
            (
                "http://[::1]:4318/?k=v",
                "http://[::1]:4318",
                "/v1/metrics?k=v",
            ),
            ("http://[::1]:80/", "http://[::1]", "/v1/metrics"),
            (
                "http://me:secret@c:4318#top",
                "http://c:4318",
                "/v1/metrics",
            ),
        ] {
            let endpoint = endpoint(http, url);
            assert_eq!(endpoint.origin(), origin, "{url}");
            assert_eq!(endpoint.path_and_query(Signal::Metrics), path, "{url}");
        }
        let exact = endpoint(http, "http://c:1").with_exact_path();
        assert_eq!(exact.path_and_query(Signal::Logs), "/");
        let exact = endpoint(http, "http://c:1/a/?b=c").with_exact_path();
        assert_eq!(exact.path_and_query(Signal::Logs), "/a/?b=c");
        assert_eq!(exact.url(Signal::Logs), "http://c:1/a/");
    }

    #[test]
    fn the_default_endpoint_is_on_this_machine() {
        for (protocol, url) in [
            (Protocol::HttpProtobuf, "http://localhost:4318/v1/traces"),
            (Protocol::HttpJson, "http://localhost:4318/v1/traces"),
            (Protocol::Zipkin, zipkin::DEFAULT_ENDPOINT),
        ] {
            assert_eq!(Endpoint::local(protocol).url(Signal::Traces), url);
        }
        let grpc = Endpoint::local(Protocol::Grpc);
        assert_eq!(grpc.origin(), "http://localhost:4317");
    }

    #[test]
    fn a_grpc_endpoint_needs_no_scheme() {
        let method = Signal::Metrics.grpc_path();
        let secure = endpoint(Protocol::Grpc, "collector:4317");
        assert!(secure.is_tls);
        assert_eq!(secure.path_and_query(Signal::Metrics), method);
        let plain = endpoint(Protocol::Grpc, "collector").with_plaintext();
        assert_eq!(
            (plain.is_tls, &*plain.authority()),
            (false, "collector:4317")
        );
        // A scheme takes precedence.
        assert!(
            endpoint(Protocol::Grpc, "https://collector:1")
                .with_plaintext()
                .is_tls
        );
        for (url, is_unused) in [
            ("http://c:1", false),
            ("http://c:1/", false),
            ("http://c:1/edge", true),
            ("http://c:1/v1/metrics", true),
            ("http://c:1?k=hunter2", true),
            ("unix:/run/otlp.sock", false),
        ] {
            let endpoint = endpoint(Protocol::Grpc, url);
            assert_eq!(endpoint.path_and_query(Signal::Metrics), method, "{url}");
            assert_eq!(endpoint.has_unused_path(), is_unused, "{url}");
        }
    }

    #[test]
    fn a_socket_is_named_by_its_path() {
        for url in ["unix:/run/otlp.sock", "unix:///run/otlp.sock"] {
            let endpoint = endpoint(Protocol::HttpJson, url);
            assert_eq!(endpoint.address, Address::Unix("/run/otlp.sock".into()));
            assert_eq!(endpoint.authority(), "localhost");
            assert_eq!(endpoint.path_and_query(Signal::Metrics), "/v1/metrics");
            assert_eq!(endpoint.url(Signal::Metrics), "unix:/run/otlp.sock");
            let exact = endpoint.with_exact_path();
            assert_eq!(exact.path_and_query(Signal::Logs), "/v1/logs");
        }
    }

    #[test]
    fn an_invalid_endpoint_is_an_error_without_secrets() {
        for url in [
            "",
            "collector:4318",
            "ftp://collector",
            "http://",
            "http://host:",
            "http://host:99999",
            "http://host:0",
            "http://a b",
            "http://:4318",
            "http://::1:4318",
            "http://[::1:4318",
            "http://[c]:4318",
            "//collector:4318",
            "http:/collector",
            "unix:",
            "unix:relative",
            "unix://host/path",
        ] {
            assert!(
                Endpoint::parse(Protocol::HttpProtobuf, url).is_err(),
                "{url}"
            );
        }
        let error = Endpoint::parse(Protocol::HttpProtobuf, "http://me:hunter2@a b?hunter2");
        assert_eq!(error.unwrap_err().url, "http://***@a b?***");
    }
}
