//! The operations of a Kafka client, named as in the semantic conventions.
//!
//! Each is an [`Operation`] with its kind, a span named `{operation} {topic}` and the messaging
//! metrics. The constants are keys of further attributes. The headers and the span's links decide which
//! spans belong to which message.
//!
//! ```
//! use barograph_tracing::observe::kafka;
//!
//! # async fn deliver() -> Result<(), String> { Ok(()) }
//! # async fn f() -> Result<(), String> {
//! kafka::send("orders")
//!     .with_attribute(kafka::PARTITION, "3")
//!     .with_attribute(kafka::MESSAGE_KEY, "order-7")
//!     .run(deliver())
//!     .await
//! # }
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Messaging spans" and "Kafka".

use barograph_model::span::SpanKind;

use super::operation::Operation;

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

/// Creates a message that is sent later in a batch: a producer span `create {topic}`.
pub fn create(topic: &str) -> Operation<'_> {
    operation("create", "create", topic, SpanKind::Producer)
}

/// Sends a message or a batch to the broker: a producer span `send {topic}`.
pub fn send(topic: &str) -> Operation<'_> {
    operation("send", "send", topic, SpanKind::Producer)
}

/// Requests messages from the broker: a client span `poll {topic}`.
pub fn receive(topic: &str) -> Operation<'_> {
    operation("poll", "receive", topic, SpanKind::Client)
}

/// Processes a message or a batch: a consumer span `process {topic}`.
pub fn process(topic: &str) -> Operation<'_> {
    operation("process", "process", topic, SpanKind::Consumer)
}

/// Commits offsets to the broker: a client span `commit {topic}`.
pub fn settle(topic: &str) -> Operation<'_> {
    operation("commit", "settle", topic, SpanKind::Client)
}

fn operation<'a>(name: &'a str, kind: &'a str, topic: &'a str, place: SpanKind) -> Operation<'a> {
    Operation::new("kafka", name)
        .with_kind(place)
        .with_attribute("messaging.system", "kafka")
        .with_attribute("messaging.operation.type", kind)
        .with_attribute("messaging.destination.name", topic)
}
