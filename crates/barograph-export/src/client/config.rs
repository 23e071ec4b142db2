//! The configuration of a client: plain values, checked when the client is created.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Encoding;

/// The protocol that carries requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC. Needs the feature `grpc`.
    Grpc,
    /// Protobuf over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
    /// Zipkin spans over HTTP/1.1. The endpoint's path is used unchanged.
    Zipkin,
}

impl Protocol {
    /// Returns the encoding that requests of this protocol need.
    pub fn encoding(self) -> Encoding {
        match self {
            Protocol::Grpc | Protocol::HttpProtobuf => Encoding::Protobuf,
            Protocol::HttpJson | Protocol::Zipkin => Encoding::Json,
        }
    }
}

/// The compression of request bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip, which every receiver has to support.
    Gzip,
    /// zstd, which takes half the time. Needs the feature `zstd`.
    Zstd,
}

impl Compression {
    /// Returns true if this build supports it.
    pub const fn is_available(self) -> bool {
        !matches!(self, Compression::Zstd) || cfg!(feature = "zstd")
    }
}

/// The destination of a [`Client`](super::Client), and the options for sending.
///
/// `Debug` shows neither header values nor userinfo.
#[derive(Clone)]
pub struct ClientConfig {
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    pub(super) path: PathRule,
    pub(super) without_scheme: Security,
    pub(super) headers: Vec<(String, String)>,
    pub(super) header_files: Vec<HeaderFile>,
    pub(super) compression: Compression,
    pub(super) tls: TlsConfig,
    pub(super) proxy: ProxyConfig,
    pub(super) user_agent_prefix: String,
    pub(super) max_age: Duration,
    pub(super) files: Files,
}

/// The time at which configured files are read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    AtStart,
    OnConnect,
}

/// The treatment of the path of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathRule {
    SignalAppended,
    AsIs,
}

/// The security of a connection to an endpoint without a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Tls,
    Plaintext,
}

/// A header with its value in a file.
#[derive(Clone, Debug)]
pub(super) struct HeaderFile {
    pub(super) name: String,
    /// The text in front of the file's contents, such as `Bearer `.
    pub(super) before: &'static str,
    pub(super) path: PathBuf,
}

impl ClientConfig {
    /// Creates a configuration that sends to `endpoint`: `http://host:port`, `https://host:port`,
    /// `unix:/path/of/socket`, and for gRPC also `host:port`.
    ///
    /// For OTLP over HTTP, the path of the signal, such as `/v1/metrics`, is appended. gRPC defines
    /// its own paths, so a path in the endpoint is ignored. Userinfo becomes a header.
    pub fn new(protocol: Protocol, endpoint: impl Into<String>) -> Self {
        ClientConfig {
            protocol,
            endpoint: endpoint.into(),
            path: PathRule::SignalAppended,
            without_scheme: Security::Tls,
            headers: Vec::new(),
            header_files: Vec::new(),
            compression: Compression::None,
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            user_agent_prefix: String::new(),
            max_age: DEFAULT_MAX_AGE,
            files: Files::AtStart,
        }
    }

    /// Uses the endpoint's path unchanged, as for `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`.
    pub fn with_exact_path(mut self) -> Self {
        self.path = PathRule::AsIs;
        self
    }

    /// Uses plaintext for an endpoint without a scheme, as for `OTEL_EXPORTER_OTLP_INSECURE`. A
    /// scheme takes precedence.
    pub fn with_plaintext(mut self) -> Self {
        self.without_scheme = Security::Plaintext;
        self
    }

    /// Adds a header. A later header of the same name replaces it.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a header with the contents of a file as its value, without surrounding white space. The
    /// file is read for each request, so that it may change.
    pub fn with_header_file(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        let (name, path) = (name.into(), path.into());
        self.header_files.push(HeaderFile {
            name,
            before: "",
            path,
        });
        self
    }

    /// Adds `authorization: Bearer` with the token in a file; otherwise like
    /// [`with_header_file`](Self::with_header_file).
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        let (name, path) = ("authorization".to_owned(), path.into());
        self.header_files.push(HeaderFile {
            name,
            before: "Bearer ",
            path,
        });
        self
    }

    /// Sets the compression of requests.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the trusted roots and the client certificate for TLS.
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxies, and the hosts that are reached without one.
    pub fn with_proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sets a product, such as `checkout/1.2`, in front of barograph's own in `User-Agent`.
    pub fn with_user_agent_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.user_agent_prefix = prefix.into();
        self
    }

    /// Delays reading files until they are needed. By default, a missing or invalid file is an
    /// error of [`Client::new`](super::Client::new); with this option, requests fail and are
    /// retried until the file is valid.
    pub fn with_files_read_on_connect(mut self) -> Self {
        self.files = Files::OnConnect;
        self
    }

    /// Sets the maximum age of a connection, five minutes by default, after which a new one is made
    /// with a new name resolution. A connection that never ends would stay with one of many
    /// replicas, or with a host to which the name no longer resolves.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| (name, MASK)).collect();
        f.debug_struct("ClientConfig")
            .field("protocol", &self.protocol)
            .field("endpoint", &masked(&self.endpoint))
            .field("path", &self.path)
            .field("without_scheme", &self.without_scheme)
            .field("headers", &headers)
            .field("header_files", &self.header_files)
            .field("compression", &self.compression)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("user_agent_prefix", &self.user_agent_prefix)
            .field("max_age", &self.max_age)
            .field("files", &self.files)
            .finish()
    }
}

