//! The metrics of requests in the Prometheus text format.

use std::sync::Arc;

use barograph_encode::prometheus::{Config, Exposition, negotiate};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use http::Response;
use tower::Service;

use crate::page::setup;
use crate::script::{Script, now, request, service};

const TEXT: &str = "text/plain; version=0.0.4";

fn page(source: Arc<dyn Source>, config: Config, accept: &str) -> String {
    let negotiated = negotiate(Some(accept), None, &config);
    let exposition = Exposition::new(config, &Resource::new(), [source]);
    exposition.page(negotiated).text()
}

/// Returns the lines that are not comments, without their values and without labels whose value is
/// empty, which Prometheus treats as absent.
fn series(page: &str) -> Vec<String> {
    let present = |line: &str| {
        let line = line.rsplit_once(' ').unwrap().0;
        let Some((name, labels)) = line.split_once('{') else {
            return line.to_owned();
        };
        let labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
        let present = labels.into_iter().filter(|label| !label.ends_with("=\"\""));
        format!("{name}{{{}}}", present.collect::<Vec<_>>().join(","))
    };
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(present)
        .collect()
}

#[test]
fn a_label_that_does_not_apply_is_not_there() {
    let (registry, layer) = setup();
    let mut service = service(&layer, || {
        let response = Response::builder().status(404);
        response.body(Script::new([]).with_exact_size(0)).unwrap()
    });
    now(service.call(request("GET"))).unwrap();
    let page = page(Arc::new(registry), Config::new(), TEXT);
    let series = series(&page);
    let labels = r#"http_request_method="GET",http_response_status_code="404",url_scheme="http""#;
    for name in [
        "http_server_request_duration_seconds",
        "http_server_request_body_size_bytes",
        "http_server_response_body_size_bytes",
    ] {
        let count = format!("{name}_count{{{labels}}}");
        assert!(series.contains(&count), "{count} in {page}");
    }
    let active = r#"http_server_active_requests{http_request_method="GET",url_scheme="http"}"#;
    assert!(
        series.iter().any(|line| line == active),
        "{active} in {page}"
    );
}
