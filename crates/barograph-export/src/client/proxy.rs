//! The choice of a proxy, the same for all transports.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::endpoint::{Address, Endpoint};
use super::invalid::InvalidUrl;
use super::url::{Credentials, Host, Url};

/// The proxies to use, in the form of the usual environment variables.
///
/// Loopback addresses and UNIX sockets are never reached through a proxy. `Debug` shows no
/// userinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    https: Option<Proxy>,
    http: Option<Proxy>,
    no_proxy: String,
}

/// A parsed proxy. `Debug` shows no userinfo.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) host: Host,
    /// True if the connection to the proxy itself uses TLS.
    pub(super) is_tls: bool,
    pub(super) credentials: Option<Credentials>,
}

impl ProxyConfig {
    /// Sets the proxy for `https` and for gRPC, as in `HTTPS_PROXY`. Requests go through a tunnel
    /// (`CONNECT`).
    pub fn with_https(mut self, proxy: Proxy) -> Self {
        self.https = Some(proxy);
        self
    }

    /// Sets the proxy for `http`, as in `HTTP_PROXY`. The requests are sent to the proxy itself.
    pub fn with_http(mut self, proxy: Proxy) -> Self {
        self.http = Some(proxy);
        self
    }

    /// Sets the hosts that are reached directly, as in `NO_PROXY`: names, which include all their
    /// subdomains, addresses, or ranges such as `10.0.0.0/8`, each with or without a port, or `*`;
    /// separated by commas.
    pub fn with_no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = hosts.into();
        self
    }

    /// Returns the proxy for an endpoint, if any.
    pub(super) fn choose(&self, endpoint: &Endpoint) -> Option<&Proxy> {
        let Address::Tcp(host) = &endpoint.address else {
            return None;
        };
        let proxy = match endpoint.needs_tunnel() {
            true => self.https.as_ref()?,
            false => self.http.as_ref()?,
        };
        (!host.is_loopback() && !is_direct(&self.no_proxy, host)).then_some(proxy)
    }

    /// Returns the passwords of all proxies.
    pub(super) fn passwords(&self) -> impl Iterator<Item = &str> {
        let credentials = [&self.https, &self.http].into_iter().flatten();
        let credentials = credentials.filter_map(|proxy| proxy.credentials.as_ref());
        credentials.map(|credentials| &*credentials.password)
    }
}

