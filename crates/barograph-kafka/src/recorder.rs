//! The state that all operations of a client share.

use barograph_core::propagation::propagators;
use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;
use barograph_tracing::instrument::messaging::{KafkaOperation, MessagingMetrics};

/// The relation of a span that processes a record to the span that created the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// The processing span has a link to it, and belongs to the trace of the consumer.
    #[default]
    Link,
    /// The processing span is its child, with a link to any other span that is current.
    Parent,
}

/// The time at which incoming records are counted. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// Counted when processed.
    #[default]
    WhenProcessed,
    /// Counted when received, whether or not they are processed.
    WhenReceived,
}

/// The settings of a `Kafka`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) propagators: Option<Propagators>,
    pub(crate) relation: Relation,
    pub(crate) counted: Counted,
    pub(crate) group: Option<Box<str>>,
    pub(crate) client: Option<Box<str>>,
    pub(crate) cluster: Option<Box<str>>,
    pub(crate) server: Option<(Box<str>, u16)>,
}

impl Settings {
    pub(crate) fn propagators(&self) -> &Propagators {
        let own = self.propagators.as_ref();
        own.unwrap_or_else(|| propagators())
    }

    /// Returns the consumer group of an operation; those of producers have none.
    pub(crate) fn group_of(&self, operation: KafkaOperation) -> Option<&str> {
        let is_consumer = !matches!(operation, KafkaOperation::Create | KafkaOperation::Produce);
        self.group.as_deref().filter(|_| is_consumer)
    }
}

/// The topic and partition of the records of an operation.
#[derive(Debug)]
pub(crate) struct TopicPartition {
    pub(crate) topic: Box<str>,
    pub(crate) partition: Option<i32>,
}

/// The state that all operations of a client share.
pub(crate) struct Recorder {
    pub(crate) settings: Settings,
    /// The port as a label value.
    port: Box<str>,
    metrics: MessagingMetrics,
}

impl Recorder {
    pub(crate) fn new(registry: &Registry, settings: Settings) -> Self {
        let port = settings.server.as_ref().map(|(_, port)| port.to_string());
        Recorder {
            port: port.unwrap_or_default().into(),
            metrics: MessagingMetrics::register(registry),
            settings,
        }
    }

    /// Records an operation: the number of its messages, the seconds that it took, and its error, which
    /// is empty if it succeeded.
    pub(crate) fn record(
        &self,
        operation: KafkaOperation,
        topic_partition: &TopicPartition,
        messages: u64,
        took: f64,
        error: &str,
    ) {
        let (settings, metrics) = (&self.settings, &self.metrics);
        let server = settings.server.as_ref();
        let partition = topic_partition
            .partition
            .map(|partition| partition.to_string());
        // In the order of `MESSAGING_LABELS`.
        let labels = [
            "kafka",
            operation.name(),
            operation.operation_type(),
            &topic_partition.topic,
            partition.as_deref().unwrap_or_default(),
            settings.group_of(operation).unwrap_or_default(),
            server.map_or("", |(address, _)| address),
            &self.port,
            error,
        ];
        let duration = match operation {
            // The conventions have no duration for creating a record.
            KafkaOperation::Create => &None,
            KafkaOperation::Process => &metrics.process_duration,
            KafkaOperation::Produce | KafkaOperation::Receive | KafkaOperation::Settle => {
                &metrics.client_duration
            }
        };
        if let Some(family) = duration {
            family.with(&labels).observe(took);
        }
        let count = match (operation, settings.counted) {
            (KafkaOperation::Produce, _) => &metrics.sent,
            (KafkaOperation::Process, Counted::WhenProcessed)
            | (KafkaOperation::Receive, Counted::WhenReceived) => &metrics.consumed,
            _ => &None,
        };
        if let Some(family) = count
            && messages > 0
        {
            family.with(&labels).add(messages);
        }
    }
}
