//! How a [`Kafka`](super::Kafka) is set up.

use std::fmt;

use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;

use super::operations::Kafka;
use super::recorder::{Counted, Recorder, Relation, Settings};

impl Kafka {
    /// One of one's own.
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder::default()
    }
}

/// What a [`Kafka`] shall do otherwise than by default.
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct KafkaBuilder {
    registry: Option<Registry>,
    settings: Settings,
}

impl KafkaBuilder {
    /// Records into this registry, and not into that of the process.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Reads and writes contexts by these propagators, and not by
    /// [those of the process](crate::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
        self
    }

    /// What processing has to do with the span that a record was created in: by default a link.
    pub fn with_relation(mut self, relation: Relation) -> Self {
        self.settings.relation = relation;
        self
    }

    /// Where records that come in are counted: by default when they are processed.
    pub fn with_counted(mut self, counted: Counted) -> Self {
        self.settings.counted = counted;
        self
    }

    /// The group of the consumer.
    pub fn with_group(mut self, group: impl Into<Box<str>>) -> Self {
        self.settings.group = Some(group.into());
        self
    }

    /// The id of the client, shown in spans.
    pub fn with_client_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.settings.client = Some(id.into());
        self
    }

    /// The id of the cluster, shown in spans.
    pub fn with_cluster_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.settings.cluster = Some(id.into());
        self
    }

    /// The broker that the client was told to begin with.
    pub fn with_server(mut self, address: impl Into<Box<str>>, port: u16) -> Self {
        self.settings.server = Some((address.into(), port));
        self
    }

    /// Registers the families.
    ///
    /// Where a family of that name exists already as something else, the conflict is reported, and
    /// nothing is recorded there.
    pub fn build(self) -> Kafka {
        let registry = self.registry.as_ref().unwrap_or_else(|| Registry::global());
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
