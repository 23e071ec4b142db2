//! The proxies for connections to receivers.

use barograph_export::client::{Proxy, ProxyConfig};

use crate::environment::Environment;
use crate::variables::{
    HTTP_PROXY, HTTP_PROXY_LOWER, HTTPS_PROXY, HTTPS_PROXY_LOWER, NO_PROXY, NO_PROXY_LOWER,
    REQUEST_METHOD, Variable,
};

/// Reads the proxies. Upper-case names take precedence, as in Go and therefore in the Collector.
///
/// In a CGI program `HTTP_PROXY` is ignored: there, the `Proxy` header of a request sets it.
pub(super) fn read(environment: &mut Environment<'_>) -> ProxyConfig {
    let is_cgi = environment.is_set(&REQUEST_METHOD);
    let mut proxy = |variables: &[Variable]| {
        let mut variables = variables.iter();
        variables.find_map(|variable| environment.url(variable, Proxy::parse))
    };
    let mut config = ProxyConfig::default();
    if let Some(https) = proxy(&[HTTPS_PROXY, HTTPS_PROXY_LOWER]) {
        config = config.with_https(https);
    }
    let http = match is_cgi {
        true => proxy(&[HTTP_PROXY_LOWER]),
        false => proxy(&[HTTP_PROXY, HTTP_PROXY_LOWER]),
    };
    if let Some(http) = http {
        config = config.with_http(http);
    }
    let no_proxy = environment.text(&NO_PROXY);
    match no_proxy.or_else(|| environment.text(&NO_PROXY_LOWER)) {
        Some(hosts) => config.with_no_proxy(hosts),
        None => config,
    }
}
