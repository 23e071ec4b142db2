//! Records that are sent and processed: metrics, spans, and their relations.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_kafka::{Counted, Kafka, KafkaBuilder, Record, Relation};
use barograph_model::context::{Baggage, Propagation, TraceContext};
use barograph_model::snapshot::Source;
use barograph_tracing::observe::{self, Observer};

use test_support::futures::now;
use test_support::metrics::counts;
use test_support::spans::Spans;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Headers = Vec<(String, Vec<u8>)>;

fn setup(f: impl FnOnce(KafkaBuilder) -> KafkaBuilder) -> (Registry, Kafka) {
    let registry = Registry::new();
    let builder = Kafka::builder()
        .with_registry(&registry)
        .with_group("billing");
    (registry, f(builder).build())
}

/// Returns the series of all families: the short name, the values of the labels that are not empty in
/// the order error, group, topic, partition, operation, its type and system, and the count.
fn lines(registry: &Registry) -> Vec<String> {
    let mut lines = Vec::new();
    for family in registry.collect() {
        let name = family.descriptor().name.to_string();
        let short = name.trim_start_matches("messaging.");
        let counts = counts(registry, &name).into_iter();
        lines.extend(counts.map(|line| format!("{short} {line}")));
    }
    lines.sort();
    lines
}

/// Returns the headers of a record that a producer with baggage sent.
fn sent(kafka: &Kafka) -> Headers {
    let travels = Propagation::default().with_baggage(Baggage::parse(["tenant=acme;p=1"]));
    let _current = current::enter(travels);
    let mut headers = Headers::new();
    kafka.send(&Record::new("orders"), &mut headers).end();
    headers
}

#[test]
fn sending_puts_the_span_of_the_producer_into_the_headers() {
    let (spans, _guard) = Spans::collect();
    let (registry, kafka) = setup(|builder| builder.with_server("broker.test", 9092));
    let mut headers: Headers = vec![("other".into(), b"kept".into())];
    let record = Record::new("orders").with_partition(3).with_key("17");
    kafka.send(&record, &mut headers).end();
    let span = spans.one();
    let expected = [
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "3"),
        ("messaging.kafka.message.key", "17"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.system", "kafka"),
        ("otel.kind", "producer"),
        ("otel.name", "send orders"),
        ("server.address", "broker.test"),
        ("server.port", "9092"),
    ];
    let fields: Vec<_> = span.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(fields, expected);
    let traceparent = span.context.to_traceparent();
    let traceparent = ("traceparent".to_owned(), traceparent.as_bytes().to_vec());
    assert_eq!(headers, [("other".into(), b"kept".into()), traceparent]);
    let expected = [
        "client.operation.duration orders 3 send send kafka broker.test 9092 = 1",
        "client.sent.messages orders 3 send send kafka broker.test 9092 = 1",
    ];
    assert_eq!(lines(&registry), expected);
}

#[test]
fn a_context_that_a_record_has_already_is_kept() {
    let (spans, _guard) = Spans::collect();
    let (_, kafka) = setup(|builder| builder);
    let mut headers: Headers = vec![("traceparent".into(), CALLER.into())];
    kafka.send(&Record::new("orders"), &mut headers).end();
    assert_eq!(headers, [("traceparent".to_owned(), CALLER.into())]);
    let span = spans.one();
    assert_eq!(span.field("otel.kind"), "client");
    assert_eq!(
        span.links,
        [TraceContext::parse_traceparent(CALLER).unwrap()]
    );
}

