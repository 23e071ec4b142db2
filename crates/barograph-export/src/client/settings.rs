//! A checked configuration, and the head of every request.

use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Uri};

use super::config::{ClientConfig, Compression, Files, HeaderFile, Protocol};
use super::endpoint::Endpoint;
use super::invalid::{InvalidClient, InvalidFile, InvalidHeader, InvalidUrl, MissingFeature};
use super::message::Secrets;
use super::proxy::{Proxy, Way};
use super::small_file;
use barograph_encode::otlp::Signal;

/// The checked settings of a client.
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) compression: Compression,
    pub(super) endpoint: Endpoint,
    pub(super) proxy: Option<Proxy>,
    pub(super) max_age: Duration,
    pub(super) user_agent: String,
    pub(super) secrets: Secrets,
    /// The URI in the first line of a request.
    uri: Uri,
    headers: HeaderMap,
    header_files: Vec<(HeaderName, HeaderFile)>,
}

impl Settings {
    pub(super) fn new(config: &ClientConfig, signal: Signal) -> Result<Self, InvalidClient> {
        let endpoint = Endpoint::new(config, signal)?;
        let proxy = Proxy::choose(&config.proxy, config.protocol, &endpoint)?;
        check_features(config)?;
        let is_absolute = proxy
            .as_ref()
            .is_some_and(|proxy| proxy.way == Way::Absolute);
        let uri = match config.protocol == Protocol::Grpc || is_absolute {
            true => endpoint.url(),
            false => endpoint.path.clone(),
        };
        let uri = uri
            .parse()
            .map_err(|_| InvalidUrl::new(&config.endpoint, "a URL"))?;

        let mut secrets = Secrets::default();
        let mut headers = HeaderMap::new();
        if let Some(basic) = &endpoint.basic {
            secrets.add(basic);
            headers.insert(AUTHORIZATION, header_value(&AUTHORIZATION, basic)?);
        }
        let proxy_basic = proxy.as_ref().and_then(|proxy| proxy.basic.as_ref());
        if let Some(basic) = proxy_basic {
            secrets.add(basic);
            if is_absolute {
                let value = header_value(&PROXY_AUTHORIZATION, basic)?;
                headers.insert(PROXY_AUTHORIZATION, value);
            }
        }
        for userinfo in [
            Some(&config.endpoint),
            config.proxy.https.as_ref(),
            config.proxy.http.as_ref(),
        ] {
            userinfo
                .and_then(|url| password(url))
                .into_iter()
                .for_each(|secret| secrets.add(&secret));
        }
        if let Some((_, query)) = endpoint.path.split_once('?') {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .for_each(|(_, value)| secrets.add(value));
        }
        let user_agent = user_agent(config)?;
        let value = HeaderValue::from_str(&user_agent).expect("checked when it was put together");
        headers.insert(USER_AGENT, value);
        for (name, value) in &config.headers {
            let (name, value) = ClientConfig::header(name, value)?;
            secrets.add(&String::from_utf8_lossy(value.as_bytes()));
            headers.insert(name, value);
        }
        if config.protocol != Protocol::Grpc {
            let host = HeaderValue::from_str(&endpoint.authority());
            headers.insert(
                HOST,
                host.map_err(|_| InvalidUrl::new(&config.endpoint, "a host"))?,
            );
        }
        let header_files = config.header_files.iter().cloned();
        let header_files = header_files.map(|file| Ok((header_name(&file.name)?, file)));
        let settings = Settings {
            protocol: config.protocol,
            compression: config.compression,
            max_age: config.max_age,
            header_files: header_files.collect::<Result<_, InvalidHeader>>()?,
            endpoint,
            proxy,
            user_agent,
            secrets,
            uri,
            headers,
        };
        if config.files == Files::AtStart {
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
        let mut headers = self.headers.clone();
        for (name, file) in &self.header_files {
            let invalid = |reason: String| InvalidFile {
                path: Some(file.path.clone()),
                expected: "the value of a header",
                reason,
            };
            let contents =
                small_file::read(&file.path).map_err(|error| invalid(error.to_string()))?;
            let contents = contents.trim_ascii();
            if contents.is_empty() {
                return Err(invalid("it is empty".to_owned()));
            }
            let value = HeaderValue::from_bytes(&[file.before.as_bytes(), contents].concat());
            let mut value = value.map_err(|_| invalid("control characters in it".to_owned()))?;
            value.set_sensitive(true);
            secrets.add(&String::from_utf8_lossy(contents));
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

impl ClientConfig {
    /// Checks a header, by the same rules as [`Client::new`](super::Client::new): its name must not
    /// be one that the protocol sets itself, and its value must be ASCII without control
    /// characters. The value is marked as sensitive.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidHeader`], which does not contain the value.
    pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidHeader> {
        let name = header_name(name)?;
        let value = header_value(&name, value)?;
        Ok((name, value))
    }

    /// Returns what may be credentials and would be sent over a network in plaintext: names of
    /// headers, userinfo, a query. Never returns the values. Empty for TLS, the loopback and UNIX
    /// sockets. Vendors use many names for a key, so every header counts except those that only
    /// identify the sender.
    ///
    /// # Errors
    ///
    /// Like [`Client::new`](super::Client::new), returns an error if the endpoint or a proxy is
    /// invalid.
    pub fn credentials_in_the_clear(&self) -> Result<Vec<String>, InvalidClient> {
        // The signal and the path rule make no difference here.
        let endpoint = Endpoint::new(self, Signal::Metrics)?;
        let proxy = Proxy::choose(&self.proxy, self.protocol, &endpoint)?;
        let mut exposed = Vec::new();
        if endpoint.is_readable_by_others() {
            let files = self
                .header_files
                .iter()
                .map(|file| file.name.to_ascii_lowercase());
            let names = self
                .headers
                .iter()
                .map(|(name, _)| name.to_ascii_lowercase());
            exposed.extend(names.filter(|name| is_credential(name)).chain(files));
            exposed.extend(
                endpoint
                    .basic
                    .iter()
                    .map(|_| "userinfo of the endpoint".to_owned()),
            );
            if endpoint.path.contains('?') {
                exposed.push("query of the endpoint".to_owned());
            }
        }
        let open = proxy.filter(|proxy| !proxy.is_tls && !proxy.host.is_loopback());
        if open.is_some_and(|proxy| proxy.basic.is_some()) {
            exposed.push("userinfo of the proxy".to_owned());
        }
        exposed.dedup();
        Ok(exposed)
    }
}

/// Returns true if a header of this name, in lower case, may hold a secret.
fn is_credential(name: &str) -> bool {
    !["user-agent", "x-scope-orgid"].contains(&name.trim())
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

fn header_name(name: &str) -> Result<HeaderName, InvalidHeader> {
    let invalid = |expected| InvalidHeader {
        name: name.to_owned(),
        expected,
    };
    let parsed = HeaderName::try_from(name.trim());
    let parsed = parsed.map_err(|_| invalid("the name of an HTTP header"))?;
    match RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
        true => Err(invalid("one that the protocol does not set itself")),
        false => Ok(parsed),
    }
}

/// Headers that describe the encoding or the transfer of the request.
const RESERVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue, InvalidHeader> {
    let invalid = || InvalidHeader {
        name: name.to_string(),
        expected: "a value of ASCII without control characters",
    };
    let value = value.trim();
    // gRPC allows nothing else, and most HTTP receivers accept nothing else.
    if !value.is_ascii() {
        return Err(invalid());
    }
    let mut parsed = HeaderValue::from_str(value).map_err(|_| invalid())?;
    // HTTP/2 then keeps it out of its compression tables.
    parsed.set_sensitive(true);
    Ok(parsed)
}

fn user_agent(config: &ClientConfig) -> Result<String, InvalidHeader> {
    let own = match config.protocol {
        Protocol::Zipkin => concat!("barograph/", env!("CARGO_PKG_VERSION")),
        // Exporter, language and version. `OTel-OTLP-Exporter-Rust` would be the one of OpenTelemetry itself.
        // Source: OTLP exporter, "User Agent".
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

/// Returns the password in a URL, decoded, as a message may quote it.
fn password(url: &str) -> Option<String> {
    let userinfo = url
        .split_once("://")
        .map_or(url, |(_, rest)| rest)
        .rsplit_once('@')?
        .0;
    let (_, password) = userinfo.split_once(':')?;
    Some(String::from_utf8_lossy(&super::endpoint::percent_decoded(password)).into_owned())
}
