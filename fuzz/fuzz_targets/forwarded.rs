//! For any request headers, an untrusted peer is the client itself, and elements to the left of the
//! client's address change nothing.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::Arbitrary;
use barograph::layers::TrustedProxies;
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    peer: u32,
    forwarded: bool,
    lines: Vec<Vec<Element<'a>>>,
    protos: Vec<&'a [u8]>,
    hosts: Vec<&'a [u8]>,
    before: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Element<'a> {
    Bytes(&'a [u8]),
    /// The address of a trusted proxy.
    Proxy(u8),
    V4(u32, Option<u16>),
    V6(u128, Option<u16>),
    /// A parameter of `Forwarded` next to an address.
    Beside(u32, &'a str),
}

fuzz_target!(|input: Input<'_>| {
    let proxies = TrustedProxies::new(["10.0.0.0/8", "2001:db8::/32"]).expect("they are networks");
    let (proxies, list) = match input.forwarded {
        true => (proxies.with_forwarded_header(), FORWARDED),
        false => (proxies, HeaderName::from_static("x-forwarded-for")),
    };
    let peer = IpAddr::V4(match input.peer % 2 {
        0 => Ipv4Addr::new(10, 0, 0, 1),
        _ => Ipv4Addr::from_bits(input.peer),
    });
    let mut headers = HeaderMap::new();
    append(&mut headers, "x-forwarded-proto", &input.protos.join(&b','));
    append(&mut headers, "x-forwarded-host", &input.hosts.join(&b','));
    let mut more = headers.clone();
    append(&mut more, list.as_str(), input.before);
    for line in &input.lines {
        let elements = line.iter().map(|element| element.bytes(input.forwarded));
        let line = elements.collect::<Vec<_>>().join(&b","[..]);
        append(&mut headers, list.as_str(), &line);
        append(&mut more, list.as_str(), &line);
    }

    let origin = proxies.origin(peer, &headers);
    assert!(origin.host.is_none_or(|host| host.len() <= 260));
    assert_eq!(origin.client, origin.client.to_canonical());
    if !is_proxy(peer) {
        assert_eq!(origin.client, peer);
        assert_eq!((origin.scheme, origin.host), (None, None));
    }
    if !is_proxy(origin.client) {
        assert_eq!(proxies.origin(peer, &more), origin);
    }
});

fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0xdb8],
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

impl Element<'_> {
    fn bytes(&self, forwarded: bool) -> Vec<u8> {
        let address = match *self {
            Element::Bytes(bytes) => return bytes.to_vec(),
            Element::Proxy(last) => with_port(Ipv4Addr::new(10, 0, 0, last), None),
            Element::V4(bits, port) => with_port(Ipv4Addr::from_bits(bits), port),
            Element::V6(bits, port) => with_port(Ipv6Addr::from_bits(bits), port),
            Element::Beside(bits, beside) => {
                return format!("{beside};for={}", Ipv4Addr::from_bits(bits)).into_bytes();
            }
        };
        match forwarded {
            true => format!("for=\"{address}\"").into_bytes(),
            false => address.into_bytes(),
        }
    }
}

fn with_port(address: impl Into<IpAddr>, port: Option<u16>) -> String {
    let address = address.into();
    match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}
