//! What a client is told: plain values, checked when it is made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::otlp::Encoding;

/// How requests travel.
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
    /// Spans as Zipkin takes them, over HTTP/1.1. The endpoint is taken as it is, path and all.
    Zipkin,
}

impl Protocol {
    /// How requests have to be written for it.
    pub fn encoding(self) -> Encoding {
        match self {
            Protocol::Grpc | Protocol::HttpProtobuf => Encoding::Protobuf,
            Protocol::HttpJson | Protocol::Zipkin => Encoding::Json,
        }
    }
}

/// How the bodies of requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which every receiver has to know.
    Gzip,
    /// zstd, which takes half the time. Needs the feature `zstd`.
    Zstd,
}

impl Compression {
    /// Whether this build has it.
    pub const fn is_available(self) -> bool {
        !matches!(self, Compression::Zstd) || cfg!(feature = "zstd")
    }
}

/// Where a [`Client`](super::Client) sends to, and how.
///
/// `Debug` shows neither the values of headers nor userinfo.
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

/// When the files that a configuration names are read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    AtStart,
    OnConnect,
}

/// What becomes of the path of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathRule {
    SignalAppended,
    AsIs,
}

/// Whether an endpoint without a scheme is spoken to over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Tls,
    Plaintext,
}

/// A header whose value is in a file.
#[derive(Clone, Debug)]
pub(super) struct HeaderFile {
    pub(super) name: String,
    /// What stands before the file's contents: `Bearer `.
    pub(super) before: &'static str,
    pub(super) path: PathBuf,
}

impl ClientConfig {
    /// Sends to `endpoint`: `http://host:port`, `https://host:port`, `unix:/path/of/socket`, and for
    /// gRPC also `host:port`.
    ///
    /// OTLP over HTTP has `/v1/metrics` or its like appended to the path. gRPC has paths of its own, so
    /// that one that stands here is not used. Userinfo becomes a header.
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

    /// Takes the endpoint's path as it is, as for `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` and its like.
    pub fn with_exact_path(mut self) -> Self {
        self.path = PathRule::AsIs;
        self
    }

    /// Speaks plaintext to an endpoint without a scheme, as for `OTEL_EXPORTER_OTLP_INSECURE`. A
    /// scheme always decides for itself.
    pub fn with_plaintext(mut self) -> Self {
        self.without_scheme = Security::Plaintext;
        self
    }

    /// Sends a header along. A later one of the same name replaces it.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends a header along whose value is what a file holds, without white space around it. The
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

    /// Sends `authorization: Bearer` with the token that a file holds; as
    /// [`with_header_file`](Self::with_header_file) otherwise.
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        let (name, path) = ("authorization".to_owned(), path.into());
        self.header_files.push(HeaderFile {
            name,
            before: "Bearer ",
            path,
        });
        self
    }

    /// Compresses requests.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Says whom to trust and who we are, over TLS.
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Goes through a proxy where its rule says so.
    pub fn with_proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Puts a product before our own in `User-Agent`, such as `checkout/1.2`.
    pub fn with_user_agent_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.user_agent_prefix = prefix.into();
        self
    }

    /// Reads files for the first time when they are needed. Without this, a file that is not there or
    /// does not hold what it should is an error of [`Client::new`](super::Client::new); with it, requests
    /// fail and are tried again until the file is whole.
    pub fn with_files_read_on_connect(mut self) -> Self {
        self.files = Files::OnConnect;
        self
    }

    /// Makes a new connection, with a new look-up of the name, after this time; by default five
    /// minutes. A connection that never ends would stay with one replica of many, or with a host that
    /// the name no longer means.
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

/// Whom to trust over TLS, and who we are. By default the system's roots, and nobody.
///
/// Files are read again when they have changed, for the next connection; a change of theirs ends the
/// one there is. Needs the feature `tls`.
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub(super) roots: Option<Pem>,
    pub(super) identity: Option<Identity>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "only TLS reads them")
)]
pub(super) struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

/// Something in PEM form.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Given(Vec<u8>),
}

impl TlsConfig {
    /// Trusts the certificates in a PEM file, in place of the system's.
    pub fn with_root_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(Pem::File(path.into()));
        self
    }

    /// Trusts certificates given as PEM, in place of the system's.
    pub fn with_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Pem::Given(pem.into()));
        self
    }

    /// Shows a client certificate: PEM files of its chain, leaf first, and of its private key.
    pub fn with_identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (Pem::File(certificates.into()), Pem::File(key.into()));
        self.identity = Some(Identity { certificates, key });
        self
    }

    /// Shows a client certificate given as PEM: its chain, leaf first, and its private key.
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

/// Which proxy to go through, in the form of the variables that say so everywhere.
///
/// The loopback and UNIX sockets are never reached through a proxy. `Debug` shows no userinfo.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    pub(super) https: Option<String>,
    pub(super) http: Option<String>,
    pub(super) not_for: String,
}

impl ProxyConfig {
    /// The proxy for `https` and for gRPC, as in `HTTPS_PROXY`: `http://user:password@host:port`. It
    /// is asked for a tunnel.
    pub fn with_https(mut self, proxy: impl Into<String>) -> Self {
        self.https = Some(proxy.into());
        self
    }

    /// The proxy for `http`, as in `HTTP_PROXY`. It is given the requests themselves.
    pub fn with_http(mut self, proxy: impl Into<String>) -> Self {
        self.http = Some(proxy.into());
        self
    }

    /// Hosts that are reached directly, as in `NO_PROXY`: names, which stand for all names below
    /// them too, addresses, ranges such as `10.0.0.0/8`, each with a port or without, or `*`;
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

/// Text that should be a URL and may be none, with everything hidden that could be a secret.
pub(super) fn masked(text: &str) -> String {
    // What is wrong with the text may be just where its userinfo or its query begins or ends. So all
    // is hidden up to the last @, and from the first question mark on.
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

/// Stands for what is not shown.
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