/// The trusted roots and the client certificate for TLS. By default the system's roots, and no
/// client certificate.
///
/// Changed files are read again for the next connection; a change closes the existing connection.
/// Needs the feature `tls`.
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub(super) roots: Option<Pem>,
    pub(super) identity: Option<Identity>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

/// PEM data, from a file or given directly.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Given(Vec<u8>),
}

impl TlsConfig {
    /// Trusts the certificates in a PEM file instead of the system's roots.
    pub fn with_root_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(Pem::File(path.into()));
        self
    }

    /// Trusts these PEM certificates instead of the system's roots.
    pub fn with_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Pem::Given(pem.into()));
        self
    }

    /// Presents a client certificate: PEM files of its chain, leaf first, and of its private key.
    pub fn with_identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (Pem::File(certificates.into()), Pem::File(key.into()));
        self.identity = Some(Identity { certificates, key });
        self
    }

    /// Presents a client certificate given as PEM: its chain, leaf first, and its private key.
    pub fn with_identity_pem(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let (certificates, key) = (Pem::Given(certificates.into()), Pem::Given(key.into()));
        self.identity = Some(Identity { certificates, key });
        self
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots)
            .field("identity", &self.identity)
            .finish()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => path.fmt(f),
            Pem::Given(pem) => write!(f, "{} bytes", pem.len()),
        }
    }
}

/// The proxies to use, in the form of the usual environment variables.
///
/// Loopback addresses and UNIX sockets are never reached through a proxy. `Debug` shows no
/// userinfo.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    pub(super) https: Option<String>,
    pub(super) http: Option<String>,
    pub(super) not_for: String,
}

impl ProxyConfig {
    /// Sets the proxy for `https` and for gRPC, as in `HTTPS_PROXY`:
    /// `http://user:password@host:port`. Requests go through a tunnel (`CONNECT`).
    pub fn with_https(mut self, proxy: impl Into<String>) -> Self {
        self.https = Some(proxy.into());
        self
    }

    /// Sets the proxy for `http`, as in `HTTP_PROXY`. The requests are sent to the proxy itself.
    pub fn with_http(mut self, proxy: impl Into<String>) -> Self {
        self.http = Some(proxy.into());
        self
    }

    /// Sets the hosts that are reached directly, as in `NO_PROXY`: names, which include all their
    /// subdomains, addresses, or ranges such as `10.0.0.0/8`, each with or without a port, or `*`;
    /// separated by commas.
    pub fn with_no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.not_for = hosts.into();
        self
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("https", &self.https.as_deref().map(masked))
            .field("http", &self.http.as_deref().map(masked))
            .field("not_for", &self.not_for)
            .finish()
    }
}

/// Masks everything that could be a secret in a text that should be a URL but may be invalid.
pub(super) fn masked(text: &str) -> String {
    // The text may be invalid just where its userinfo or its query begins or ends. So everything is
    // masked up to the last @, and from the first question mark or hash on.
    let tail = text.find(['?', '#']);
    let Some(at) = text.rfind('@') else {
        return tail.map_or(text.to_owned(), |tail| format!("{}{MASK}", &text[..=tail]));
    };
    let scheme = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), _)) => format!("{scheme}://"),
        _ => String::new(),
    };
    match tail {
        Some(tail) if tail < at => format!("{scheme}{MASK}"),
        Some(tail) => format!("{scheme}{MASK}{}{MASK}", &text[at..=tail]),
        None => format!("{scheme}{MASK}{}", &text[at..]),
    }
}

/// The replacement for masked text.
pub(super) const MASK: &str = "***";

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_does_not_show_secrets() {
        let proxy = ProxyConfig::default()
            .with_https("http://me:hunter2@proxy:3128")
            .with_http("me:hunter2@proxy");
        let tls = TlsConfig::default().with_identity_pem("hunter2", "hunter2");
        let config = ClientConfig::new(Protocol::Grpc, "https://me:hun/ter2@host:1/p?key=hunter2")
            .with_header("authorization", "Bearer hunter2")
            .with_proxy(proxy)
            .with_tls(tls);
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("ter2"), "{shown}");
        assert!(shown.contains("https://***@host:1/p?***"), "{shown}");
        assert!(shown.contains("authorization"), "{shown}");
    }

    #[test]
    fn what_may_be_a_secret_is_masked() {
        for (text, shown) in [
            ("collector:4318", "collector:4318"),
            ("http://host:4318/v1", "http://host:4318/v1"),
            ("http://c/p?k=v", "http://c/p?***"),
            ("http://c/p#k", "http://c/p#***"),
            ("http://u:p@c/p", "http://***@c/p"),
            ("u:p@c", "***@c"),
            ("s3cret://x@c", "***@c"),
            ("http://u:a@b@c?k", "http://***@c?***"),
            ("http://u:p?w@c", "http://***"),
            ("https://c?k@v", "https://***"),
            ("c#@v", "***"),
            ("http@://c", "***@://c"),
            ("?", "?***"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
