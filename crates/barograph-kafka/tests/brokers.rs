//! Records that pass through a broker: the mock broker inside librdkafka.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_kafka::{Kafka, Record, Relation};
use barograph_kafka::{KafkaHeaders, KafkaHeadersMut};
use barograph_model::context::{Baggage, Propagation};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use test_support::spans::Spans;

const LONG: Duration = Duration::from_secs(30);

/// Sends a record with baggage through a broker, and processes it inside another operation. Returns the
/// baggage that was current there.
fn send_and_process(relation: Relation) -> String {
    let kafka = Kafka::builder()
        .with_registry(&Registry::new())
        .with_relation(relation)
        .build();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());

    let producer: BaseProducer = config.create().unwrap();
    {
        let travels = Propagation::default().with_baggage(Baggage::parse(["tenant=acme;p=1"]));
        let _current = current::enter(travels);
        let mut headers = OwnedHeaders::new();
        let sending = kafka.send(&Record::new("orders"), &mut KafkaHeadersMut(&mut headers));
        let record = BaseRecord::to("orders").payload("17").key("k");
        sending.within(|| producer.send(record.headers(headers)).unwrap());
        producer.flush(LONG).unwrap();
    }

    config
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&["orders"]).unwrap();
    // A poll returns without a record when the group has changed.
    let mut polls = std::iter::repeat_with(|| consumer.poll(LONG)).take(100);
    let message = polls.find_map(|polled| polled).unwrap().unwrap();
    assert_eq!(message.payload(), Some(&b"17"[..]));
    let record = Record::new(message.topic())
        .with_partition(message.partition())
        .with_offset(message.offset());
    let headers = message.headers().unwrap();
    let processing = kafka.process(&record, &KafkaHeaders(headers));
    let travels = processing.within(current::propagation);
    processing.end();
    travels.baggage().as_str().to_owned()
}

#[test]
fn through_a_broker_a_record_is_linked_or_continues_its_trace() {
    for relation in [Relation::Link, Relation::Parent] {
        let (spans, _guard) = Spans::collect();
        assert_eq!(send_and_process(relation), "tenant=acme;p=1");
        let (sent, processed) = (spans.named("send orders"), spans.named("process orders"));
        match relation {
            Relation::Parent => assert_eq!(processed.links, []),
            _ => assert_eq!(processed.links, [sent.context]),
        }
        assert_eq!(processed.is_child_of(&sent), relation == Relation::Parent);
        assert_eq!(processed.field("messaging.kafka.offset"), "0");
    }
}
