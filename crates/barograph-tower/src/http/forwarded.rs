//! The origin of a request, as reported by the proxies in front of the service.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::scheme::Scheme;

/// The proxies in front of a service whose headers are trusted.
///
/// Every client can send `X-Forwarded-For: 127.0.0.1`. So a header is trusted only as far as it was
/// written by proxies with known addresses, as in nginx (`set_real_ip_from`) and Express
/// (`trust proxy`). The peer of the connection must be a trusted proxy. The last address in the header
/// is the one that this proxy saw, and so on to the left, as long as each address is that of a trusted
/// proxy. The first address that is not one of a trusted proxy is the client. Everything left of it was
/// sent by the client itself and is never read.
///
/// By default the headers `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are read;
/// `Forwarded` (RFC 7239) can be read [instead](Self::with_forwarded_header). Choose the one that your
/// proxies write: they may pass the other one on as the client sent it.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tower::http as layers;
/// #     pub use barograph_tower::http::HttpServerLayer;
/// # }
/// use barograph::{HttpServerLayer, layers::TrustedProxies};
/// # fn main() -> Result<(), barograph_tower::http::InvalidNetwork> {
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1"])?;
/// let layer = HttpServerLayer::builder().with_trusted_proxies(proxies).build();
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Box<[Network]>,
    names: Names,
}

/// The headers that are read.
#[derive(Clone, Copy, Debug)]
enum Names {
    XForwarded,
    Forwarded,
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin<'a> {
    /// The client's address; that of the peer, or of the last known proxy, if no trusted proxy reports
    /// another one.
    pub client: IpAddr,
    /// The scheme of the client's request.
    pub scheme: Option<Scheme>,
    /// The host that the client requested, with or without a port.
    pub host: Option<&'a str>,
}

impl TrustedProxies {
    /// The maximum number of chained proxies that are examined.
    pub const MAX_HOPS: usize = 32;

    /// Creates a list of proxies from addresses and networks: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
    ///
    /// # Errors
    /// Returns [`InvalidNetwork`] for the first entry that is neither.
    pub fn new(
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNetwork> {
        let networks = networks.into_iter();
        let networks: Result<_, _> = networks.map(|text| Network::parse(text.as_ref())).collect();
        Ok(TrustedProxies {
            networks: networks?,
            names: Names::XForwarded,
        })
    }

    /// Reads the header `Forwarded` of RFC 7239 instead of `X-Forwarded-*`.
    #[must_use]
    pub fn with_forwarded_header(self) -> Self {
        TrustedProxies {
            names: Names::Forwarded,
            ..self
        }
    }

    /// Returns the origin of a request from this peer, according to its headers. Does not allocate.
    pub fn origin<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> Origin<'a> {
        let mut origin = Origin {
            client: peer.to_canonical(),
            scheme: None,
            host: None,
        };
        if self.trust(peer) {
            match self.names {
                Names::XForwarded => self.by_x_forwarded(headers, &mut origin),
                Names::Forwarded => self.by_forwarded(headers, &mut origin),
            }
        }
        origin
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }

    fn by_x_forwarded<'a>(&self, headers: &'a HeaderMap, origin: &mut Origin<'a>) {
        let mut hops = 0;
        for element in elements(headers, &X_FORWARDED_FOR) {
            hops += 1;
            match address(element) {
                Some(address) => origin.client = address,
                None => break,
            }
            if !self.trust(origin.client) {
                break;
            }
        }
        // Proxies write one for each hop, or the first one writes it and the others keep it.
        let at_client = |name| elements(headers, name).take(hops.max(1)).last();
        origin.scheme = at_client(&X_FORWARDED_PROTO).and_then(scheme);
        origin.host = at_client(&X_FORWARDED_HOST).and_then(host);
    }

    fn by_forwarded<'a>(&self, headers: &'a HeaderMap, origin: &mut Origin<'a>) {
        for element in elements(headers, &FORWARDED) {
            let parameter = |name| parameter(element, name);
            // Each hop states them anew; otherwise they are unknown.
            origin.scheme = parameter("proto").and_then(scheme);
            origin.host = parameter("host").and_then(host);
            match parameter("for").and_then(address) {
                Some(address) => origin.client = address,
                None => break,
            }
            if !self.trust(origin.client) {
                break;
            }
        }
    }
}