#[test]
fn a_batch_is_created_record_by_record() {
    let (spans, _guard) = Spans::collect();
    let (registry, kafka) = setup(|builder| builder);
    let record = Record::new("orders");
    let created: Vec<_> = (0..3)
        .map(|_| {
            let mut headers = Headers::new();
            let creating = kafka.create(&record, &mut headers);
            let context = creating.context().unwrap();
            assert_eq!(headers[0].1, context.to_traceparent().as_bytes());
            context
        })
        .collect();
    kafka.send_batch(&record, created.iter().copied(), 3).end();
    let names: Vec<_> = spans
        .all()
        .iter()
        .map(|span| span.name().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "create orders",
            "create orders",
            "create orders",
            "send orders"
        ]
    );
    let last = spans.named("send orders");
    assert_eq!(last.field("otel.kind"), "client");
    assert_eq!(last.field("messaging.batch.message_count"), "3");
    assert_eq!(last.links, created);
    let expected = [
        "client.operation.duration orders send send kafka = 1",
        "client.sent.messages orders send send kafka = 3",
    ];
    assert_eq!(lines(&registry), expected);
}

#[test]
fn processing_belongs_to_the_trace_of_the_consumer_and_has_the_baggage_of_the_record() {
    let (spans, _guard) = Spans::collect();
    let (registry, kafka) = setup(|builder| builder);
    let headers = sent(&kafka);
    let here = TraceContext::parse_traceparent(CALLER).unwrap();
    let processing = {
        let _current = current::enter(here);
        kafka.process(&Record::new("orders").with_offset(17), &headers)
    };
    let travels = processing.within(current::propagation);
    assert_eq!(travels.baggage().as_str(), "tenant=acme;p=1");
    processing.end();
    let span = spans.named("process orders");
    assert_eq!(span.parent, Some(here.span_id()));
    assert_eq!(travels.trace(), Some(span.context));
    assert_eq!(span.field("otel.kind"), "consumer");
    assert_eq!(span.field("messaging.consumer.group.name"), "billing");
    assert_eq!(span.field("messaging.kafka.offset"), "17");
    // Outside of other spans it begins a trace.
    kafka.process(&Record::new("alone"), &headers).end();
    let alone = spans.named("process alone");
    assert_eq!(alone.parent, None);
    assert_ne!(
        alone.context.trace_id(),
        spans.named("send orders").context.trace_id()
    );
    let created = spans.named("send orders").context;
    assert_eq!(
        (&span.links, &alone.links),
        (&vec![created], &vec![created])
    );
    let expected = [
        "client.consumed.messages billing alone process process kafka = 1",
        "client.consumed.messages billing orders process process kafka = 1",
        "client.operation.duration orders send send kafka = 1",
        "client.sent.messages orders send send kafka = 1",
        "process.duration billing alone process process kafka = 1",
        "process.duration billing orders process process kafka = 1",
    ];
    assert_eq!(lines(&registry), expected);
}

#[test]
fn with_the_parent_option_processing_continues_the_trace() {
    let (spans, _guard) = Spans::collect();
    let (_, kafka) = setup(|builder| builder.with_relation(Relation::Parent));
    let headers = sent(&kafka);
    let _current = current::enter(TraceContext::parse_traceparent(CALLER).unwrap());
    let processing = kafka.process(&Record::new("orders"), &headers);
    assert_eq!(
        processing.propagation().baggage().as_str(),
        "tenant=acme;p=1"
    );
    processing.end();
    let (sent, processed) = (spans.named("send orders"), spans.named("process orders"));
    assert!(processed.is_child_of(&sent));
    // Its parent is not a link too, because Jaeger would show the link instead.
    assert_eq!(processed.links, [current::context().unwrap()]);
    // A record without a trace belongs to the trace of the consumer.
    kafka.process(&Record::new("plain"), &Headers::new()).end();
    let plain = spans.named("process plain");
    assert_eq!(
        plain.context.trace_id(),
        current::context().unwrap().trace_id()
    );
}