impl Proxy {
    /// Parses the URL of a proxy: `http://user:password@host:port`, `https://...`, or without a
    /// scheme, which means `http`.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidUrl`] if the text is not a proxy of a supported kind.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        let url = Url::parse(text, EXPECTED)?;
        let (is_tls, port) = match url.scheme.as_deref() {
            None | Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(_) => return Err(InvalidUrl::new(text, EXPECTED)),
        };
        Ok(Proxy {
            host: Host {
                name: url.name,
                port: url.port.unwrap_or(port),
            },
            is_tls,
            credentials: url.credentials,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host.authority())
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}

const EXPECTED: &str = "a proxy as http://host:port or https://host:port";

/// Returns true if a list in the form of `NO_PROXY` contains a host.
///
/// Why not the matcher of hyper-util? It supports no ports, no `*.example.com` and no `*` for
/// addresses, and it ignores a proxy that it cannot parse instead of returning an error.
fn is_direct(list: &str, host: &Host) -> bool {
    let list = list.to_ascii_lowercase();
    let mut entries = list.split(',').map(str::trim);
    entries.any(|entry| {
        let without_port = entry.rsplit_once(':');
        let without_port = without_port.filter(|(_, port)| port.parse() == Ok(host.port));
        entry == "*"
            || contains(entry, &host.name)
            || without_port.is_some_and(|(entry, _)| contains(entry, &host.name))
    })
}

/// Returns true if an entry without a port is this host, its domain or its network.
fn contains(entry: &str, name: &str) -> bool {
    let [entry, name] = [entry, name].map(|text| text.trim_end_matches('.'));
    if let Ok(address) = name.parse::<IpAddr>() {
        return network(entry).is_some_and(|network| network.contains(&address.to_canonical()));
    }
    // `example.com`, `.example.com` and `*.example.com` all include subdomains.
    let domain = entry.strip_prefix('*').unwrap_or(entry);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    name.strip_suffix(domain)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// Parses an address or a range; an IPv6 address may be in brackets.
///
/// IPv4-mapped IPv6 addresses become IPv4, as those of the hosts do.
fn network(entry: &str) -> Option<IpNet> {
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (entry, None),
    };
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let canonical = address.to_canonical();
    let Some(prefix) = prefix else {
        return Some(IpNet::from(canonical));
    };
    let is_mapped = address.is_ipv4() != canonical.is_ipv4();
    let mapped_bits = if is_mapped { 96 } else { 0 };
    let prefix = prefix.parse::<u8>().ok()?.checked_sub(mapped_bits)?;
    IpNet::new(canonical, prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Protocol;
    use super::*;

    fn choose(protocol: Protocol, url: &str, proxy: &ProxyConfig) -> Option<String> {
        let endpoint = Endpoint::parse(protocol, url).unwrap();
        let chosen = proxy.choose(&endpoint);
        chosen.map(|proxy| proxy.host.name.clone())
    }

    fn both() -> ProxyConfig {
        ProxyConfig::default()
            .with_https(Proxy::parse("secure:1").unwrap())
            .with_http(Proxy::parse("http://plain:2").unwrap())
    }

    #[test]
    fn tls_and_grpc_use_the_https_proxy() {
        for (protocol, url, proxy) in [
            (Protocol::HttpProtobuf, "https://c", "secure"),
            (Protocol::Grpc, "https://c", "secure"),
            (Protocol::Grpc, "http://c", "secure"),
            (Protocol::HttpJson, "http://c", "plain"),
        ] {
            let chosen = choose(protocol, url, &both());
            assert_eq!(chosen.as_deref(), Some(proxy), "{url}");
        }
    }

    #[test]
    fn the_loopback_is_never_proxied() {
        for url in [
            "http://127.0.0.1:4318",
            "http://localhost",
            "https://[::1]:1",
            "unix:/s",
        ] {
            assert!(
                choose(Protocol::HttpProtobuf, url, &both()).is_none(),
                "{url}"
            );
        }
    }

    #[test]
    fn exceptions_are_names_addresses_and_ranges() {
        for (list, url, is_direct) in [
            ("*", "http://c", true),
            ("other, c", "http://c", true),
            ("example.com", "http://a.example.com", true),
            (".Example.com", "http://A.example.com.", true),
            ("example.com.", "http://a.example.com", true),
            ("example.com.", "http://example.com.", true),
            ("example.com.:4318", "http://example.com:4318", true),
            (".", "http://a.example.com", false),
            ("*.example.com", "http://a.example.com", true),
            ("example.com", "http://notexample.com", false),
            ("c:4318", "http://c:4318", true),
            ("c:4318", "http://c:4319", false),
            ("10.0.0.0/8", "http://10.9.9.9", true),
            ("10.0.0.0/8", "http://11.9.9.9", false),
            ("10.0.0.1", "http://10.0.0.1", true),
            ("10.0.0.1:80", "http://10.0.0.1", true),
            ("10.0.0.0/8", "http://[::ffff:10.0.0.1]", true),
            ("::ffff:10.0.0.1", "http://10.0.0.1", true),
            ("[::ffff:10.0.0.1]:4318", "http://10.0.0.1:4318", true),
            ("[::ffff:10.0.0.1]:4318", "http://10.0.0.1:4319", false),
            ("::ffff:10.0.0.0/104", "http://10.9.9.9", true),
            ("::ffff:10.0.0.0/104", "http://[::ffff:10.9.9.9]", true),
            ("::ffff:10.0.0.0/104", "http://11.9.9.9", false),
            ("::ffff:10.0.0.0/8", "http://10.9.9.9", false),
            ("*", "http://10.0.0.1", true),
            ("fd00::/8", "http://[fd12::1]", true),
            ("[fd12::1]:80", "http://[fd12::1]", true),
            ("[fd12::]/16", "http://[fd12::1]", true),
            ("[fd12::]/16:80", "http://[fd12::1]", true),
            ("[fd12::]/16", "http://[fd13::1]", false),
            ("fd00::/8", "http://[fe80::1]", false),
            ("0.0.0.0/0", "http://[fe80::1]", false),
            ("10.0.0.0/x", "http://10.0.0.1", false),
            ("", "http://c", false),
        ] {
            let proxy = both().with_no_proxy(list);
            let chosen = choose(Protocol::HttpProtobuf, url, &proxy);
            assert_eq!(chosen.is_none(), is_direct, "{list} for {url}");
        }
    }

    #[test]
    fn an_unsupported_kind_of_proxy_is_an_error() {
        let error = Proxy::parse("socks5://me:hunter2@proxy").unwrap_err();
        assert_eq!(error.url, "***@proxy");
        let proxy = Proxy::parse(" proxy:3128 ").unwrap();
        assert_eq!((proxy.host.port, proxy.is_tls), (3128, false));
    }
}
