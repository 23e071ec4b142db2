//! Where requests go: a URL, read by the rules of its protocol.

use std::fmt;
use std::net::IpAddr;

use barograph_export::otlp::Signal;

use super::Protocol;

/// Where the requests of one signal go. Its `Debug` and `Display` hide userinfo and query, which may
/// hold secrets; [`url`](Self::url) does not.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    scheme: Scheme,
    userinfo: Option<String>,
    /// Host and port; the socket's path for a UNIX socket.
    address: String,
    /// From the slash on; empty for gRPC, which has its own paths.
    path: String,
    query: Option<String>,
}

/// Which variable an endpoint stood in, which decides about its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// In the one for all signals: the signal's path is appended.
    ForAll,
    /// In the signal's own: taken as it is.
    ForOne,
}

/// What decides how text is read as an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) signal: Signal,
    pub(crate) protocol: Protocol,
    pub(crate) stands: Stands,
    /// What gRPC does where the text has no scheme.
    pub(crate) bare: Bare,
}

/// What an endpoint without a scheme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// TLS, as long as nobody said otherwise.
    Secure,
    /// Plain text: `INSECURE` is true.
    Insecure,
}

impl Endpoint {
    /// Reads an endpoint. None when it makes no sense; [`expected`](Reading::expected) says what
    /// would.
    ///
    /// Source: OTLP exporter, "Endpoint URLs for OTLP/HTTP" and "Configuration options".
    pub(crate) fn parse(text: &str, reading: Reading) -> Option<Self> {
        let text = text.trim();
        let is_grpc = reading.protocol == Protocol::Grpc;
        if let Some(socket) = text.strip_prefix("unix:") {
            let socket = socket.strip_prefix("//").unwrap_or(socket);
            let is_usable = socket.len() > 1 && socket.starts_with('/') && !is_grpc;
            return is_usable.then(|| Endpoint {
                scheme: Scheme::Unix,
                userinfo: None,
                address: socket.to_owned(),
                path: reading.signal.http_path().to_owned(),
                query: None,
            });
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            None if is_grpc && reading.bare == Bare::Insecure => (Scheme::Http, text),
            None if is_grpc => (Scheme::Https, text),
            _ => return None,
        };
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        // It knows which characters may stand where; the parts are taken apart here.
        let _: http::Uri = format!("{}://{rest}", scheme.as_str()).parse().ok()?;
        let (authority, path, query) = parts(rest);
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo.to_owned()), address),
            None => (None, authority),
        };
        host_and_port(address)?;
        let path = match (is_grpc, reading.stands) {
            (true, _) => String::new(),
            (false, Stands::ForAll) => {
                let base = path.trim_end_matches('/');
                format!("{base}{}", reading.signal.http_path())
            }
            (false, Stands::ForOne) if path.is_empty() => "/".to_owned(),
            (false, Stands::ForOne) => path.to_owned(),
        };
        Some(Endpoint {
            scheme,
            userinfo,
            address: address.to_owned(),
            path,
            query: query.filter(|_| !is_grpc).map(str::to_owned),
        })
    }

    /// Where requests go when nobody said: the collector of this machine.
    pub(crate) fn of_this_machine(signal: Signal, protocol: Protocol) -> Self {
        let (port, path) = match protocol {
            Protocol::Grpc => (GRPC_PORT, ""),
            Protocol::HttpProtobuf | Protocol::HttpJson => (HTTP_PORT, signal.http_path()),
        };
        Endpoint {
            scheme: Scheme::Http,
            userinfo: None,
            address: format!("localhost:{port}"),
            path: path.to_owned(),
            query: None,
        }
    }

    /// The whole of it, with its secrets, to be sent to. A UNIX socket is `unix:` and its path; HTTP
    /// requests to it go to [`path`](Self::path).
    pub(crate) fn url(&self) -> String {
        let Endpoint { address, path, .. } = self;
        if self.scheme == Scheme::Unix {
            return format!("unix:{address}");
        }
        let mut url = format!("{}://", self.scheme.as_str());
        if let Some(userinfo) = &self.userinfo {
            url = url + userinfo + "@";
        }
        url = url + address + path;
        if let Some(query) = &self.query {
            url = url + "?" + query;
        }
        url
    }

    /// Whom it leads to, without path and secrets.
    pub(crate) fn origin(&self) -> String {
        match self.scheme {
            Scheme::Unix => self.url(),
            scheme => format!("{}://{}", scheme.as_str(), self.address),
        }
    }

    /// The path of HTTP requests; empty for gRPC.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The port, where it is written.
    pub(crate) fn port(&self) -> Option<u16> {
        match self.scheme {
            Scheme::Unix => None,
            Scheme::Http | Scheme::Https => host_and_port(&self.address)?.1,
        }
    }

    /// Whether credentials stand in it.
    pub(crate) fn has_credentials(&self) -> bool {
        self.userinfo.is_some() || self.query.is_some()
    }

    /// Whether others on the way can read what is sent: plain text that leaves this machine.
    pub(crate) fn is_readable_by_others(&self) -> bool {
        self.scheme == Scheme::Http && !is_loopback(&self.address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = Endpoint {
            userinfo: self.userinfo.as_ref().map(|_| MASK.to_owned()),
            query: self.query.as_ref().map(|_| MASK.to_owned()),
            ..self.clone()
        };
        f.write_str(&masked.url())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl Reading {
    /// What makes sense as an endpoint.
    pub(crate) fn expected(self) -> &'static str {
        match self.protocol {
            Protocol::Grpc => "http://host:port, https://host:port or host:port",
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                "an http:// or https:// URL, or unix:/path; only grpc goes without a scheme"
            }
        }
    }

    /// Whether text that is an endpoint says more than is used of it: gRPC has its own paths.
    pub(crate) fn leaves_out(self, text: &str) -> bool {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (_, path, query) = parts(rest.trim());
        self.protocol == Protocol::Grpc && (path.len() > 1 || query.is_some())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Unix,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Unix => "unix",
        }
    }
}

/// Text that should be a URL and may be none, with everything hidden that could be a secret.
pub(crate) fn masked(text: &str) -> String {
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

/// Authority, path from its slash on, query.
fn parts(rest: &str) -> (&str, &str, Option<&str>) {
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (authority, path, query)
}

/// The host, an IPv6 address without its brackets, and the port if there is one.
fn host_and_port(address: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let IpAddr::V6(_) = host.parse().ok()? else {
                return None;
            };
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':')?)),
            }
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() {
        return None;
    }
    let Some(port) = port else {
        return Some((host, None));
    };
    let port = port.parse().ok().filter(|port: &u16| *port != 0)?;
    Some((host, Some(port)))
}

fn is_loopback(address: &str) -> bool {
    let Some((host, _)) = host_and_port(address) else {
        return false;
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// What stands where a secret was.
const MASK: &str = "***";
/// Where collectors take gRPC.
pub(crate) const GRPC_PORT: u16 = 4317;
/// Where collectors take HTTP.
pub(crate) const HTTP_PORT: u16 = 4318;
