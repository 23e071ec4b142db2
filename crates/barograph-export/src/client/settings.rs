//! A checked configuration, and the head of every request.

use std::time::Duration;

use barograph_encode::otlp::Signal;
use http::header::{AUTHORIZATION, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Uri};

use super::config::{ClientConfig, Compression, Files};
use super::endpoint::Endpoint;
use super::headers::{Headers, header_value};
use super::invalid::{InvalidClient, InvalidFile, InvalidHeader, InvalidUrl, MissingFeature};
use super::message::Secrets;
use super::protocol::Protocol;
use super::proxy::Proxy;

/// The checked settings of a client.
pub(super) struct Settings {
    pub(super) compression: Compression,
    pub(super) endpoint: Endpoint,
    pub(super) proxy: Option<Proxy>,
    pub(super) max_age: Duration,
    pub(super) user_agent: String,
    pub(super) secrets: Secrets,
    /// The URI in the first line of a request.
    uri: Uri,
    /// The headers that are the same for each request.
    fixed_headers: HeaderMap,
    /// The headers of the configuration, for those with values in files.
    headers: Headers,
}

impl Settings {
    pub(super) fn new(config: ClientConfig, signal: Signal) -> Result<Self, InvalidClient> {
        check_features(&config)?;
        let user_agent = user_agent(&config)?;
        let ClientConfig {
            endpoint,
            headers,
            compression,
            proxy: proxies,
            max_age,
            files,
            ..
        } = config;
        let proxy = proxies.choose(&endpoint).cloned();
        // A proxy that gets the requests themselves needs the whole URL.
        let is_absolute = proxy.is_some() && !endpoint.needs_tunnel();
        let mut uri = endpoint.path_and_query(signal);
        if endpoint.protocol == Protocol::Grpc || is_absolute {
            uri.insert_str(
                0,
                &format!("{}://{}", endpoint.scheme(), endpoint.authority()),
            );
        }
        let invalid = |expected| InvalidUrl::new(&endpoint.origin(), expected);
        let uri = uri.parse().map_err(|_| invalid("a URL"))?;

        let mut secrets = Secrets::default();
        let mut fixed_headers = HeaderMap::new();
        if let Some(credentials) = &endpoint.credentials {
            secrets.add(&credentials.basic);
            secrets.add(&credentials.password);
            let value = header_value(&AUTHORIZATION, &credentials.basic)?;
            fixed_headers.insert(AUTHORIZATION, value);
        }
        if let Some(credentials) = proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref()) {
            secrets.add(&credentials.basic);
            if is_absolute {
                let value = header_value(&PROXY_AUTHORIZATION, &credentials.basic)?;
                fixed_headers.insert(PROXY_AUTHORIZATION, value);
            }
        }
        proxies
            .passwords()
            .for_each(|password| secrets.add(password));
        let query = endpoint.query().unwrap_or_default();
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .for_each(|(_, value)| secrets.add(value));
        let value = HeaderValue::from_str(&user_agent).expect("checked when it was put together");
        fixed_headers.insert(USER_AGENT, value);
        headers.add_values(&mut fixed_headers, &mut secrets);
        if endpoint.protocol != Protocol::Grpc {
            let host = HeaderValue::from_str(&endpoint.authority());
            fixed_headers.insert(HOST, host.map_err(|_| invalid("a host"))?);
        }
        let settings = Settings {
            compression,
            endpoint,
            proxy,
            max_age,
            user_agent,
            secrets,
            uri,
            fixed_headers,
            headers,
        };
        if files == Files::AtStart {
            settings.clone_headers(&mut Secrets::default())?;
        }
        Ok(settings)
    }

    /// Returns the head of a request, with the current contents of header files, which are also
    /// added to `secrets`.
    pub(super) fn head(&self, secrets: &mut Secrets) -> Result<http::request::Parts, InvalidFile> {
        let request = http::Request::post(self.uri.clone()).body(());
        let (mut parts, ()) = request.expect("a URI that was parsed").into_parts();
        parts.headers = self.clone_headers(secrets)?;
        Ok(parts)
    }

    fn clone_headers(&self, secrets: &mut Secrets) -> Result<HeaderMap, InvalidFile> {
        let mut headers = self.fixed_headers.clone();
        self.headers.add_files(&mut headers, secrets)?;
        Ok(headers)
    }
}

impl ClientConfig {
    /// Returns what may be credentials and would be sent over a network in plaintext: names of
    /// headers, userinfo, a query. Never returns the values. Empty for TLS, the loopback and UNIX
    /// sockets.
    pub fn credentials_in_plaintext(&self) -> Vec<String> {
        let mut exposed = Vec::new();
        if self.endpoint.is_readable_by_others() {
            exposed.extend(self.headers.credentials().map(ToString::to_string));
            if self.endpoint.credentials.is_some() {
                exposed.push("userinfo of the endpoint".to_owned());
            }
            if self.endpoint.query().is_some() {
                exposed.push("query of the endpoint".to_owned());
            }
        }
        let proxy = self.proxy.choose(&self.endpoint);
        let proxy = proxy.filter(|proxy| !proxy.is_tls && !proxy.host.is_loopback());
        if proxy.is_some_and(|proxy| proxy.credentials.is_some()) {
            exposed.push("userinfo of the proxy".to_owned());
        }
        exposed.dedup();
        exposed
    }
}

fn check_features(config: &ClientConfig) -> Result<(), MissingFeature> {
    match config.compression.is_available() {
        true => Ok(()),
        false => Err(MissingFeature {
            feature: "zstd",
            wanted: "zstd",
        }),
    }
}

fn user_agent(config: &ClientConfig) -> Result<String, InvalidHeader> {
    let own = match config.endpoint.protocol {
        Protocol::Zipkin => concat!("barograph/", env!("CARGO_PKG_VERSION")),
        // Exporter, language and version. `OTel-OTLP-Exporter-Rust` would be the one of OpenTelemetry
        // itself. Source: OTLP exporter, "User Agent".
        _ => concat!("barograph-otlp-exporter-rust/", env!("CARGO_PKG_VERSION")),
    };
    let prefix = config.user_agent_prefix.trim();
    let user_agent = format!("{prefix}{}{own}", if prefix.is_empty() { "" } else { " " });
    match HeaderValue::from_str(&user_agent) {
        Ok(_) => Ok(user_agent),
        Err(_) => Err(InvalidHeader {
            name: "user-agent".to_owned(),
            expected: "a prefix without control characters",
        }),
    }
}
