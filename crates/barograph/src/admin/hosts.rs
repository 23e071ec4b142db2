//! The host names allowed on a listener that only this machine should reach.
//!
//! A foreign web page can make a browser on this machine request 127.0.0.1 through a name that it
//! resolves to that address (DNS rebinding), and may then read the response. The request contains
//! that name as its host. So a listener on a loopback address answers only to names of this machine,
//! and to those that were allowed. A listener on another address is meant for other machines, and
//! answers every client.

use std::net::{IpAddr, SocketAddr};

use http::Request;
use http::header::HOST;

/// The allowed host names, in addition to those of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    names: Vec<Box<str>>,
}

impl Hosts {
    /// Allows these names, in any case, in addition to those of this machine. `*` allows every name.
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let names = names.into_iter().map(|name| {
            let name: Box<str> = name.into();
            bare(&name).into()
        });
        Hosts {
            names: names.collect(),
        }
    }

    /// Returns true if a request on a listener at this address may get pages.
    pub(super) fn allow<B>(&self, request: &Request<B>, listener: SocketAddr) -> bool {
        if !listener.ip().to_canonical().is_loopback() {
            return true;
        }
        // A request without a host does not come from a browser.
        let named = request
            .uri()
            .authority()
            .map(|name| name.as_str().as_bytes());
        let headers = request.headers().get_all(HOST).iter().map(|h| h.as_bytes());
        named.into_iter().chain(headers).all(|host| {
            let host = std::str::from_utf8(host).ok().and_then(name);
            host.is_some_and(|host| self.is_allowed(host))
        })
    }

    fn is_allowed(&self, host: &str) -> bool {
        let address = |host: &str| Some(host.parse::<IpAddr>().ok()?.to_canonical());
        let ip = address(host);
        if ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        let host = bare(host);
        let is_host = |name: &str| name.eq_ignore_ascii_case(host);
        let is_ip = |name: &str| ip.is_some() && address(name) == ip;
        let mut names = self.names.iter();
        is_host(LOCALHOST) || names.any(|name| &**name == "*" || is_host(name) || is_ip(name))
    }
}

/// Returns a host name without its final dot, or an address without its brackets.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.or_else(|| host.strip_suffix('.')).unwrap_or(host)
}

/// Returns the name in `name:port`, an IPv6 address without its brackets; None if it is neither.
fn name(host: &str) -> Option<&str> {
    let (name, rest) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(hosts: &Hosts, listener: &str, host: Option<&str>) -> bool {
        let mut request = Request::builder();
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = request.body(()).expect("a request");
        hosts.allow(&request, listener.parse().expect("an address"))
    }

    #[test]
    fn only_names_of_this_machine_are_allowed_on_loopback() {
        let hosts = Hosts::new(["metrics.shop.test", "final.dot.test.", "[fd00:0::1]"]);
        for (host, allowed) in [
            ("localhost", true),
            ("LocalHost:9464", true),
            ("localhost.:9464", true),
            ("127.0.0.1:9464", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("[::1]:9464", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("metrics.shop.test", true),
            ("METRICS.shop.test:80", true),
            ("final.dot.test", true),
            ("final.dot.test.:80", true),
            ("[fd00::1]:80", true),
            ("[fd00::2]:80", false),
            ("rebinding.test", false),
            ("rebinding.test:9464", false),
            ("10.0.0.1:9464", false),
            ("127.0.0.1.rebinding.test", false),
            ("localhost.rebinding.test", false),
            ("xlocalhost", false),
            ("localhost:9464.rebinding.test", false),
            ("localhost:9464:1", false),
            ("user@localhost", false),
            ("[::1", false),
            ("[::1]x", false),
            ("", false),
        ] {
            assert_eq!(
                allows(&hosts, "127.0.0.1:9464", Some(host)),
                allowed,
                "{host:?}"
            );
            assert_eq!(
                allows(&hosts, "[::1]:9464", Some(host)),
                allowed,
                "{host:?}"
            );
            assert!(allows(&hosts, "0.0.0.0:9464", Some(host)), "{host:?}");
            assert!(allows(&hosts, "10.0.0.1:9464", Some(host)), "{host:?}");
            let every = Hosts::new(["*"]);
            let has_name = name(host).is_some();
            assert_eq!(
                allows(&every, "127.0.0.1:9464", Some(host)),
                has_name,
                "{host:?}"
            );
        }
        assert!(allows(&hosts, "127.0.0.1:9464", None));
    }

    #[test]
    fn each_host_that_a_request_names_counts() {
        let hosts = Hosts::default();
        let there = "127.0.0.1:9464".parse().expect("an address");
        let allows = |uri: &str, headers: &[&str]| {
            let mut request = Request::builder().uri(uri);
            for host in headers {
                request = request.header(HOST, *host);
            }
            hosts.allow(&request.body(()).expect("a request"), there)
        };
        assert!(allows("http://localhost/metrics", &["localhost"]));
        assert!(!allows("http://rebinding.test/metrics", &["localhost"]));
        assert!(!allows("http://localhost/metrics", &["rebinding.test"]));
        assert!(!allows("/metrics", &["localhost", "rebinding.test"]));
    }
}
