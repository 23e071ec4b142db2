//! The rules that are easy to get wrong, each as a table.

mod endpoints;

use std::collections::BTreeMap;

use barograph_encode::otlp::Signal;
use barograph_export::client::{Compression, Headers, Proxy, TlsConfig};

use super::*;
use crate::exporters::{Exporter, Exporters, SignalExporters};

/// Returns the configuration read from these variables, and the notices.
fn read(variables: &[(&str, &str)]) -> (Exporters, Vec<String>) {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let lookup = |name: &str| variables.get(name).map(|value| (*value).into());
    let mut environment = Environment::new(&lookup);
    let otlp = Exporters::read(&mut environment);
    let notices = environment.into_notices();
    (otlp, notices.iter().map(ToString::to_string).collect())
}

/// Returns the URLs of requests of metrics, traces and logs.
fn urls(otlp: &Exporters) -> [Option<String>; 3] {
    otlp.signals().map(|(signal, exporters)| {
        let endpoint = exporters.receiver.endpoint.as_ref();
        endpoint.map(|endpoint| endpoint.url(signal))
    })
}

fn headers(list: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in list {
        headers.insert(name, value).expect("it is valid");
    }
    headers
}

#[test]
fn an_empty_environment_chooses_nothing() {
    let (otlp, notices) = read(&[]);
    assert_eq!(otlp, Exporters::default());
    assert_eq!(notices, [""; 0]);
    assert!(
        otlp.metrics.is_served()
            && !otlp.metrics.is_pushed()
            && !otlp.metrics.is_chosen(Exporter::Console)
    );
    assert!(!otlp.traces.is_pushed() && !otlp.logs.is_pushed());
}

#[test]
fn an_empty_value_counts_as_unset() {
    let names = [
        "OTEL_METRICS_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_INSECURE",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "HTTPS_PROXY",
        "BAROGRAPH_PERSISTENT_QUEUE_DIR",
        "BAROGRAPH_PERSISTENT_QUEUE_MAX_BYTES",
        "BAROGRAPH_PERSISTENT_QUEUE_REQUIRED",
    ];
    let (otlp, notices) = read(&names.map(|name| (name, "")));
    assert_eq!(otlp, Exporters::default());
    assert_eq!(notices, [""; 0]);
}

#[test]
fn exporters_are_a_list_and_unknown_words_are_left_out() {
    use Exporter::{Console, Otlp, Prometheus};
    for (value, expected, said) in [
        ("otlp", Some(vec![Otlp]), 0),
        ("otlp,prometheus", Some(vec![Otlp, Prometheus]), 0),
        (" OTLP , Console,", Some(vec![Otlp, Console]), 0),
        ("otlp,otlp", Some(vec![Otlp]), 0),
        ("none", Some(vec![]), 0),
        ("none,otlp", Some(vec![Otlp]), 1),
        ("otlp,jaeger", Some(vec![Otlp]), 1),
        ("zipkin,jaeger", None, 1),
        ("none,a,otlp,b,c,d", Some(vec![Otlp]), 1),
        (" , ", None, 0),
    ] {
        let (otlp, notices) = read(&[("OTEL_METRICS_EXPORTER", value)]);
        assert_eq!(otlp.metrics.chosen, expected, "{value:?}");
        assert_eq!(notices.len(), said, "{value:?}: {notices:?}");
    }
    let (otlp, notices) = read(&[("OTEL_LOGS_EXPORTER", "prometheus,otlp")]);
    assert_eq!(otlp.logs.chosen, Some(vec![Otlp]));
    assert_eq!(
        notices,
        [
            r#"OTEL_LOGS_EXPORTER="prometheus" is ignored, expected otlp, console, a list of them, or none alone"#
        ]
    );
}

