//! The proxies for connections to receivers.

use std::fmt;

use barograph_export::client::{InvalidUrl, ProxyConfig};

use crate::environment::Environment;

/// The proxies that the environment sets. The transport decides which one a host uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for `https` endpoints.
    pub https: Option<Proxy>,
    /// The proxy for `http` endpoints.
    pub http: Option<Proxy>,
    /// The hosts that are reached directly: comma-separated names, domains, addresses and networks,
    /// or `*`.
    pub no_proxy: Option<String>,
}

/// The URL of a proxy, `http` or `https`, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(String);

impl Proxies {
    /// Reads the proxies. Upper-case names take precedence, as in Go and therefore in the Collector.
    ///
    /// In a CGI program `HTTP_PROXY` is ignored: there, the `Proxy` header of a request sets it.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let is_cgi = environment.is_set("REQUEST_METHOD");
        let mut proxy = |names: &[&str]| {
            let mut names = names.iter();
            names.find_map(|name| Proxy::read(environment, name))
        };
        let https = proxy(&["HTTPS_PROXY", "https_proxy"]);
        let http = match is_cgi {
            true => proxy(&["http_proxy"]),
            false => proxy(&["HTTP_PROXY", "http_proxy"]),
        };
        let no_proxy = environment.text("NO_PROXY");
        Proxies {
            https,
            http,
            no_proxy: no_proxy.or_else(|| environment.text("no_proxy")),
        }
    }
}

impl Proxy {
    fn read(environment: &mut Environment<'_>, variable: &str) -> Option<Self> {
        let text = environment.text(variable)?;
        match ProxyConfig::check(&text) {
            Ok(()) => Some(Proxy(text)),
            Err(InvalidUrl { url, expected }) => {
                environment.ignore(variable, &url, expected);
                None
            }
        }
    }

    /// Returns the whole URL, with its secrets.
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")
    }
}
