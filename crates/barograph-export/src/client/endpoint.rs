//! A parsed endpoint.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;

use super::config::{ClientConfig, PathRule, Protocol, Security};
use super::invalid::InvalidUrl;
use barograph_encode::otlp::Signal;

/// The destination of requests, as parsed by [`ClientConfig::endpoint`]. `Debug` and `Display` show
/// neither userinfo nor query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) is_tls: bool,
    pub(super) place: Place,
    /// The path of requests, with the query if there is one.
    pub(super) path: String,
    /// The value `Basic ...`, if the endpoint had userinfo.
    pub(super) basic: Option<String>,
    has_unused_path: bool,
}

/// The address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(Host),
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// A name in lower case, or an address without brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

impl Host {
    pub(super) fn is_loopback(&self) -> bool {
        let name = self.name.trim_end_matches('.');
        match name.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            // RFC 6761, 6.3: subdomains too.
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Returns the host and port as in a URL.
    pub(super) fn authority(&self) -> String {
        let Host { name, port } = self;
        match name.contains(':') {
            true => format!("[{name}]:{port}"),
            false => format!("{name}:{port}"),
        }
    }
}

impl ClientConfig {
    /// Parses the endpoint for a signal, by the same rules as [`Client::new`](super::Client::new).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidUrl`] if the text is not an endpoint of the protocol.
    pub fn endpoint(&self, signal: Signal) -> Result<Endpoint, InvalidUrl> {
        Endpoint::new(self, signal)
    }
}

impl Endpoint {
    /// Returns the scheme, host and port, or the socket: the destination without path and secrets.
    pub fn origin(&self) -> String {
        match &self.place {
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Tcp(_) => format!("{}://{}", self.scheme(), self.authority()),
        }
    }

    /// Returns the port, or `None` for a UNIX socket.
    pub fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Unix(_) => None,
            Place::Tcp(host) => Some(host.port),
        }
    }

    /// Returns true if the endpoint has a path or a query that is ignored, because gRPC defines its
    /// own paths.
    pub fn has_unused_path(&self) -> bool {
        self.has_unused_path
    }

    pub(super) fn new(config: &ClientConfig, signal: Signal) -> Result<Self, InvalidUrl> {
        let text = config.endpoint.trim();
        let (is_tls, place, url) = match text.strip_prefix("unix:") {
            Some(path) => (false, Place::Unix(socket(text, path)?), None),
            None => {
                let url = Url::parse(text, expected(config.protocol))?;
                let is_tls = match (url.scheme.as_deref(), config.protocol) {
                    (Some("http"), _) => false,
                    (Some("https"), _) => true,
                    (None, Protocol::Grpc) => config.without_scheme == Security::Tls,
                    _ => return Err(InvalidUrl::new(text, expected(config.protocol))),
                };
                let port = match (url.scheme.is_some(), is_tls) {
                    (true, false) => 80,
                    (true, true) => 443,
                    (false, _) => 4317,
                };
                let (name, port) = (url.name.clone(), url.port.unwrap_or(port));
                (is_tls, Place::Tcp(Host { name, port }), Some(url))
            }
        };
        let (base, query) = url
            .as_ref()
            .map_or(("/", None), |url| (&*url.path, url.query.as_deref()));
        let is_grpc = config.protocol == Protocol::Grpc;
        let mut path = match (config.protocol, config.path) {
            // gRPC servers expect exactly the path of the method, without a prefix.
            (Protocol::Grpc, _) => signal.grpc_path().to_owned(),
            (Protocol::Zipkin, _) => base.to_owned(),
            (_, PathRule::AsIs) if url.is_some() => base.to_owned(),
            // A socket's address has no path for requests.
            _ => base.trim_end_matches('/').to_owned() + signal.http_path(),
        };
        if let Some(query) = query.filter(|_| !is_grpc) {
            path = path + "?" + query;
        }
        let has_unused_path = is_grpc && (base.len() > 1 || query.is_some());
        let basic = url
            .and_then(|url| url.userinfo)
            .map(|userinfo| basic(&userinfo));
        Ok(Endpoint {
            is_tls,
            place,
            path,
            basic,
            has_unused_path,
        })
    }

    /// Returns the value of `Host` and `:authority`.
    pub(super) fn authority(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp(host) => {
                let default = if self.is_tls { 443 } else { 80 };
                let authority = host.authority();
                match authority.strip_suffix(&format!(":{default}")) {
                    Some(name) if host.port == default => name.to_owned(),
                    _ => authority,
                }
            }
        }
    }

    /// Returns the whole URL, with path and query.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Returns true if the requests can be read on the network: plaintext that leaves this machine.
    pub(super) fn is_readable_by_others(&self) -> bool {
        match &self.place {
            Place::Unix(_) => false,
            Place::Tcp(host) => !self.is_tls && !host.is_loopback(),
        }
    }

    /// Returns the URL for display, without userinfo and query.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Tcp(_) => self.url().split('?').next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
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

