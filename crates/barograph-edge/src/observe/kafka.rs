//! The operations of a Kafka client, named as the semantic conventions want it.
//!
//! Each is an [`Operation`] with its kind, its span named `{operation} {topic}` and the metrics of
//! messaging. More about it is said by attributes, whose keys are here. Which spans belong to which
//! message is the matter of the headers and of links, which its span takes.
//!
//! ```
//! use barograph_edge::observe::kafka;
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

/// The partition, as text; a label of the metrics, too.
pub const PARTITION: &str = "messaging.destination.partition.id";
/// The consumer group; a label of the metrics, too.
pub const GROUP: &str = "messaging.consumer.group.name";
/// The client's id.
pub const CLIENT_ID: &str = "messaging.client.id";
/// The offset of the message.
pub const OFFSET: &str = "messaging.kafka.offset";
/// The key of the message.
pub const MESSAGE_KEY: &str = "messaging.kafka.message.key";
/// Whether the message has no value.
pub const TOMBSTONE: &str = "messaging.kafka.message.tombstone";
/// How many messages the operation is about, where it is about several. That many are counted as
/// sent or consumed.
pub const BATCH: &str = "messaging.batch.message_count";

/// Makes a message that is sent later, in a batch with others: a producer span `create {topic}`.
pub fn create(topic: &str) -> Operation<'_> {
    operation("create", "create", topic, SpanKind::Producer)
}

/// Hands a message, or a batch of them, to the broker: a producer span `send {topic}`.
pub fn send(topic: &str) -> Operation<'_> {
    operation("send", "send", topic, SpanKind::Producer)
}

/// Asks the broker for messages: a client span `poll {topic}`.
pub fn receive(topic: &str) -> Operation<'_> {
    operation("poll", "receive", topic, SpanKind::Client)
}

/// Works on a message, or on a batch of them: a consumer span `process {topic}`.
pub fn process(topic: &str) -> Operation<'_> {
    operation("process", "process", topic, SpanKind::Consumer)
}

/// Tells the broker what is done: a client span `commit {topic}`.
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
