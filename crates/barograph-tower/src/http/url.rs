//! Parts of a request in the form that telemetry uses.

use http::header::HOST;
use http::{HeaderMap, Uri, Version};

/// The server that a client calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Server<'a> {
    pub(crate) scheme: &'static str,
    /// Address and port as they are written, possibly with user name and password.
    pub(crate) authority: &'a str,
    /// Empty if the request does not name it.
    pub(crate) address: &'a str,
    pub(crate) port: u16,
}

impl<'a> Server<'a> {
    /// Takes the server from the URL, or from the header `Host` if the URL has no authority. The default
    /// port is that of the scheme, and the default scheme is `http`.
    pub(crate) fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let (scheme, standard) = match uri.scheme_str() {
            Some("https" | "wss") => ("https", 443),
            _ => ("http", 80),
        };
        let host = || headers.get(HOST)?.to_str().ok();
        let authority = uri.authority().map(|a| a.as_str()).or_else(host);
        let authority = authority.unwrap_or_default();
        let (address, port) = host_and_port(authority).unwrap_or(("", None));
        Server {
            scheme,
            authority,
            address,
            port: port.unwrap_or(standard),
        }
    }
}

/// Returns host and port of an authority, without the user. An IPv6 address has no brackets.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host = authority.rsplit('@').next()?;
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let port = port.and_then(|port| port.parse().ok());
    (!host.is_empty()).then_some((host, port))
}

/// Returns the port of an authority as text, or that of the scheme if it has none.
pub(crate) fn port_text<'a>(authority: &'a str, scheme: Option<&str>) -> &'a str {
    let host = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => port,
        _ if scheme == Some("https") => "443",
        _ => "80",
    }
}

/// Returns the protocol version, such as `1.1` or `2`.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_written_or_that_of_the_scheme() {
        for (authority, scheme, expected) in [
            ("shop.example:8080", None, "8080"),
            ("me:1@shop.example", Some("http"), "80"),
            ("me:1@[::1]", Some("https"), "443"),
            ("[::1]:81", Some("https"), "81"),
            ("shop:port", Some("https"), "443"),
        ] {
            assert_eq!(port_text(authority, scheme), expected, "{authority}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (authority, expected) in [
            ("shop.example", Some(("shop.example", None))),
            ("shop.example:8080", Some(("shop.example", Some(8080)))),
            ("me:secret@shop.example:1", Some(("shop.example", Some(1)))),
            ("[::1]:80", Some(("::1", Some(80)))),
            ("[::1]", Some(("::1", None))),
            ("shop:port", Some(("shop", None))),
            ("shop:70000", Some(("shop", None))),
            ("[::1", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(host_and_port(authority), expected, "{authority}");
        }
    }
}
