//! For any endpoint, proxy, header and certificate, a client is created or an error is returned,
//! and no message contains a secret. A client accepts what the separate checks accept.
#![no_main]

use arbitrary::Arbitrary;
use barograph_encode::otlp::Signal;
use barograph_export::client::{
    Client, ClientConfig, InvalidClient, Protocol, ProxyConfig, TlsConfig,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    protocol: u8,
    is_exact: bool,
    is_plain: bool,
    endpoint: &'a str,
    proxy: &'a str,
    no_proxy: &'a str,
    header: (&'a str, &'a str),
    roots: Option<&'a [u8]>,
    identity: Option<(&'a [u8], &'a [u8])>,
}

const SECRET: &str = "S3CRET";

fuzz_target!(|input: Input<'_>| {
    let protocols = [
        Protocol::Grpc,
        Protocol::HttpProtobuf,
        Protocol::HttpJson,
        Protocol::Zipkin,
    ];
    let protocol = protocols[usize::from(input.protocol) % protocols.len()];
    // The fuzzer's own text must not contain the secret.
    let harmless = |text: &str| text.replace('3', "e");
    let (name, value) = (harmless(input.header.0), harmless(input.header.1));
    let endpoint = harmless(input.endpoint).replace("://", &format!("://u:{SECRET}@"));
    let proxy = harmless(input.proxy).replace("://", &format!("://u:{SECRET}@"));

    let mut config = ClientConfig::new(protocol, &endpoint);
    if input.is_exact {
        config = config.with_exact_path();
    }
    if input.is_plain {
        config = config.with_plaintext();
    }
    let read = config.endpoint(Signal::Traces);
    let header = ClientConfig::header(&name, &format!("{value}{SECRET}"));
    let checked = ProxyConfig::check(&proxy);
    let mut said = format!("{read:?} {config:?} {checked:?}");
    said += &header
        .as_ref()
        .map_or_else(|e| format!("{e:?}"), |h| format!("{h:?}"));
    if let Ok(endpoint) = &read {
        said += &format!("{endpoint} {} {:?}", endpoint.origin(), endpoint.port());
    }
    assert!(!said.contains(SECRET), "{said}");

    let proxies = ProxyConfig::default()
        .with_https(&proxy)
        .with_http(&proxy)
        .with_no_proxy(input.no_proxy);
    let mut whole = config
        .with_proxy(proxies)
        .with_header(&name, format!("{value}{SECRET}"));
    let mut tls = TlsConfig::default();
    if let Some(roots) = input.roots {
        tls = tls.with_root_pem(roots);
    }
    if let Some((certificates, key)) = input.identity {
        tls = tls.with_identity_pem(certificates, key);
    }
    whole = whole.with_tls(tls);
    let exposed = whole.credentials_in_the_clear();
    let is_in_order = read.is_ok() && header.is_ok() && checked.is_ok();
    match Client::new(whole, Signal::Traces) {
        Ok(_) => assert!(read.is_ok() && header.is_ok()),
        // Certificates were not checked above.
        Err(InvalidClient::File(_)) => {}
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
            assert!(!is_in_order, "{error}");
        }
    }
    assert!(exposed.is_ok() || !is_in_order);
});