#[test]
fn receiving_and_settling_are_operations_of_the_client() {
    let (spans, _guard) = Spans::collect();
    let (registry, kafka) = setup(|builder| builder.with_counted(Counted::WhenReceived));
    let headers = [sent(&kafka), sent(&kafka)];
    let topic = Record::new("orders");
    let mut receiving = kafka.receive(&topic);
    kafka.received(&mut receiving, &headers);
    receiving.end();
    for headers in &headers {
        kafka.process(&topic, headers).end();
    }
    kafka.settle(&topic.with_partition(3).with_offset(18)).end();
    // A poll that returned nothing.
    kafka.receive(&Record::new("empty")).end();
    let received = spans.named("poll orders");
    assert_eq!(received.field("messaging.batch.message_count"), "2");
    assert_eq!(received.field("otel.kind"), "client");
    let sent = spans
        .all()
        .into_iter()
        .filter(|span| span.name() == "send orders");
    assert!(
        sent.map(|span| span.context)
            .eq(received.links.iter().copied())
    );
    let settled = spans.named("commit orders");
    assert_eq!(settled.field("messaging.operation.type"), "settle");
    let expected = [
        "client.consumed.messages billing orders poll receive kafka = 2",
        "client.operation.duration billing empty poll receive kafka = 1",
        "client.operation.duration billing orders 3 commit settle kafka = 1",
        "client.operation.duration billing orders poll receive kafka = 1",
        "client.operation.duration orders send send kafka = 2",
        "client.sent.messages orders send send kafka = 2",
        "process.duration billing orders process process kafka = 2",
    ];
    assert_eq!(lines(&registry), expected);
}

#[test]
fn operations_without_headers_are_recorded_in_the_same_families() {
    let (registry, kafka) = setup(|builder| builder);
    let observer = Observer::new(&registry);
    kafka.settle(&Record::new("orders")).end();
    let settling = observe::kafka::settle("orders").with_observer(&observer);
    settling.run_sync(|| Ok::<_, Infallible>(())).unwrap();
    let expected = [
        "client.operation.duration billing orders commit settle kafka = 1",
        "client.operation.duration orders commit settle kafka = 1",
    ];
    assert_eq!(lines(&registry), expected);
}

#[derive(Debug)]
struct Refused;

#[test]
fn operations_end_however_their_work_ends() {
    let (_, kafka) = setup(|builder| builder);
    let begin = || kafka.process(&Record::new("orders"), &Headers::new());
    let ended = |f: &mut dyn FnMut()| {
        let (spans, _guard) = Spans::collect();
        f();
        let span = spans.one();
        ["error.type", "otel.status_code"].map(|field| span.field(field).to_owned())
    };
    let well = ended(&mut || now(begin().run(ready(Ok::<_, Infallible>(())))).unwrap());
    assert_eq!(well, ["", ""]);
    let refused = ended(&mut || {
        now(begin().run(ready(Err::<(), _>(Refused)))).unwrap_err();
    });
    assert_eq!(refused, ["operations::Refused", "ERROR"]);
    let failed = ended(&mut || {
        let mut processing = begin();
        processing.fail("INVALID_RECORD");
    });
    assert_eq!(failed, ["INVALID_RECORD", "ERROR"]);
    let dropped = ended(&mut || {
        let mut run = Box::pin(begin().run(pending::<Result<(), Refused>>()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(run.as_mut().poll(&mut cx), Poll::Pending));
    });
    assert_eq!(dropped, ["cancelled", "ERROR"]);
    let never_polled = ended(&mut || drop(begin().run(pending::<Result<(), Refused>>())));
    assert_eq!(never_polled, ["cancelled", "ERROR"]);
    let panicked = ended(&mut || {
        let processing = begin();
        catch_unwind(AssertUnwindSafe(move || {
            processing.within(|| panic!("on purpose"))
        }))
        .unwrap_err();
    });
    assert_eq!(panicked, ["panic", "ERROR"]);
    assert_eq!(current::context(), None);
}

#[test]
fn an_operation_that_begins_during_a_panic_has_not_panicked_itself() {
    struct CommitOnDrop(Kafka);
    impl Drop for CommitOnDrop {
        fn drop(&mut self) {
            self.0.settle(&Record::new("orders")).end();
        }
    }
    let (registry, kafka) = setup(|builder| builder);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _commit = CommitOnDrop(kafka);
        panic!("on purpose");
    }));
    caught.unwrap_err();
    let expected = ["client.operation.duration billing orders commit settle kafka = 1"];
    assert_eq!(lines(&registry), expected);
}
