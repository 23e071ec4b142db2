//! For any endpoint, proxy, header and certificate, a client is created or an error is returned,
//! and no message contains a secret. A client accepts every parsed endpoint, proxy and header.
#![no_main]

use arbitrary::Arbitrary;
use barograph_encode::otlp::Signal;
use barograph_export::client::{
    Client, ClientConfig, Endpoint, Headers, InvalidClient, Protocol, Proxy, ProxyConfig, TlsConfig,
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

    let endpoint = Endpoint::parse(protocol, &endpoint);
    let header = Headers::new().with(&name, &format!("{value}{SECRET}"));
    let proxy = Proxy::parse(&proxy);
    let mut said = format!("{endpoint:?} {header:?} {proxy:?}");
    if let Ok(endpoint) = &endpoint {
        let (url, origin) = (endpoint.url(Signal::Traces), endpoint.origin());
        said += &format!("{url} {origin} {:?}", endpoint.port());
    }
    assert!(!said.contains(SECRET), "{said}");
    let Ok(mut endpoint) = endpoint else {
        return;
    };
    if input.is_exact {
        endpoint = endpoint.with_exact_path();
    }
    if input.is_plain {
        endpoint = endpoint.with_plaintext();
    }
    let mut config = ClientConfig::new(endpoint);
    if let Ok(headers) = header {
        config = config.with_headers(headers);
    }
    if let Ok(proxy) = proxy {
        let proxies = ProxyConfig::default()
            .with_https(proxy.clone())
            .with_http(proxy)
            .with_no_proxy(input.no_proxy);
        config = config.with_proxy(proxies);
    }
    let mut tls = TlsConfig::default();
    if let Some(roots) = input.roots {
        tls = tls.with_root_pem(roots);
    }
    if let Some((certificates, key)) = input.identity {
        tls = tls.with_identity_pem(certificates, key);
    }
    config = config.with_tls(tls);
    let said = format!("{config:?} {:?}", config.credentials_in_plaintext());
    assert!(!said.contains(SECRET), "{said}");
    // Everything but certificates was checked above, and the path of the signal may make the URL too
    // long.
    match Client::new(config, Signal::Traces) {
        Ok(_) | Err(InvalidClient::File(_) | InvalidClient::Url(_)) => {}
        Err(error) => panic!("{error}"),
    }
});
