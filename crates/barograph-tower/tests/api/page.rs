//! The contents of a registry, as lines that tests can compare.

use barograph_core::registry::Registry;
use barograph_model::snapshot::{Point, Source, Value};
use barograph_tower::http::{HttpServerLayer, HttpServerLayerBuilder};

pub(crate) use test_support::metrics::exemplars;

pub(crate) const DURATION: &str = "http.server.request.duration";
pub(crate) const ACTIVE: &str = "http.server.active_requests";
pub(crate) const REQUEST_SIZE: &str = "http.server.request.body.size";
pub(crate) const RESPONSE_SIZE: &str = "http.server.response.body.size";

/// Returns a registry, and a layer that records into it.
pub(crate) fn setup() -> (Registry, HttpServerLayer) {
    setup_with(|builder| builder)
}

pub(crate) fn setup_with(
    f: impl FnOnce(HttpServerLayerBuilder) -> HttpServerLayerBuilder,
) -> (Registry, HttpServerLayer) {
    let registry = Registry::new();
    let layer = f(HttpServerLayer::builder().with_registry(&registry)).build();
    (registry, layer)
}

/// Returns the series of a family: the values of its labels that are not empty, in the order method,
/// route, status, scheme and error, then `=` and the value: the count of a duration, the count and sum
/// of a size.
pub(crate) fn lines(registry: &Registry, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for family in registry.collect() {
        if *family.descriptor().name != *name {
            continue;
        }
        let mut show = |point: &Point<'_>| {
            let mut labels: Vec<_> = point.labels.iter().filter(|l| !l.1.is_empty()).collect();
            labels.sort_by_key(|(name, _)| {
                let order = [
                    "http.request.method",
                    "http.route",
                    "http.response.status_code",
                    "url.scheme",
                    "error.type",
                ];
                order.iter().position(|known| known == name).unwrap()
            });
            let value = match point.value {
                Value::Histogram(histogram) if name == DURATION => histogram.count().to_string(),
                Value::Histogram(histogram) => format!("{}/{}", histogram.count(), histogram.sum),
                Value::I64(value) => value.to_string(),
                other => panic!("{other:?}"),
            };
            let labels: Vec<_> = labels.into_iter().map(|(_, value)| value).collect();
            lines.push(format!("{} = {value}", labels.join(" ")));
        };
        let mut from = Some(0);
        while let Some(cursor) = from {
            from = family.read(cursor, &mut show);
        }
    }
    lines.sort();
    lines
}
