//! The proxies that stand between this machine and others.

use std::fmt;

use crate::env::Environment;

use super::endpoint::{Bare, Endpoint, Reading, Stands, masked};
use super::{Protocol, Signal};

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

/// A proxy's URL, `http` or `https`. Its `Debug` and `Display` hide userinfo.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy(Endpoint);

impl Proxies {
    /// Reads them. Capital letters win, as in Go's and so the Collector's reading.
    ///
    /// In a CGI program `HTTP_PROXY` is not looked at: there, a request's `Proxy` header sets it.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let is_cgi = environment.text("REQUEST_METHOD").is_some();
        let mut proxy = |names: &[&'static str]| {
            let mut names = names.iter();
            names.find_map(|name| Proxy::read(environment, name))
        };
        let https = proxy(&["HTTPS_PROXY", "https_proxy"]);
        let http = match is_cgi {
            true => proxy(&["http_proxy"]),
            false => proxy(&["HTTP_PROXY", "http_proxy"]),
        };
        let text = |name| environment.text(name);
        Proxies {
            https,
            http,
            none_for: text("NO_PROXY").or_else(|| text("no_proxy")),
        }
    }
}

impl Proxy {
    fn read(environment: &mut Environment<'_>, variable: &'static str) -> Option<Self> {
        let text = environment.text(variable)?;
        // Host and port, without a scheme or with one: what gRPC takes.
        let endpoint = Endpoint::parse(
            &text,
            Reading {
                signal: Signal::Metrics,
                protocol: Protocol::Grpc,
                stands: Stands::ForOne,
                bare: Bare::Insecure,
            },
        );
        if endpoint.is_none() {
            let expected = "http://host:port, https://host:port or host:port";
            environment.ignore(variable, &masked(&text), expected);
        }
        endpoint.map(Proxy)
    }

    /// The whole of it, with its secrets.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}
