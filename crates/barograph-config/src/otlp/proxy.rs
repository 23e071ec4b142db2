//! The proxies for connections to receivers.

use barograph_export::client::{Proxy, ProxyConfig};

use crate::environment::Environment;

/// Reads the proxies. Upper-case names take precedence, as in Go and therefore in the Collector.
///
/// In a CGI program `HTTP_PROXY` is ignored: there, the `Proxy` header of a request sets it.
pub(super) fn read(environment: &mut Environment<'_>) -> ProxyConfig {
    let is_cgi = environment.is_set("REQUEST_METHOD");
    let mut proxy = |names: &[&'static str]| {
        let mut names = names.iter();
        names.find_map(|name| environment.url(name, Proxy::parse))
    };
    let mut config = ProxyConfig::default();
    if let Some(https) = proxy(&["HTTPS_PROXY", "https_proxy"]) {
        config = config.with_https(https);
    }
    let http = match is_cgi {
        true => proxy(&["http_proxy"]),
        false => proxy(&["HTTP_PROXY", "http_proxy"]),
    };
    if let Some(http) = http {
        config = config.with_http(http);
    }
    let no_proxy = environment.text("NO_PROXY");
    match no_proxy.or_else(|| environment.text("no_proxy")) {
        Some(hosts) => config.with_no_proxy(hosts),
        None => config,
    }
}