/// Returns the elements of all headers with a name, the last first.
///
/// The values that are searched for never contain a comma, quoted or not. So a comma between quotes,
/// which a client might open and not close, separates elements like any other.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter().rev();
    let elements = values.flat_map(|value: &HeaderValue| {
        let elements = value.as_bytes().rsplit(|byte| *byte == b',');
        elements.map(<[u8]>::trim_ascii)
    });
    let elements = elements.filter(|element| !element.is_empty());
    elements.take(TrustedProxies::MAX_HOPS)
}

/// Returns the value of a parameter in an element of `Forwarded`, without quotes.
fn parameter<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut parameters = element.split(|byte| *byte == b';');
    let value = parameters.find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        let (key, value) = parameter.split_at(at);
        let is_it = key.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| value[1..].trim_ascii())
    })?;
    match value {
        [b'"', value @ .., b'"'] => Some(value),
        value => Some(value),
    }
}

/// Parses an address, with or without a port, as proxies write it. Returns none for `unknown`, for
/// obfuscated names and for anything else.
fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    let bare = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(IpAddr::V6(inner.parse().ok()?))
    };
    let address = text.parse().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.or_else(bare).map(|address| address.to_canonical())
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") {
        Some(Scheme::Https)
    } else if text.eq_ignore_ascii_case(b"http") || text.eq_ignore_ascii_case(b"ws") {
        Some(Scheme::Http)
    } else {
        None
    }
}

fn host(text: &[u8]) -> Option<&str> {
    let fits = !text.is_empty() && text.len() <= LONGEST_HOST;
    fits.then(|| str::from_utf8(text).ok())?
}

/// A range of addresses with the same first bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse::<u32>);
        let prefix = prefix.ok().filter(|prefix| *prefix <= most);
        // An IPv4-mapped IPv6 address is an IPv4 address after its first 96 bits.
        let canonical = address.to_canonical();
        let mapped_bits = if canonical.is_ipv4() { most - 32 } else { 0 };
        let prefix = prefix.and_then(|prefix| prefix.checked_sub(mapped_bits));
        Ok(Network {
            address: canonical,
            prefix: prefix.ok_or_else(invalid)?,
        })
    }

    fn has(&self, address: IpAddr) -> bool {
        // On a dual-stack socket IPv4 peers appear as IPv4-mapped IPv6 addresses.
        let differing = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        differing >= self.prefix
    }
}

/// The error for an entry that is neither an IP address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNetwork(String);

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid network {:?}: expected an IP address or a prefix such as 10.0.0.0/8",
            self.0
        )
    }
}

impl Error for InvalidNetwork {}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The maximum length of an address in bytes: IPv6 with brackets and a port, and some slack.
const LONGEST_ADDRESS: usize = 64;