/// A URL with a host, or a `host:port` in its place.
pub(super) struct Url {
    /// The scheme in lower case.
    pub(super) scheme: Option<String>,
    pub(super) userinfo: Option<String>,
    pub(super) name: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Url {
    pub(super) fn parse(text: &str, expected: &'static str) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl::new(text, expected);
        // `host:4317/path` is not a URI without a scheme, so one is added.
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        let userinfo = authority
            .as_str()
            .rsplit_once('@')
            .map(|(userinfo, _)| userinfo.to_owned());
        let host = authority.host();
        let name = match host.strip_prefix('[') {
            Some(rest) => {
                let address = rest.strip_suffix(']').ok_or_else(invalid)?;
                address.parse::<Ipv6Addr>().map_err(|_| invalid())?;
                address.to_ascii_lowercase()
            }
            None => host.to_ascii_lowercase(),
        };
        // `host:` and `host:99999` have an authority, but no port.
        let after_host = authority
            .as_str()
            .rsplit_once(authority.host())
            .map(|(_, port)| port);
        let port = authority.port_u16();
        if name.is_empty() || (port.is_none() && after_host != Some("")) || port == Some(0) {
            return Err(invalid());
        }
        let (path, query) = (uri.path().to_owned(), uri.query().map(str::to_owned));
        Ok(Url {
            scheme,
            userinfo,
            name,
            port,
            path,
            query,
        })
    }
}

/// Returns the value of a header with `userinfo`, whose parts are percent-encoded.
///
/// Source: RFC 7617.
pub(super) fn basic(userinfo: &str) -> String {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let pair = [&percent_decoded(user)[..], b":", &percent_decoded(password)].concat();
    format!("Basic {}", STANDARD.encode(pair))
}

/// Decodes percent-encoding. Invalid sequences are kept unchanged.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let encoded = match after {
            [high, low, ..] if byte == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match encoded {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(protocol: Protocol, url: &str) -> Result<Endpoint, InvalidUrl> {
        Endpoint::new(&ClientConfig::new(protocol, url), Signal::Metrics)
    }

    #[test]
    fn endpoints_are_taken_apart() {
        let http = Protocol::HttpProtobuf;
        for (url, whole) in [
            ("http://localhost:4318", "http://localhost:4318/v1/metrics"),
            ("HTTP://Collector", "http://collector/v1/metrics"),
            (
                "https://collector:443/otlp/",
                "https://collector/otlp/v1/metrics",
            ),
            ("http://[::1]:4318/?k=v", "http://[::1]:4318/v1/metrics?k=v"),
            ("http://[::1]:80/", "http://[::1]/v1/metrics"),
            ("http://me:secret@c:4318#top", "http://c:4318/v1/metrics"),
        ] {
            assert_eq!(endpoint(http, url).unwrap().url(), whole, "{url}");
        }
        let exact = ClientConfig::new(http, "http://c:1").with_exact_path();
        assert_eq!(Endpoint::new(&exact, Signal::Logs).unwrap().path, "/");
        let exact = ClientConfig::new(http, "http://c:1/a/?b=c").with_exact_path();
        assert_eq!(Endpoint::new(&exact, Signal::Logs).unwrap().path, "/a/?b=c");
    }

    #[test]
    fn a_grpc_endpoint_needs_no_scheme() {
        let method = Signal::Metrics.grpc_path();
        let secure = endpoint(Protocol::Grpc, "collector:4317").unwrap();
        assert_eq!((secure.is_tls, secure.path), (true, method.to_owned()));
        let plain = ClientConfig::new(Protocol::Grpc, "collector").with_plaintext();
        let plain = Endpoint::new(&plain, Signal::Metrics).unwrap();
        assert_eq!(
            (plain.is_tls, &*plain.authority()),
            (false, "collector:4317")
        );
        // A scheme decides for itself.
        let config = ClientConfig::new(Protocol::Grpc, "https://collector:1").with_plaintext();
        assert!(Endpoint::new(&config, Signal::Metrics).unwrap().is_tls);
        for (url, is_unused) in [
            ("http://c:1", false),
            ("http://c:1/", false),
            ("http://c:1/edge", true),
            ("http://c:1/v1/metrics", true),
            ("http://c:1?k=hunter2", true),
            ("unix:/run/otlp.sock", false),
        ] {
            let endpoint = endpoint(Protocol::Grpc, url).unwrap();
            assert_eq!(endpoint.path, method, "{url}");
            assert_eq!(endpoint.has_unused_path(), is_unused, "{url}");
            assert!(!endpoint.url().contains("hunter2"));
        }
    }

    #[test]
    fn sockets_are_named_by_their_path() {
        for url in ["unix:/run/otlp.sock", "unix:///run/otlp.sock"] {
            let endpoint = endpoint(Protocol::HttpJson, url).unwrap();
            assert_eq!(endpoint.place, Place::Unix("/run/otlp.sock".into()));
            assert_eq!(endpoint.url(), "http://localhost/v1/metrics");
            assert_eq!(endpoint.shown(), "unix:/run/otlp.sock");
            let exact = ClientConfig::new(Protocol::HttpJson, url).with_exact_path();
            assert_eq!(
                Endpoint::new(&exact, Signal::Logs).unwrap().path,
                "/v1/logs"
            );
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told_without_its_secrets() {
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
            assert!(endpoint(Protocol::HttpProtobuf, url).is_err(), "{url}");
        }
        let error = endpoint(Protocol::HttpProtobuf, "http://me:hunter2@a b?hunter2").unwrap_err();
        assert_eq!(error.url, "http://***@a b?***");
    }

    #[test]
    fn userinfo_becomes_a_header() {
        // "Aladdin:open sesame" of RFC 7617.
        let endpoint = endpoint(Protocol::HttpJson, "http://Aladdin:open%20sesame@c").unwrap();
        assert_eq!(
            endpoint.basic.unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(percent_decoded("100%, %zz %4"), b"100%, %zz %4");
    }

    #[test]
    fn the_loopback_has_many_names() {
        let is_loopback = |name: &str| {
            Host {
                name: name.to_owned(),
                port: 1,
            }
            .is_loopback()
        };
        for name in [
            "localhost",
            "a.localhost",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["localhost.example", "10.0.0.1", "notlocalhost", "::2"] {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
