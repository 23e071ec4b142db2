//! The parts of a URL that endpoints and proxies share.

use std::net::{IpAddr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;

use super::invalid::InvalidUrl;

/// A URL with a host, or a `host:port` in its place.
pub(super) struct Url {
    /// The scheme in lower case.
    pub(super) scheme: Option<String>,
    pub(super) credentials: Option<Credentials>,
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
        let userinfo = authority.as_str().rsplit_once('@');
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
        Ok(Url {
            scheme,
            credentials: userinfo.map(|(userinfo, _)| Credentials::new(userinfo)),
            name,
            port,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }
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

/// The userinfo of a URL. There is no `Debug`: all of it is secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// The value `Basic ...` of a header.
    pub(super) basic: String,
    /// The password, as a message may quote it.
    pub(super) password: String,
}

impl Credentials {
    /// Decodes userinfo, whose parts are percent-encoded. Invalid sequences are kept unchanged.
    ///
    /// Source: RFC 7617.
    fn new(userinfo: &str) -> Self {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decode = |text| percent_decode_str(text).collect::<Vec<u8>>();
        let (user, password) = (decode(user), decode(password));
        let pair = [&user[..], b":", &password].concat();
        Credentials {
            basic: format!("Basic {}", STANDARD.encode(pair)),
            password: String::from_utf8_lossy(&password).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_becomes_a_header() {
        // "Aladdin:open sesame" of RFC 7617.
        let credentials = Credentials::new("Aladdin:open%20sesame");
        assert_eq!(credentials.basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(credentials.password, "open sesame");
        assert_eq!(Credentials::new("u:100%, %zz %4").password, "100%, %zz %4");
        assert_eq!(Credentials::new("u").password, "");
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
