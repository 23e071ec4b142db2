//! Kafka records that are sent and processed: their metrics, their spans, and the context in their
//! headers.
//!
//! [`Kafka`] works beside a Kafka client of any library: the caller announces what is about to happen
//! and gets an [`Operation`], in which it happens. Headers are any type that implements
//! [`Carrier`](barograph_model::carrier::Carrier) and
//! [`CarrierMut`](barograph_model::carrier::CarrierMut), such as a list of pairs.
//!
//! | operation | span | metrics |
//! |---|---|---|
//! | [`create`](Kafka::create) | `create {topic}`, producer | |
//! | [`send`](Kafka::send), [`send_batch`](Kafka::send_batch) | `send {topic}`, producer or client | `messaging.client.operation.duration`, `messaging.client.sent.messages` |
//! | [`receive`](Kafka::receive) | `poll {topic}`, client | `messaging.client.operation.duration` |
//! | [`process`](Kafka::process) | `process {topic}`, consumer | `messaging.process.duration`, `messaging.client.consumed.messages` |
//! | [`settle`](Kafka::settle) | `commit {topic}`, client | `messaging.client.operation.duration` |
//!
//! The labels are `messaging.system` (`kafka`), `messaging.operation.name` and `.type`,
//! `messaging.destination.name` and `.partition.id`, `messaging.consumer.group.name`,
//! `server.address`, `server.port` and `error.type`. A label that does not apply has an empty value.
//! They are the labels of `observe::kafka`, which has the same operations without headers: both can be
//! used in one program.
//!
//! # Links and parents
//!
//! The span that created a record is written into its headers. By default a span that receives or
//! processes the record has a link to it and belongs to the trace of the consumer: a record may be
//! one of a batch, or wait for days. With [`Relation::Parent`] processing continues the trace of the
//! record. Baggage that the producer sent is current in both cases.
//!
//! ```
//! # mod barograph {
//! #     pub use barograph_core::Registry;
//! #     pub use barograph_kafka as kafka;
//! # }
//! use barograph::Registry;
//! use barograph::kafka::{Kafka, Record};
//!
//! let kafka = Kafka::builder().with_registry(&Registry::new()).with_group("billing").build();
//! // A producer:
//! let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
//! let sending = kafka.send(&Record::new("orders"), &mut headers);
//! // producer.send(record.headers(headers)) goes here
//! sending.end();
//! // A consumer:
//! let record = Record::new("orders").with_partition(3).with_offset(17);
//! let processing = kafka.process(&record, &headers);
//! processing.within(|| "what is to be done");
//! processing.end();
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Kafka" (in development).
//!
//! This is a separate crate because of its optional dependency `rdkafka`, and because most services do
//! not use Kafka.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "rdkafka")]
mod headers;
mod record;
mod recorder;
mod spans;
mod operation;
mod operations;
mod builder;

pub use builder::KafkaBuilder;
#[cfg(feature = "rdkafka")]
pub use headers::{KafkaHeaders, KafkaHeadersMut};
pub use operation::Operation;
pub use operations::Kafka;
pub use record::Record;
pub use recorder::{Counted, Relation};