#[test]
fn an_endpoint_pushes_its_signals_where_no_exporter_is_chosen() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector/l");
    let bad = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318");
    let prometheus = ("OTEL_METRICS_EXPORTER", "prometheus");
    let otlp = ("OTEL_METRICS_EXPORTER", "otlp");
    let none = ("OTEL_METRICS_EXPORTER", "none");
    for (variables, pushed, is_served) in [
        (vec![], [false; 3], true),
        (vec![all], [true; 3], true),
        (vec![logs], [false, false, true], true),
        (vec![bad], [false; 3], true),
        (vec![all, prometheus], [false, true, true], true),
        (vec![all, otlp], [true; 3], false),
        (vec![otlp], [true, false, false], false),
        (vec![all, none], [false, true, true], false),
    ] {
        let (otlp, _) = read(&variables);
        let exports = [&otlp.metrics, &otlp.traces, &otlp.logs];
        assert_eq!(
            exports.map(SignalExporters::is_pushed),
            pushed,
            "{variables:?}"
        );
        assert_eq!(otlp.metrics.is_served(), is_served, "{variables:?}");
    }
}

#[test]
fn the_variable_of_a_signal_takes_precedence_unless_it_is_invalid() {
    let (otlp, notices) = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://all"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://own/here"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "own"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "7000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/all.pem"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/own.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "k=all,other=1"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "k=own"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "nonsense"),
    ]);
    let (own, fallen, all) = (
        &otlp.metrics.receiver,
        &otlp.traces.receiver,
        &otlp.logs.receiver,
    );
    assert_eq!(
        urls(&otlp).map(Option::unwrap_or_default),
        [
            "https://own/here",
            "https://all/v1/traces",
            "https://all/v1/logs"
        ]
    );
    assert_eq!(own.protocol, Some(Protocol::HttpProtobuf));
    assert_eq!(fallen.protocol, Some(Protocol::HttpJson));
    assert_eq!(own.timeout, Some(Duration::from_millis(1)));
    assert_eq!(fallen.timeout, Some(Duration::from_secs(7)));
    assert_eq!(own.compression, Compression::None);
    assert_eq!(fallen.compression, Compression::Gzip);
    let zstd = match Compression::Zstd.is_available() {
        true => Compression::Zstd,
        false => Compression::Gzip,
    };
    assert_eq!(all.compression, zstd);
    assert_eq!(own.tls, TlsConfig::default().with_root_file("/own.pem"));
    assert_eq!(fallen.tls, TlsConfig::default().with_root_file("/all.pem"));
    // The headers of one receiver are not sent to another.
    assert_eq!(own.headers, headers(&[("k", "own")]));
    assert_eq!(fallen.headers, headers(&[("k", "all"), ("other", "1")]));
    let said = if Compression::Zstd.is_available() {
        5
    } else {
        6
    };
    assert_eq!(notices.len(), said, "{notices:#?}");
}

#[test]
fn a_client_certificate_needs_its_key() {
    let certificate = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem");
    let key = ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/k.pem");
    let (otlp, notices) = read(&[certificate, key]);
    let none = TlsConfig::default;
    let both = none().with_identity_files("/c.pem", "/k.pem");
    assert_eq!(otlp.metrics.receiver.tls, both);
    assert_eq!(otlp.logs.receiver.tls, none());
    assert_eq!(
        notices,
        ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is ignored, expected a client key beside it"]
    );
}

