//! Where requests go: what is read of an endpoint, and what its path becomes.

use super::*;

#[test]
fn the_endpoint_for_all_gets_a_path_and_the_own_one_is_taken_as_it_is() {
    let reading = |stands, protocol| Reading {
        signal: Signal::Metrics,
        protocol,
        stands,
        bare: Bare::Secure,
    };
    use Protocol::{Grpc, HttpProtobuf};
    let all = "/v1/metrics";
    for (text, for_all, for_one, grpc) in [
        ("http://c:4318", Some(all), Some("/"), Some("http://c:4318")),
        (
            "http://c:4318/",
            Some(all),
            Some("/"),
            Some("http://c:4318"),
        ),
        (
            "http://c:4318//",
            Some(all),
            Some("//"),
            Some("http://c:4318"),
        ),
        (
            " HTTP://c:4318 ",
            Some(all),
            Some("/"),
            Some("http://c:4318"),
        ),
        (
            "https://c/base/",
            Some("/base/v1/metrics"),
            Some("/base/"),
            Some("https://c"),
        ),
        (
            "http://c/v1/metrics",
            Some("/v1/metrics/v1/metrics"),
            Some(all),
            Some("http://c"),
        ),
        (
            "http://[::1]:4318",
            Some(all),
            Some("/"),
            Some("http://[::1]:4318"),
        ),
        (
            "http://u:p@c/#top",
            Some(all),
            Some("/"),
            Some("http://u:p@c"),
        ),
        ("unix:/run/c.sock", Some(all), Some(all), None),
        ("unix:///run/c.sock", Some(all), Some(all), None),
        ("c:4317", None, None, Some("https://c:4317")),
        ("c", None, None, Some("https://c")),
        ("[::1]:4317", None, None, Some("https://[::1]:4317")),
        ("//c:4318", None, None, None),
        ("ftp://c", None, None, None),
        ("http:/c", None, None, None),
        ("http://", None, None, None),
        ("http://:4318", None, None, None),
        ("http://c:", None, None, None),
        ("http://c:0", None, None, None),
        ("http://c:65536", None, None, None),
        ("http://c:http", None, None, None),
        ("http://::1:4318", None, None, None),
        ("http://[::1:4318", None, None, None),
        ("http://[c]:4318", None, None, None),
        ("http://c d", None, None, None),
        ("http://c\n", Some(all), Some("/"), Some("http://c")),
        ("http://c\nd", None, None, None),
        ("unix:", None, None, None),
        ("unix:run/c.sock", None, None, None),
        ("unix:/", None, None, None),
    ] {
        let parse = |stands, protocol| Endpoint::parse(text, reading(stands, protocol));
        let path = |stands| parse(stands, HttpProtobuf).map(|e| e.path().to_owned());
        assert_eq!(path(Stands::ForAll).as_deref(), for_all, "{text:?}");
        assert_eq!(path(Stands::ForOne).as_deref(), for_one, "{text:?}");
        let url = parse(Stands::ForAll, Grpc).map(|e| e.url());
        assert_eq!(url.as_deref(), grpc, "{text:?}");
    }
}

#[test]
fn a_url_keeps_what_is_in_it() {
    let (otlp, notices) = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:p@c:1/base?key=k"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://l"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:/run/t.sock"),
    ]);
    assert_eq!(
        urls(&otlp).map(Option::unwrap_or_default),
        [
            "https://u:p@c:1/base/v1/metrics?key=k",
            "unix:/run/t.sock",
            "https://l/"
        ]
    );
    assert_eq!(notices, [""; 0]);
}

#[test]
fn nothing_said_goes_to_this_machine() {
    for (protocol, metrics, logs) in [
        (
            Protocol::default(),
            "http://localhost:4318/v1/metrics",
            "http://localhost:4318/v1/logs",
        ),
        (
            Protocol::HttpJson,
            "http://localhost:4318/v1/metrics",
            "http://localhost:4318/v1/logs",
        ),
        (
            Protocol::Grpc,
            "http://localhost:4317",
            "http://localhost:4317",
        ),
    ] {
        let url = |signal| Endpoint::of_this_machine(signal, protocol).url();
        assert_eq!(url(Signal::Metrics), metrics);
        assert_eq!(url(Signal::Logs), logs);
    }
    assert_eq!(Protocol::default(), Protocol::HttpProtobuf);
}

#[test]
fn without_a_scheme_insecure_decides_for_grpc_alone() {
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
        assert_eq!(urls(&otlp)[0].as_deref(), Some(expected), "{variables:?}");
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
