//! barograph's registry and its pages, for all rows.

use std::sync::Arc;

use barograph_core::registry::{Registry, RegistryBuilder};
use barograph_encode::prometheus::{
    Compression, Config, Escaping, Exposition, Format, Negotiated, Switch,
};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::measure::{Page, Sink};

/// Creates a registry for one contender.
pub(crate) fn registry() -> Registry {
    build(Registry::builder())
}

/// Creates a registry whose label lookup does not use wide instructions.
pub(crate) fn portable_registry() -> Registry {
    build(Registry::builder().with_portable_lookup())
}

fn build(builder: RegistryBuilder) -> Registry {
    builder
        .with_family_limit(2_000_000)
        .build()
        .expect("nothing in it can be refused")
}

/// Renders the page of a registry, chunk by chunk.
pub(crate) fn page(registry: &Registry, compression: Compression) -> Page {
    let exposition = exposition(registry);
    let negotiated = Negotiated::default().with_compression(compression);
    Box::new(move |sink: Sink<'_>| {
        exposition.page(negotiated).for_each(|chunk| sink(&chunk));
    })
}

/// Renders the page as text 0.0.4.
pub(crate) fn text(registry: &Registry) -> String {
    exposition(registry).page(Negotiated::default()).text()
}

/// Renders the page as OpenMetrics, which includes exemplars.
pub(crate) fn open_metrics(registry: &Registry) -> String {
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::default());
    exposition(registry).page(negotiated).text()
}

fn exposition(registry: &Registry) -> Exposition {
    let config = Config::new().with_target_info(Switch::Off);
    let source: Arc<dyn Source> = Arc::new(registry.clone());
    Exposition::new(config, &Resource::new(), [source])
}
