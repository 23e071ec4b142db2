//! The builder of a [`Kafka`](crate::Kafka).

use std::fmt;

use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;

use crate::operations::Kafka;
use crate::recorder::{Counted, Recorder, Relation, Settings};

impl Kafka {
    /// Returns a builder with default settings.
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder::default()
    }
}

/// Configures and builds a [`Kafka`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct KafkaBuilder {
    registry: Option<Registry>,
    settings: Settings,
}

impl KafkaBuilder {
    /// Records into this registry instead of the global one.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Extracts and injects contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
        self
    }

    /// Sets how a processing span relates to the span that created the record. By default it has a link.
    pub fn with_relation(mut self, relation: Relation) -> Self {
        self.settings.relation = relation;
        self
    }

    /// Sets when incoming records are counted. By default they are counted when they are processed.
    pub fn with_counted(mut self, counted: Counted) -> Self {
        self.settings.counted = counted;
        self
    }

    /// Sets the consumer group.
    pub fn with_group(mut self, group: impl Into<Box<str>>) -> Self {
        self.settings.group = Some(group.into());
        self
    }

    /// Sets the client id, which spans show.
    pub fn with_client_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.settings.client = Some(id.into());
        self
    }

    /// Sets the cluster id, which spans show.
    pub fn with_cluster_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.settings.cluster = Some(id.into());
        self
    }

    /// Sets the broker that the client connects to first (the bootstrap server).
    pub fn with_server(mut self, address: impl Into<Box<str>>, port: u16) -> Self {
        self.settings.server = Some((address.into(), port));
        self
    }

    /// Registers the families and builds the [`Kafka`].
    ///
    /// If a name is already registered with another definition, the conflict is reported and nothing is
    /// recorded there.
    pub fn build(self) -> Kafka {
        let registry = self.registry.as_ref();
        let registry = registry.unwrap_or_else(|| Registry::current());
        Kafka::new(Recorder::new(registry, self.settings))
    }
}

impl fmt::Debug for KafkaBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("KafkaBuilder");
        out.field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
