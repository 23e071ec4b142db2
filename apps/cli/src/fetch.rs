//! GET requests, bounded in size and time. Redirections to another host are not followed.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::report::{Unusable, bytes, causes};

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Returns true if an argument is meant to be a URL.
pub(crate) fn is_url(argument: &str) -> bool {
    argument.contains("://")
}

/// Sends a request with an `Accept` header, and reads the response, whatever its status.
///
/// # Errors
/// [`Unusable`] if there is none within the time limit, or it is longer than [`MAX_BODY`].
pub(crate) fn get(url: &str, accept: &str, timeout: Duration) -> Result<Response, Unusable> {
    let mut uri = parse(url)?;
    let agent = agent(&uri, timeout);
    for _ in 0..=MAX_REDIRECTIONS {
        let response = agent.get(&uri).header("accept", accept).call();
        let mut response = response.map_err(|error| unreachable(&uri, &error))?;
        let status = response.status();
        let text = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        if status.is_redirection()
            && let Some(location) = text("location")
        {
            uri = redirected(&uri, &location)?;
            continue;
        }
        let content_type = text("content-type");
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY)
            .read_to_vec();
        let body = body.map_err(|error| unreachable(&uri, &error))?;
        return Ok(Response {
            status: status.as_u16(),
            content_type,
            body,
        });
    }
    Err(Unusable::new(
        format!("{uri} redirects more than {MAX_REDIRECTIONS} times"),
        "give the URL that it leads to",
    ))
}

/// Returns the place of a URL: its scheme, host and port.
pub(crate) fn parse(url: &str) -> Result<Uri, Unusable> {
    let expected = "expected http://host:port/path or https://host:port/path";
    let invalid = || {
        Unusable::new(
            format!("{url:?} is not a URL to read a page from"),
            expected,
        )
    };
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    match is_http && uri.host().is_some_and(|host| !host.is_empty()) {
        true => Ok(uri),
        false => Err(invalid()),
    }
}

/// Returns the target of a redirection, if it is on the same host and port.
fn redirected(from: &Uri, location: &str) -> Result<Uri, Unusable> {
    let to = match location.strip_prefix('/') {
        Some(path) if !path.starts_with('/') => {
            let authority = from.authority().map_or("", |authority| authority.as_str());
            let scheme = from.scheme_str().unwrap_or("http");
            format!("{scheme}://{authority}{location}").parse().ok()
        }
        _ => location.parse().ok(),
    };
    let place = |uri: &Uri| {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        (uri.scheme_str().map(str::to_owned), host, uri.port_u16())
    };
    match to {
        Some(to) if place(&to) == place(from) => Ok(to),
        _ => Err(Unusable::new(
            format!("{from} redirects to {location:?}, which is another place"),
            "give that URL if it is the right one",
        )),
    }
}

fn agent(uri: &Uri, timeout: Duration) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(timeout))
        .user_agent(concat!("barograph-cli/", env!("CARGO_PKG_VERSION")));
    if uri.scheme_str() == Some("https") {
        // As the exporter: the roots of the system.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots
            .iter()
            .map(|der| Certificate::from_der(der).to_owned());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        config = config.tls_config(tls);
    }
    // A proxy cannot reach this machine.
    if is_loopback(uri.host().unwrap_or_default()) {
        config = config.proxy(None);
    }
    config.build().into()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn unreachable(uri: &Uri, error: &ureq::Error) -> Unusable {
    let (message, advice) = match error {
        ureq::Error::Timeout(_) => (
            format!("{uri} did not answer in time"),
            "--timeout SECONDS sets another limit",
        ),
        ureq::Error::HostNotFound => (
            format!("{uri}: the name of the host is not known"),
            "is it spelled correctly?",
        ),
        ureq::Error::BodyExceedsLimit(_) => (
            format!("the answer of {uri} is longer than {}", bytes(MAX_BODY)),
            "is this the URL of a page of metrics?",
        ),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => (
            format!("{uri}: nothing listens there"),
            "is the service running, and is this its port? By default pages are on port 9464",
        ),
        error => (format!("{uri} cannot be read: {}", causes(error)), ""),
    };
    Unusable::new(message, advice)
}

/// The longest page that is read.
pub(crate) const MAX_BODY: u64 = 64 << 20;
const MAX_REDIRECTIONS: usize = 3;
