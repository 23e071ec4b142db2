//! The four metric families, and the series that are written.

use std::sync::OnceLock;

use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use barograph_core::{Family, Histogram, UpDownCounter};
use barograph_model::bounds::Bounds;

use super::scheme::Scheme;
use super::settings::Settings;
use barograph_tracing::instrument::registered;

/// The labels of a request that has ended. Labels that do not apply are empty.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(super) struct Request<'a> {
    #[label(name = "http.request.method")]
    pub(super) method: &'a str,
    #[label(name = "http.route")]
    pub(super) route: &'a str,
    #[label(name = "http.response.status_code")]
    pub(super) status: &'a str,
    #[label(name = "url.scheme")]
    pub(super) scheme: &'a str,
    #[label(name = "error.type")]
    pub(super) error: &'a str,
}

/// The families of a layer. A family that could not be registered is none, and is not written.
pub(super) struct Instruments {
    pub(super) duration: Option<Family<Histogram, Request<'static>>>,
    pub(super) request_size: Option<Family<Histogram, Request<'static>>>,
    pub(super) response_size: Option<Family<Histogram, Request<'static>>>,
    active: Option<Family<UpDownCounter, [&'static str; 2]>>,
    /// The active requests of each method and scheme, created on first use.
    bound: Box<[OnceLock<UpDownCounter>]>,
}

impl Instruments {
    pub(super) fn register(registry: &Registry, settings: &Settings) -> Self {
        let sizes = |name, help| {
            let size = registry.histogram(name).with_help(help).with_unit("By");
            registered(size.with_bounds(Bounds::sizes()).build_with_labels())
        };
        let duration = registry
            .histogram("http.server.request.duration")
            .with_help("Duration of HTTP server requests.")
            .with_unit("s")
            .with_bounds(Bounds::http_seconds());
        let active = registry
            .up_down_counter("http.server.active_requests")
            .with_help("Number of active HTTP server requests.")
            .with_unit("{request}");
        let series = settings.methods.places() * Scheme::COUNT;
        Instruments {
            duration: registered(duration.build_with_labels()),
            active: registered(
                active.build_with_label_names(["http.request.method", "url.scheme"]),
            ),
            request_size: sizes(
                "http.server.request.body.size",
                "Size of HTTP server request bodies.",
            ),
            response_size: sizes(
                "http.server.response.body.size",
                "Size of HTTP server response bodies.",
            ),
            bound: (0..series).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the active requests of the method with this index. It is always the same instrument, so
    /// that a decrement reaches the series that was incremented.
    pub(super) fn active(
        &self,
        settings: &Settings,
        method: usize,
        scheme: Scheme,
    ) -> Option<&UpDownCounter> {
        let family = self.active.as_ref()?;
        let bound = self.bound.get(method * Scheme::COUNT + scheme as usize)?;
        Some(bound.get_or_init(|| family.bind(&[settings.methods.name(method), scheme.as_str()])))
    }
}
