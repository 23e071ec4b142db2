//! The proxies that stand between this machine and others.

use std::fmt;

use barograph_export::push::client::{InvalidUrl, ProxyConfig};

use crate::env::Environment;

/// The proxies of the environment. Which of them is used for a host is the transport's rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    /// For `https` endpoints.
    pub(crate) https: Option<Proxy>,
    /// For `http` endpoints.
    pub(crate) http: Option<Proxy>,
    /// Hosts that are reached without one: names, domains, addresses and networks with commas
    /// between them, or `*`.
    pub(crate) none_for: Option<String>,
}

/// A proxy's URL, `http` or `https`, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy(String);

impl Proxies {
    /// Reads them. Capital letters win, as in Go's and so the Collector's reading.
    ///
    /// In a CGI program `HTTP_PROXY` is not looked at: there, a request's `Proxy` header sets it.
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
        let none_for = environment.text("NO_PROXY");
        Proxies {
            https,
            http,
            none_for: none_for.or_else(|| environment.text("no_proxy")),
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

    /// The whole of it, with its secrets.
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")
    }
}
