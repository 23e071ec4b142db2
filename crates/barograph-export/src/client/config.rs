//! The configuration of a client: values that are parsed and checked already, except for files.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::headers::Headers;
use super::proxy::ProxyConfig;

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
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(super) endpoint: Endpoint,
    pub(super) headers: Headers,
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

impl ClientConfig {
    /// Creates a configuration that sends to an endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        ClientConfig {
            endpoint,
            headers: Headers::new(),
            compression: Compression::None,
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            user_agent_prefix: String::new(),
            max_age: DEFAULT_MAX_AGE,
            files: Files::AtStart,
        }
    }

    /// Returns the endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sets the headers of requests.
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
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

/// The trusted roots and the client certificate for TLS. By default the system's roots, and no
/// client certificate.
///
/// Changed files are read again for the next connection; a change closes the existing connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    pub(super) roots: Option<Pem>,
    pub(super) identity: Option<Identity>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

/// PEM data, from a file or given directly.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => path.fmt(f),
            Pem::Given(pem) => write!(f, "{} bytes", pem.len()),
        }
    }
}

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_does_not_show_secrets() {
        use super::super::{Protocol, Proxy};

        let proxy = ProxyConfig::default()
            .with_https(Proxy::parse("http://me:hunter2@proxy:3128").unwrap())
            .with_http(Proxy::parse("me:hunter2@proxy").unwrap());
        let tls = TlsConfig::default().with_identity_pem("hunter2", "hunter2");
        let endpoint = "https://me:hunter2@host:1/p?key=hunter2";
        let headers = Headers::new().with("authorization", "Bearer hunter2");
        let config = ClientConfig::new(Endpoint::parse(Protocol::Grpc, endpoint).unwrap())
            .with_headers(headers.unwrap())
            .with_proxy(proxy)
            .with_tls(tls);
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("ter2"), "{shown}");
        assert!(shown.contains("https://host:1"), "{shown}");
        assert!(shown.contains("authorization"), "{shown}");
    }
}