/// The maximum length of a host in bytes: a name has 253, a port 6.
const LONGEST_HOST: usize = 260;

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        map
    }

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "::1", "2001:db8::/32"]).unwrap()
    }

    #[track_caller]
    fn client(proxies: &TrustedProxies, peer: &str, headers: &[(&str, &str)], expected: &str) {
        let headers = map(headers);
        let origin = proxies.origin(peer.parse().unwrap(), &headers);
        assert_eq!(origin.client.to_string(), expected, "{headers:?}");
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        let of = |peer, list, expected| {
            client(&proxies(), peer, &[("x-forwarded-for", list)], expected);
            let elements: Vec<_> = list.split(',').map(|element| element.trim()).collect();
            let elements = elements.iter().map(|element| match element.contains(':') {
                true => format!("proto=http;For=\"{element}\""),
                false => format!("for={element}"),
            });
            let list = elements.collect::<Vec<_>>().join(", ");
            let forwarded = proxies().with_forwarded_header();
            client(&forwarded, peer, &[("forwarded", &list)], expected);
        };
        of("10.0.0.1", "192.0.2.1", "192.0.2.1");
        of("10.0.0.1", "203.0.113.9, 192.0.2.1, 10.1.1.1", "192.0.2.1");
        of("10.0.0.1", "10.2.2.2,10.1.1.1", "10.2.2.2");
        of("::1", "192.0.2.1:4711", "192.0.2.1");
        of("::1", "[2001:db9::7]:4711", "2001:db9::7");
        of("::1", "192.0.2.1, [2001:db8::7]", "192.0.2.1");
        // IPv4 and IPv6 peers on one socket.
        of("::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1");
        // The peer is not a trusted proxy, so its headers are ignored.
        of("192.0.2.9", "203.0.113.9", "192.0.2.9");
        // Obfuscated names hide the client; the proxy that wrote them is known.
        of("10.0.0.1", "203.0.113.9, _hidden, 10.1.1.1", "10.1.1.1");
        of("10.0.0.1", "unknown", "10.0.0.1");
    }

    #[test]
    fn several_headers_are_one_list_and_empty_elements_none() {
        let headers = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "192.0.2.1,, 10.1.1.1 ,"),
        ];
        client(&proxies(), "10.0.0.1", &headers, "192.0.2.1");
        client(&proxies(), "10.0.0.1", &[], "10.0.0.1");
        let hops = vec!["10.1.1.1"; 2 * TrustedProxies::MAX_HOPS].join(",");
        let headers = [("x-forwarded-for", &*format!("192.0.2.1,{hops}"))];
        client(&proxies(), "10.0.0.1", &headers, "10.1.1.1");
    }

    #[test]
    fn only_the_header_that_was_chosen_is_read() {
        let headers = [
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.2"),
        ];
        client(&proxies(), "10.0.0.1", &headers, "192.0.2.1");
        let forwarded = proxies().with_forwarded_header();
        client(&forwarded, "10.0.0.1", &headers, "192.0.2.2");
    }

    #[test]
    fn a_quote_that_a_client_leaves_open_hides_nothing() {
        let headers = [("forwarded", "for=\"_x, for=192.0.2.1;proto=https")];
        let forwarded = proxies().with_forwarded_header();
        client(&forwarded, "10.0.0.1", &headers, "192.0.2.1");
    }

    #[test]
    fn scheme_and_host_are_those_of_the_hop_of_the_client() {
        let scheme_and_host = |proxies: &TrustedProxies, headers: &[(&str, &str)]| {
            let headers = map(headers);
            let origin = proxies.origin("10.0.0.1".parse().unwrap(), &headers);
            (origin.scheme, origin.host.map(str::to_owned))
        };
        let shop = Some("shop.example".to_owned());
        let hops = ("x-forwarded-for", "203.0.113.9, 192.0.2.1, 10.1.1.1");
        // One value for each hop.
        let each = [
            hops,
            ("x-forwarded-proto", "http, https, http"),
            ("x-forwarded-host", "evil.example, shop.example, inner"),
        ];
        assert_eq!(
            scheme_and_host(&proxies(), &each),
            (Some(Scheme::Https), shop.clone())
        );
        // A single value.
        let one = [
            hops,
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-host", "shop.example"),
        ];
        assert_eq!(
            scheme_and_host(&proxies(), &one),
            (Some(Scheme::Https), shop.clone())
        );
        let without_for = [("x-forwarded-proto", "wss")];
        assert_eq!(
            scheme_and_host(&proxies(), &without_for),
            (Some(Scheme::Https), None)
        );
        let forwarded = proxies().with_forwarded_header();
        let list = "for=203.0.113.9;host=evil.example, \
                    for=192.0.2.1;proto=https;host=\"shop.example\", for=10.1.1.1;host=inner";
        assert_eq!(
            scheme_and_host(&forwarded, &[("forwarded", list)]),
            (Some(Scheme::Https), shop)
        );
        let long = "x".repeat(LONGEST_HOST + 1);
        let absurd = [
            ("x-forwarded-host", &*long),
            ("x-forwarded-proto", "gopher"),
        ];
        assert_eq!(scheme_and_host(&proxies(), &absurd), (None, None));
    }

    #[test]
    fn networks_are_addresses_or_prefixes() {
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "localhost",
            "::1/",
            "::1/-1",
            "::ffff:10.0.0.0/95",
        ] {
            let error = TrustedProxies::new([bad]).unwrap_err();
            assert_eq!(error, InvalidNetwork(bad.to_owned()));
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
        let all = TrustedProxies::new(["0.0.0.0/0", " ::/0 "]).unwrap();
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::"] {
            assert!(all.trust(address.parse().unwrap()), "{address}");
        }
        let some = TrustedProxies::new(["192.0.2.128/25"]).unwrap();
        assert!(some.trust("192.0.2.129".parse().unwrap()));
        assert!(!some.trust("192.0.2.127".parse().unwrap()));
        assert!(!some.trust("c000:0281::".parse().unwrap()));
    }

    #[test]
    fn ipv4_mapped_networks_are_ipv4_networks() {
        let mapped = ["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"];
        let mapped = TrustedProxies::new(mapped).unwrap();
        for (address, is_trusted) in [
            ("10.9.9.9", true),
            ("::ffff:10.9.9.9", true),
            ("11.9.9.9", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::1", false),
        ] {
            assert_eq!(
                mapped.trust(address.parse().unwrap()),
                is_trusted,
                "{address}"
            );
        }
    }
}
