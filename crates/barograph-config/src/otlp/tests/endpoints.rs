//! Endpoints: the rules by which they are parsed, and their paths. The tests of the client cover
//! valid and invalid URLs.

use super::*;

#[test]
fn only_the_general_endpoint_gets_the_path_of_the_signal() {
    for (text, for_all, for_one) in [
        (
            "http://c:4318",
            "http://c:4318/v1/metrics",
            "http://c:4318/",
        ),
        (
            " HTTP://c:4318/ ",
            "http://c:4318/v1/metrics",
            "http://c:4318/",
        ),
        (
            "https://c/base/",
            "https://c/base/v1/metrics",
            "https://c/base/",
        ),
        (
            "http://c/v1/metrics",
            "http://c/v1/metrics/v1/metrics",
            "http://c/v1/metrics",
        ),
        ("unix:///run/c.sock", "unix:/run/c.sock", "unix:/run/c.sock"),
    ] {
        for (variable, expected) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", for_all),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", for_one),
        ] {
            let (otlp, notices) = read(&[(variable, text)]);
            assert_eq!(
                urls(&otlp)[0].as_deref(),
                Some(expected),
                "{variable}={text}"
            );
            assert_eq!(notices, [""; 0]);
        }
    }
}

#[test]
fn grpc_may_use_a_unix_socket() {
    let (otlp, notices) = read(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:/run/c.sock"),
    ]);
    assert_eq!(urls(&otlp)[0].as_deref(), Some("unix:/run/c.sock"));
    assert_eq!(notices, [""; 0]);
}

#[test]
fn the_default_endpoint_is_on_this_machine() {
    for (protocol, origin) in [
        ("", "http://localhost:4318"),
        ("http/json", "http://localhost:4318"),
        ("grpc", "http://localhost:4317"),
    ] {
        let (otlp, _) = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let client = otlp.metrics.receiver.client(&otlp.push.proxy);
        assert_eq!(client.endpoint().origin(), origin, "{protocol}");
    }
    let zipkin = ZipkinConfig::default().client(&ProxyConfig::default());
    assert_eq!(
        zipkin.endpoint().url(Signal::Traces),
        "http://localhost:9411/api/v2/spans"
    );
}

#[test]
fn insecure_sets_the_scheme_of_grpc_endpoints_without_one() {
    let insecure = |value| ("OTEL_EXPORTER_OTLP_INSECURE", value);
    let own = |value| ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", value);
    for (endpoint, flags, expected) in [
        ("c:4317", vec![], "https://c:4317"),
        ("c:4317", vec![insecure("true")], "http://c:4317"),
        ("c:4317", vec![insecure("TRUE")], "http://c:4317"),
        ("c:4317", vec![insecure("false")], "https://c:4317"),
        ("c:4317", vec![insecure("1")], "https://c:4317"),
        (
            "c:4317",
            vec![insecure("true"), own("false")],
            "https://c:4317",
        ),
        (
            "c:4317",
            vec![insecure("true"), own("no")],
            "https://c:4317",
        ),
        (
            "c:4317",
            vec![insecure("false"), own("true")],
            "http://c:4317",
        ),
        ("https://c:4317", vec![insecure("true")], "https://c:4317"),
        ("http://c:4317", vec![insecure("false")], "http://c:4317"),
    ] {
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ];
        variables.extend(flags);
        let (otlp, _) = read(&variables);
        let read = otlp.metrics.receiver.endpoint.expect("it is one");
        assert_eq!(read.origin(), expected, "{variables:?}");
    }
    let (otlp, notices) = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ]);
    assert_eq!(
        urls(&otlp)[0].as_deref(),
        Some("https://c:4318/v1/metrics"),
        "HTTP goes by the scheme"
    );
    assert_eq!(notices, [""; 0]);
}
