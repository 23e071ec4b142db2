//! The operations of a Kafka client, named as in the semantic conventions.
//!
//! Each is an [`Operation`] with its kind, a span named `{operation} {topic}` and the messaging
//! metrics. The constants are keys of further attributes. The headers and the span's links decide which
//! spans belong to which message.
//!
//! ```
//! # extern crate barograph_tracing as barograph;
//! use barograph::observe::kafka;
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
use crate::instrument::messaging::{DESTINATION, KafkaOperation, OPERATION_TYPE, SYSTEM};

pub use crate::instrument::messaging::{
    BATCH, CLIENT_ID, GROUP, MESSAGE_KEY, OFFSET, PARTITION, TOMBSTONE,
};

/// Creates a message that is sent later in a batch: a producer span `create {topic}`.
pub fn create(topic: &str) -> Operation<'_> {
    operation(KafkaOperation::Create, topic, SpanKind::Producer)
}

/// Sends a message or a batch to the broker: a producer span `send {topic}`.
pub fn send(topic: &str) -> Operation<'_> {
    operation(KafkaOperation::Produce, topic, SpanKind::Producer)
}

/// Requests messages from the broker: a client span `poll {topic}`.
pub fn receive(topic: &str) -> Operation<'_> {
    operation(KafkaOperation::Receive, topic, SpanKind::Client)
}

/// Processes a message or a batch: a consumer span `process {topic}`.
pub fn process(topic: &str) -> Operation<'_> {
    operation(KafkaOperation::Process, topic, SpanKind::Consumer)
}

/// Commits offsets to the broker: a client span `commit {topic}`.
pub fn settle(topic: &str) -> Operation<'_> {
    operation(KafkaOperation::Settle, topic, SpanKind::Client)
}

fn operation(operation: KafkaOperation, topic: &str, kind: SpanKind) -> Operation<'_> {
    Operation::new("kafka", operation.name())
        .with_kind(kind)
        .with_attribute(SYSTEM, "kafka")
        .with_attribute(OPERATION_TYPE, operation.operation_type())
        .with_attribute(DESTINATION, topic)
}