#[test]
fn headers_are_percent_encoded_pairs() {
    for (text, expected, ignored) in [
        ("a=1", vec![("a", "1")], 0),
        (" a = 1 , b=2,", vec![("a", "1"), ("b", "2")], 0),
        ("A=1", vec![("a", "1")], 0),
        ("a=1,A=2,a=3", vec![("a", "3")], 0),
        (
            "authorization=Basic%20dTpw",
            vec![("authorization", "Basic dTpw")],
            0,
        ),
        (
            "Authorization=Basic dTpw==",
            vec![("authorization", "Basic dTpw==")],
            0,
        ),
        ("a=x%2Cy%3Dz%25", vec![("a", "x,y=z%")], 0),
        ("a=1+2", vec![("a", "1+2")], 0),
        ("a=1;b=2", vec![("a", "1;b=2")], 0),
        ("a=", vec![("a", "")], 0),
        ("x-scope-orgid=t", vec![("x-scope-orgid", "t")], 0),
        ("a=1,b", vec![("a", "1")], 1),
        ("a=1,=2", vec![("a", "1")], 1),
        ("a=1,b c=2", vec![("a", "1")], 1),
        ("a=1,b=%", vec![("a", "1")], 1),
        ("a=1,b=%zz", vec![("a", "1")], 1),
        ("a=1,b=x%0Ay", vec![("a", "1")], 1),
        ("a=1,b=%00", vec![("a", "1")], 1),
        ("a=1,b=%C3%A9", vec![("a", "1")], 1),
        ("a=1,b=%FF", vec![("a", "1")], 1),
        ("content-type=text/plain,a=1", vec![("a", "1")], 1),
        ("grpc-timeout=1S,a=1", vec![("a", "1")], 1),
        ("keep-alive=5,a=1", vec![("a", "1")], 1),
        ("Accept-Encoding=br,a=1", vec![("a", "1")], 1),
        ("proxy-authorization=x,a=1", vec![("a", "1")], 1),
        ("b", vec![], 1),
    ] {
        let (otlp, notices) = read(&[("OTEL_EXPORTER_OTLP_METRICS_HEADERS", text)]);
        assert_eq!(
            otlp.metrics.receiver.headers,
            headers(&expected),
            "{text:?}"
        );
        assert_eq!(notices.len(), ignored, "{text:?}: {notices:?}");
    }
}

#[test]
fn no_secret_is_shown() {
    let (otlp, notices) = read(&[
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://SECRET:SECRET@c:4317/?k=SECRET",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "htp://u:SECRET@c"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://u:SECRET/SECRET@c:http?SECRET",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "http://u?SECRET#SECRET@c d?SECRET",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "k=SECRET,SECRET,SECRET=%,é=SECRET",
        ),
        ("HTTPS_PROXY", "http://u:SECRET@p:3128"),
        ("HTTP_PROXY", "socks5://u:SECRET@p:1080"),
    ]);
    let shown = format!("{otlp:?} {otlp:#?} {notices:#?}");
    assert!(!shown.contains("SECRET"), "{shown}");
    // The secrets were read: a test of empty text would prove nothing.
    assert_eq!(urls(&otlp)[0].as_deref(), Some("http://c:4317/v1/metrics"));
    assert_eq!(otlp.metrics.receiver.headers, headers(&[("k", "SECRET")]));
    let proxy = Proxy::parse("http://u:SECRET@p:3128").expect("it is valid");
    assert_eq!(otlp.push.proxy, ProxyConfig::default().with_https(proxy));
    // Two endpoints, the headers, the proxy, the port.
    assert_eq!(notices.len(), 5, "{notices:#?}");
    let headers = "OTEL_EXPORTER_OTLP_HEADERS: members 2, 3, 4 are ignored, expected ";
    assert!(
        notices.iter().any(|notice| notice.starts_with(headers)),
        "{notices:#?}"
    );
}

#[test]
fn a_notice_suggests_the_protocol_that_fits_the_port() {
    for (endpoint, protocol, is_told) in [
        ("http://c:4317", "", true),
        ("http://c:4317", "http/protobuf", false),
        ("http://c:4317", "grpc", false),
        ("http://c:4318", "grpc", true),
        ("http://c:4318", "", false),
    ] {
        let (_, notices) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        let said = usize::from(is_told);
        assert_eq!(notices.len(), said, "{endpoint} {protocol}: {notices:?}");
    }
}

#[test]
fn a_notice_says_that_grpc_ignores_paths() {
    for (endpoint, said) in [
        ("http://c:4317", 0),
        ("http://c:4317/", 0),
        ("c:4317", 0),
        ("http://c:4317/base", 1),
        ("http://c:4317?k=SECRET", 1),
    ] {
        let (otlp, notices) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ]);
        assert_eq!(notices.len(), said, "{endpoint}: {notices:?}");
        assert!(!format!("{notices:?}{otlp:?}").contains("SECRET"));
        let endpoint = otlp.metrics.receiver.endpoint.as_ref();
        let origin = endpoint.map(Endpoint::origin);
        assert!(origin.is_some_and(|origin| origin.ends_with("c:4317")));
    }
}

