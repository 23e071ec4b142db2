//! The choice of a proxy, the same for all transports.

use std::net::IpAddr;

use super::config::{Protocol, ProxyConfig};
use super::endpoint::{Endpoint, Host, Place, Url, basic};
use super::invalid::InvalidUrl;

/// A proxy for requests.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) host: Host,
    /// True if the connection to the proxy itself uses TLS.
    pub(super) is_tls: bool,
    /// The value `Basic ...`, if there are credentials.
    pub(super) basic: Option<String>,
    pub(super) way: Way,
}

impl ProxyConfig {
    /// Checks the URL of a proxy, by the same rules as [`Client::new`](super::Client::new).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidUrl`] if the text is not a proxy of a supported kind.
    pub fn check(proxy: &str) -> Result<(), InvalidUrl> {
        Proxy::parse(proxy.trim(), Way::Tunnel).map(drop)
    }
}

/// The way in which a proxy takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A tunnel is requested (CONNECT), through which the proxy sees no requests.
    Tunnel,
    /// The proxy gets plain HTTP requests with the whole URL.
    Absolute,
}

impl Proxy {
    /// Returns the proxy for an endpoint, if any.
    pub(super) fn choose(
        config: &ProxyConfig,
        protocol: Protocol,
        endpoint: &Endpoint,
    ) -> Result<Option<Self>, InvalidUrl> {
        let Place::Tcp(host) = &endpoint.place else {
            return Ok(None);
        };
        let (url, way) = match endpoint.is_tls || protocol == Protocol::Grpc {
            true => (&config.https, Way::Tunnel),
            false => (&config.http, Way::Absolute),
        };
        let url = url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let Some(url) = url else { return Ok(None) };
        if host.is_loopback() || is_direct(&config.not_for, host) {
            return Ok(None);
        }
        Self::parse(url, way).map(Some)
    }

    fn parse(text: &str, way: Way) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text, EXPECTED)?;
        let (is_tls, port) = match url.scheme.as_deref() {
            None | Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(_) => return Err(InvalidUrl::new(text, EXPECTED)),
        };
        let host = Host {
            name: url.name,
            port: url.port.unwrap_or(port),
        };
        let basic = url.userinfo.as_deref().map(basic);
        Ok(Proxy {
            host,
            is_tls,
            basic,
            way,
        })
    }
}

const EXPECTED: &str = "a proxy as http://host:port or https://host:port";

/// Returns true if a list in the form of `NO_PROXY` names a host.
fn is_direct(list: &str, host: &Host) -> bool {
    let entries = list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .into_iter()
        .any(|entry| names(&entry.to_ascii_lowercase(), host))
}

fn names(entry: &str, host: &Host) -> bool {
    let name = host.name.trim_end_matches('.');
    if entry == "*" {
        return true;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return holds(entry, address)
            || with_port(entry, host.port).is_some_and(|entry| holds(entry, address));
    }
    let entry = with_port(entry, host.port).unwrap_or(entry);
    // `example.com`, `.example.com` and `*.example.com` all include subdomains.
    let entry = entry.strip_prefix('*').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    name.strip_suffix(entry)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// Returns the entry without its port, if it has one and it is this port.
fn with_port(entry: &str, port: u16) -> Option<&str> {
    let (name, wanted) = entry.rsplit_once(':')?;
    (wanted.parse() == Ok(port)).then_some(name)
}

/// Returns true if an entry is this address, or a range that contains it.
fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, length) = match entry.split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (entry, Some(128)),
    };
    let network = network
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let (Ok(network), Some(length)) = (network, length) else {
        return false;
    };
    // The bits that differ, shifted to the top.
    let (differing, bits) = match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits() ^ address.to_bits()) << 96, 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits(), 128),
        _ => return false,
    };
    differing.leading_zeros() >= length.min(bits)
}

#[cfg(test)]
mod tests {
    use super::super::config::ClientConfig;
    use super::*;
    use barograph_encode::otlp::Signal;

    fn choose(protocol: Protocol, url: &str, proxy: ProxyConfig) -> Option<Proxy> {
        let endpoint = Endpoint::new(&ClientConfig::new(protocol, url), Signal::Metrics).unwrap();
        Proxy::choose(&proxy, protocol, &endpoint).unwrap()
    }

    fn both() -> ProxyConfig {
        ProxyConfig::default()
            .with_https("secure:1")
            .with_http("http://plain:2")
    }

    #[test]
    fn tls_and_grpc_go_through_a_tunnel() {
        for (protocol, url, proxy, way) in [
            (Protocol::HttpProtobuf, "https://c", "secure", Way::Tunnel),
            (Protocol::Grpc, "https://c", "secure", Way::Tunnel),
            (Protocol::Grpc, "http://c", "secure", Way::Tunnel),
            (Protocol::HttpJson, "http://c", "plain", Way::Absolute),
        ] {
            let chosen = choose(protocol, url, both()).unwrap();
            assert_eq!((&*chosen.host.name, chosen.way), (proxy, way), "{url}");
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
                choose(Protocol::HttpProtobuf, url, both()).is_none(),
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
            ("*.example.com", "http://a.example.com", true),
            ("example.com", "http://notexample.com", false),
            ("c:4318", "http://c:4318", true),
            ("c:4318", "http://c:4319", false),
            ("10.0.0.0/8", "http://10.9.9.9", true),
            ("10.0.0.0/8", "http://11.9.9.9", false),
            ("10.0.0.1", "http://10.0.0.1", true),
            ("10.0.0.1:80", "http://10.0.0.1", true),
            ("fd00::/8", "http://[fd12::1]", true),
            ("[fd12::1]:80", "http://[fd12::1]", true),
            ("fd00::/8", "http://[fe80::1]", false),
            ("0.0.0.0/0", "http://[fe80::1]", false),
            ("10.0.0.0/x", "http://10.0.0.1", false),
            ("", "http://c", false),
        ] {
            let proxy = both().with_no_proxy(list);
            let chosen = choose(Protocol::HttpProtobuf, url, proxy);
            assert_eq!(chosen.is_none(), is_direct, "{list} for {url}");
        }
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused() {
        let config = ClientConfig::new(Protocol::HttpJson, "http://c");
        let endpoint = Endpoint::new(&config, Signal::Metrics).unwrap();
        let socks = ProxyConfig::default().with_http("socks5://me:hunter2@proxy");
        let error = Proxy::choose(&socks, Protocol::HttpJson, &endpoint)
            .err()
            .unwrap();
        assert_eq!(error.url, "***@proxy");
        assert_eq!(ProxyConfig::check("socks5://me:hunter2@proxy"), Err(error));
        assert_eq!(ProxyConfig::check(" proxy:3128 "), Ok(()));
    }
}
