use super::*;

use crate::prometheus::name::Translation;

/// Prometheus 3.15, default protocols.
const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// The same with native histograms, and with names to be escaped.
const PROMETHEUS_3_PROTO: &str = "application/vnd.google.protobuf;\
    proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
    application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,\
    text/plain;version=1.0.0;escaping=underscores;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Prometheus 2.42.
const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[test]
fn an_accept_header_leads_to_one_content_type() {
    for (accept, content_type) in [
        (
            PROMETHEUS_3,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        (
            PROMETHEUS_3_PROTO,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            PROMETHEUS_2,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        ("", TEXT),
        ("*/*", TEXT),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            TEXT,
        ),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain; version=\"0.0.4\" ; Q=0.3", TEXT),
        (
            "text/plain;version=0.0.4;escaping=values",
            "text/plain; version=0.0.4; charset=utf-8; escaping=values",
        ),
        (
            "text/plain;version=1.0.0",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "text/plain;version=1.0.0;escaping=nonsense",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "application/openmetrics-text",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
        ),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=1.5", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.1234", TEXT),
        (
            "application/openmetrics-text;version=1.0.0;q=,,;;=,\"",
            TEXT,
        ),
        (
            "text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4",
            TEXT,
        ),
        (
            "x/y;p=\",application/openmetrics-text;version=1.0.0\"",
            TEXT,
        ),
        ("application/json", TEXT),
        ("\u{fffd};;;,,,q=1", TEXT),
    ] {
        let negotiated = negotiate(Some(accept), None, &Config::new());
        assert_eq!(negotiated.content_type(), content_type, "{accept}");
    }
    assert_eq!(negotiate(None, None, &Config::new()), Negotiated::default());
}

#[test]
fn the_first_of_equally_preferred_formats_is_selected() {
    let accept = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0";
    let negotiated = negotiate(Some(accept), None, &Config::new());
    assert_eq!(negotiated.format(), Format::Text0_0_4);
}

#[test]
fn dots_escaping_is_not_used_for_legacy_names() {
    let accept = Some("text/plain;version=1.0.0;escaping=dots");
    let default = negotiate(accept, None, &Config::new());
    assert_eq!(default.escaping(), Escaping::Underscores);
    let config = Config::new().with_translation(Translation::NoTranslation);
    assert_eq!(negotiate(accept, None, &config).escaping(), Escaping::Dots);
}

#[test]
fn a_header_is_parsed_up_to_its_maximum_length() {
    let long = format!("{}é,{PROMETHEUS_2}", "x".repeat(MAX_HEADER - 1));
    assert_eq!(
        negotiate(Some(&long), None, &Config::new()).content_type(),
        TEXT
    );
    let short = format!("{}é,{PROMETHEUS_2}", "x".repeat(MAX_HEADER / 2));
    let negotiated = negotiate(Some(&short), None, &Config::new());
    assert_eq!(negotiated.format(), Format::OpenMetrics1_0_0);
}

#[test]
fn gzip_is_used_if_its_quality_is_at_least_that_of_identity() {
    for (accept_encoding, expected) in [
        ("", Compression::Identity),
        ("gzip", Compression::Gzip),
        ("GZIP;q=0.5", Compression::Gzip),
        ("x-gzip", Compression::Gzip),
        ("gzip, deflate, br, zstd", Compression::Gzip),
        ("identity", Compression::Identity),
        ("gzip;q=0", Compression::Identity),
        ("gzip;q=0.0, *", Compression::Identity),
        ("gzip;q=0.5, identity;q=0.8", Compression::Identity),
        ("gzip;q=0.8, identity;q=0.8", Compression::Gzip),
        ("*", Compression::Gzip),
        ("*;q=0", Compression::Identity),
        ("br", Compression::Identity),
        ("gzip;q=nonsense", Compression::Identity),
    ] {
        let negotiated = negotiate(None, Some(accept_encoding), &Config::new());
        assert_eq!(negotiated.compression(), expected, "{accept_encoding}");
    }
}
