//! The attributes and metrics of messaging operations, and the operations of Kafka clients.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Messaging metrics", "Messaging spans" and "Kafka".

use barograph_core::registry::Registry;
use barograph_core::{Counter, Family, Histogram};
use barograph_model::bounds::Bounds;

use super::registered::registered;

/// The messaging system, such as `kafka`.
pub const SYSTEM: &str = "messaging.system";
/// The name that the messaging system has for the operation.
pub const OPERATION_NAME: &str = "messaging.operation.name";
/// The name that all messaging systems share for the operation.
pub const OPERATION_TYPE: &str = "messaging.operation.type";
/// The topic.
pub const DESTINATION: &str = "messaging.destination.name";
/// The partition, as text; also a label of the metrics.
pub const PARTITION: &str = "messaging.destination.partition.id";
/// The consumer group; also a label of the metrics.
pub const GROUP: &str = "messaging.consumer.group.name";
/// The client id.
pub const CLIENT_ID: &str = "messaging.client.id";
/// The offset of the message.
pub const OFFSET: &str = "messaging.kafka.offset";
/// The key of the message.
pub const MESSAGE_KEY: &str = "messaging.kafka.message.key";
/// True if the message has no value.
pub const TOMBSTONE: &str = "messaging.kafka.message.tombstone";
/// The number of messages of an operation on several ones. That number is counted as sent or
/// consumed.
pub const BATCH: &str = "messaging.batch.message_count";

/// The labels of the messaging metrics.
pub const MESSAGING_LABELS: [&str; 9] = [
    SYSTEM,
    OPERATION_NAME,
    OPERATION_TYPE,
    DESTINATION,
    PARTITION,
    GROUP,
    "server.address",
    "server.port",
    "error.type",
];

/// A family with the [`MESSAGING_LABELS`]. None if it could not be registered.
pub type MessagingFamily<I> = Option<Family<I, [&'static str; MESSAGING_LABELS.len()]>>;

/// The messaging metrics of a registry.
#[derive(Debug)]
pub struct MessagingMetrics {
    /// Durations of operations of a producer or consumer client.
    pub client_duration: MessagingFamily<Histogram>,
    /// Durations of processing.
    pub process_duration: MessagingFamily<Histogram>,
    /// Messages that a producer attempted to send.
    pub sent: MessagingFamily<Counter>,
    /// Messages that arrived.
    pub consumed: MessagingFamily<Counter>,
}

impl MessagingMetrics {
    /// Registers the families. Conflicts are reported.
    pub fn register(registry: &Registry) -> Self {
        let duration = |name, help| {
            let duration = registry.histogram(name).with_help(help).with_unit("s");
            registered(
                duration
                    .with_bounds(Bounds::http_seconds())
                    .build_with_label_names(MESSAGING_LABELS),
            )
        };
        let messages = |name, help| {
            let messages = registry.counter(name).with_help(help);
            registered(
                messages
                    .with_unit("{message}")
                    .build_with_label_names(MESSAGING_LABELS),
            )
        };
        MessagingMetrics {
            client_duration: duration(
                "messaging.client.operation.duration",
                "Duration of messaging operations initiated by a producer or consumer client.",
            ),
            process_duration: duration(
                "messaging.process.duration",
                "Duration of processing operations.",
            ),
            sent: messages(
                "messaging.client.sent.messages",
                "Number of messages that a producer attempted to send to the broker.",
            ),
            consumed: messages(
                "messaging.client.consumed.messages",
                "Number of messages that were delivered to the application.",
            ),
        }
    }
}

/// An operation of a Kafka client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaOperation {
    /// Creates a message that is sent later in a batch.
    Create,
    /// Sends a message or a batch to the broker.
    Produce,
    /// Requests messages from the broker.
    Receive,
    /// Processes a message or a batch.
    Process,
    /// Commits offsets to the broker.
    Settle,
}

impl KafkaOperation {
    /// Returns Kafka's name for it: [`OPERATION_NAME`].
    pub fn name(self) -> &'static str {
        match self {
            KafkaOperation::Create => "create",
            KafkaOperation::Produce => "send",
            KafkaOperation::Receive => "poll",
            KafkaOperation::Process => "process",
            KafkaOperation::Settle => "commit",
        }
    }

    /// Returns the name that all messaging systems share: [`OPERATION_TYPE`].
    pub fn operation_type(self) -> &'static str {
        match self {
            KafkaOperation::Receive => "receive",
            KafkaOperation::Settle => "settle",
            other => other.name(),
        }
    }
}