#[test]
fn metrics_have_an_interval_a_timeout_and_a_temporality() {
    let (otlp, notices) = read(&[
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "0"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "LowMemory",
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
    ]);
    assert_eq!(otlp.push.metric_interval, Some(Duration::from_secs(5)));
    assert!(
        otlp.push.metric_timeout > Some(Duration::from_secs(86_400)),
        "no limit"
    );
    assert_eq!(otlp.push.temporalities, Temporalities::LOW_MEMORY);
    assert_eq!(
        notices,
        [
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: histograms have explicit \
             buckets all the same"
        ]
    );
    for (value, said) in [("explicit_bucket_histogram", 0), ("exponential", 1)] {
        let variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        assert_eq!(read(&[(variable, value)]).1.len(), said, "{value}");
    }
}

#[test]
fn proxies_have_two_spellings() {
    for (variables, https, http, said) in [
        (
            vec![("HTTPS_PROXY", "http://p:3128")],
            "http://p:3128",
            "",
            0,
        ),
        (vec![("https_proxy", " p:3128 ")], "p:3128", "", 0),
        (
            vec![("HTTPS_PROXY", "http://a"), ("https_proxy", "http://b")],
            "http://a",
            "",
            0,
        ),
        (
            vec![("HTTPS_PROXY", "socks5://a"), ("https_proxy", "http://b")],
            "http://b",
            "",
            1,
        ),
        (vec![("HTTP_PROXY", "https://p/")], "", "https://p/", 0),
        (
            vec![("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")],
            "",
            "",
            0,
        ),
        (
            vec![("http_proxy", "http://a"), ("REQUEST_METHOD", "GET")],
            "",
            "http://a",
            0,
        ),
    ] {
        let (otlp, notices) = read(&variables);
        let proxy = |text: &str| Proxy::parse(text).expect("it is valid");
        let mut expected = ProxyConfig::default();
        if !https.is_empty() {
            expected = expected.with_https(proxy(https));
        }
        if !http.is_empty() {
            expected = expected.with_http(proxy(http));
        }
        assert_eq!(otlp.push.proxy, expected, "{variables:?}");
        assert_eq!(notices.len(), said, "{variables:?}");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        let (otlp, _) = read(&[(name, ".example,10.0.0.0/8")]);
        let expected = ProxyConfig::default().with_no_proxy(".example,10.0.0.0/8");
        assert_eq!(otlp.push.proxy, expected);
    }
}

#[test]
fn the_persistent_queue_has_a_directory_and_a_size() {
    for (value, expected, said) in [
        ("1048576", 1_048_576, 0),
        ("0", 256 << 20, 1),
        ("-1", 256 << 20, 1),
        ("1MiB", 256 << 20, 1),
    ] {
        let (otlp, notices) = read(&[
            ("BAROGRAPH_PERSISTENT_QUEUE_DIR", "/var/lib/shop"),
            ("BAROGRAPH_PERSISTENT_QUEUE_MAX_BYTES", value),
        ]);
        assert_eq!(
            otlp.push.persistent_queue.directory,
            Some("/var/lib/shop".into())
        );
        assert_eq!(
            otlp.push.persistent_queue.config.max_bytes, expected,
            "{value}"
        );
        assert_eq!(notices.len(), said, "{value}");
    }
}

#[test]
fn the_persistent_queue_may_be_required() {
    for (value, expected, said) in [
        ("true", Some(true), 0),
        ("False", Some(false), 0),
        ("", None, 0),
        ("yes", Some(false), 1),
    ] {
        let (otlp, notices) = read(&[("BAROGRAPH_PERSISTENT_QUEUE_REQUIRED", value)]);
        assert_eq!(otlp.push.persistent_queue.is_required, expected, "{value}");
        assert_eq!(notices.len(), said, "{value}");
    }
}
