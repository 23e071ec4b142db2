//! Telemetry as most tests need it: on a free port, with its own registry, without output.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use barograph::Registry;
use barograph::source::PackedLabels;
use barograph::source::{Descriptor, Kind};
use barograph::source::{FamilyView, Point, Source, Value};
use barograph::{Telemetry, TelemetryBuilder};

pub(crate) const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) fn builder(registry: &Registry) -> TelemetryBuilder {
    Telemetry::builder("shop")
        .without_environment()
        .with_registry(registry.clone())
        .with_address(FREE)
        .without_logs()
        .without_start_line()
}

pub(crate) fn address(telemetry: &Telemetry) -> SocketAddr {
    telemetry.local_addr().expect("it has a listener")
}

/// A family with many series that uses no memory.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    pub(crate) series: usize,
}

impl Source for Wide {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        vec![Arc::new(*self)]
    }
}

impl FamilyView for Wide {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::new(Descriptor::new("wide", Kind::Gauge))
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let to = (from + 500).min(self.series);
        for index in from..to {
            let value = format!("{index:0>200}");
            let labels: PackedLabels = [("n", &*value)].into_iter().collect();
            show(&Point::new(index, labels.inline(), Value::U64(1)));
        }
        (to < self.series).then_some(to)
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
