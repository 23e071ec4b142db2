//! Services in a chain, over HTTP and through a real broker: Jaeger has one trace of all services,
//! or linked traces if these are configured, and the propagated baggage arrives unchanged.

use std::{collections::BTreeMap, thread};

use conformance::{
    ask::agent,
    child::PATIENCE,
    jaeger::{Jaeger, Span},
    kafka::Kafka,
    lines::{ids, saying},
    receiver::Transport,
    service::{Service, Variables},
};
use serde_json::Value;

/// Baggage with lists, properties, spaces and a percent-encoded letter.
const BAGGAGE: &str = "tenant=acme;p=1;q,user=%C3%A4nne,cart=a%20b%2Cc";
const CALLER: &str = "b7ad6b7169203331";
const CLIENTS: u64 = 4;
const ORDERS: u64 = 40;
const TOPIC: &str = "orders";

fn variables(name: &str, jaeger: &Jaeger, transport: Transport) -> Variables {
    let mut variables = jaeger.exporting(name, transport);
    variables.insert("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned());
    variables
}

fn trace_id(id: u64) -> String {
    format!("{:032x}", (0xc4a1_u128 << 112) | u128::from(id))
}

/// Returns different baggage for each order, so that a mix-up is detected.
fn baggage(id: u64) -> String {
    format!("{BAGGAGE},order={id}")
}

/// Sends all orders from several clients at once, and returns the responses.
fn send(first: &Service) -> BTreeMap<u64, String> {
    let (url, agent) = (first.url(), &agent(PATIENCE));
    let ask = |id: u64| {
        let traceparent = format!("00-{}-{CALLER}-01", trace_id(id));
        let mut answer = agent
            .get(format!("{url}/orders/{id}"))
            .header("traceparent", traceparent)
            .header("tracestate", "vendor=17")
            .header("baggage", baggage(id))
            .call()
            .expect("the chain answers");
        let body = answer.body_mut().read_to_string();
        (id, body.expect("a body of text"))
    };
    let ask = &ask;
    thread::scope(|scope| {
        let client = |client: u64| move || (client..ORDERS).step_by(CLIENTS as usize).map(ask);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number)().collect::<Vec<_>>()))
            .collect();
        let answers = clients.into_iter().map(|client| client.join());
        answers
            .flat_map(|answers| answers.expect("a client ends"))
            .collect()
    })
}

/// Returns the spans of a trace from its root on as service, kind and name. Each span may have at
/// most one child.
#[track_caller]
fn line_of(spans: &[Span], root: Option<&str>) -> Vec<String> {
    let mut line = Vec::new();
    let mut parent = root;
    loop {
        let children: Vec<_> = spans
            .iter()
            .filter(|span| span.parent() == parent)
            .collect();
        let [child] = children[..] else {
            assert!(children.is_empty(), "{children:#?}");
            assert_eq!(line.len(), spans.len(), "{spans:#?}");
            return line;
        };
        let kind = child.tag("span.kind").and_then(Value::as_str);
        let kind = kind.expect("a span has a kind");
        line.push(format!("{} {kind} {}", child.service, child.name));
        parent = Some(&child.id);
    }
}

#[test]
fn over_http_two_and_three_services_are_one_trace() {
    let mut jaeger = Jaeger::start();
    let third = Service::link(&[], &variables("third", &jaeger, Transport::Grpc));
    let ask = format!("ask={}", third.url());
    let second = Service::link(&[&ask], &variables("second", &jaeger, Transport::Protobuf));
    let ask = format!("ask={}", second.url());
    let first = Service::link(&[&ask], &variables("first", &jaeger, Transport::Json));
    for (id, answer) in send(&first) {
        let seen: Vec<_> = answer.lines().collect();
        assert_eq!(seen, [baggage(id).as_str(); 3]);
        let spans = jaeger.trace(&trace_id(id), 5);
        let expected = [
            "first server GET /orders/{id}",
            "first client GET /orders/{id}",
            "second server GET /orders/{id}",
            "second client GET /orders/{id}",
            "third server GET /orders/{id}",
        ];
        assert_eq!(line_of(&spans, Some(CALLER)), expected);
        for span in &spans {
            assert_eq!(span.links().count(), 0, "{span:#?}");
            let state = span.tag("w3c.tracestate").and_then(Value::as_str);
            assert_eq!(state, Some("vendor=17"), "{span:#?}");
        }
    }
    // Without the trace of a caller, the first service begins one. Here the chain has two services.
    second.ask("/orders/77");
    let log = second.end();
    let seen = saying(&log, "order seen");
    assert_eq!(seen.len() as u64, ORDERS + 1);
    let (trace, span) = ids(seen.last().expect("an order was seen"));
    let spans = jaeger.trace(trace, 3);
    let expected = [
        "second server GET /orders/{id}",
        "second client GET /orders/{id}",
        "third server GET /orders/{id}",
    ];
    assert_eq!(line_of(&spans, None), expected);
    assert!(spans.iter().any(|other| other.id == span), "{span}");
    first.end();
    third.end();
}

/// A service that sends records, one that processes them and calls the third.
struct Chain {
    jaeger: Jaeger,
    kafka: Kafka,
    /// The output of the service that processes records.
    log: String,
}

fn through_a_broker(relation: &[&str]) -> Chain {
    let jaeger = Jaeger::start();
    let mut kafka = Kafka::start();
    let broker = format!("broker={}", kafka.address());
    let with = |name| variables(name, &jaeger, Transport::Protobuf);
    let third = Service::link(&[], &with("third"));
    let (take, ask) = (format!("take={TOPIC}"), format!("ask={}", third.url()));
    let mut arguments = vec![broker.as_str(), &take, &ask];
    arguments.extend(relation);
    let mut second = Service::link(&arguments, &with("second"));
    let first = Service::link(&[&broker, &format!("send={TOPIC}")], &with("first"));
    for (id, answer) in send(&first) {
        assert_eq!(answer.trim_end(), baggage(id));
    }
    let log = second.wait_for("records, all of them processed", |child| {
        let log = child.log();
        (saying(&log, "order seen").len() as u64 == ORDERS).then_some(log)
    });
    assert_eq!(kafka.messages(TOPIC, ORDERS as usize).len() as u64, ORDERS);
    first.end();
    second.end();
    let seen_last = saying(&third.end(), "order seen");
    assert_eq!(seen_last.len() as u64, ORDERS);
    for line in &seen_last {
        let id = line["id"].as_u64().expect("an order has an id");
        assert_eq!(line["baggage"], baggage(id), "{line}");
    }
    Chain { jaeger, kafka, log }
}

/// Returns the headers of the records, as kcat prints them, by order.
fn headers(kafka: &mut Kafka) -> BTreeMap<u64, String> {
    let messages = kafka.messages(TOPIC, ORDERS as usize).into_iter();
    let pairs = messages.map(|message| {
        let (headers, payload) = message.split_once('\t').expect("headers and a payload");
        (payload.parse().expect("an order"), headers.to_owned())
    });
    pairs.collect()
}

#[track_caller]
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

/// Checks that a record's headers refer to the span that sent it, and have the propagated state.
#[track_caller]
fn check_headers(headers: &str, id: u64, sent: &Span) {
    let traceparent = format!("traceparent=00-{}-{}-01", trace_id(id), sent.id);
    let expected = format!("{traceparent},tracestate=vendor=17,baggage={}", baggage(id));
    assert_eq!(headers, expected);
}

#[test]
fn through_a_broker_with_parents_all_is_one_trace() {
    let mut chain = through_a_broker(&["parent"]);
    let headers = headers(&mut chain.kafka);
    for id in 0..ORDERS {
        let spans = chain.jaeger.trace(&trace_id(id), 5);
        let expected = [
            "first server GET /orders/{id}",
            "first producer send orders",
            "second consumer process orders",
            "second client GET /orders/{id}",
            "third server GET /orders/{id}",
        ];
        assert_eq!(line_of(&spans, Some(CALLER)), expected);
        check_headers(&headers[&id], id, named(&spans, "send orders"));
    }
    for line in saying(&chain.log, "order seen") {
        let id = line["id"].as_u64().expect("an order has an id");
        assert_eq!(ids(&line).0, trace_id(id), "{line}");
        assert_eq!(line["baggage"], baggage(id), "{line}");
    }
}

#[test]
fn through_a_broker_by_default_traces_are_linked() {
    let mut chain = through_a_broker(&[]);
    let headers = headers(&mut chain.kafka);
    let lines = saying(&chain.log, "order seen");
    assert_eq!(lines.len() as u64, ORDERS);
    for line in lines {
        let id = line["id"].as_u64().expect("an order has an id");
        assert_eq!(line["baggage"], baggage(id), "{line}");
        let sent = chain.jaeger.trace(&trace_id(id), 2);
        let expected = [
            "first server GET /orders/{id}",
            "first producer send orders",
        ];
        assert_eq!(line_of(&sent, Some(CALLER)), expected);
        let sent = named(&sent, "send orders");
        check_headers(&headers[&id], id, sent);
        let (trace, span) = ids(&line);
        assert_ne!(trace, trace_id(id));
        let processed = chain.jaeger.trace(trace, 3);
        let expected = [
            "second consumer process orders",
            "second client GET /orders/{id}",
            "third server GET /orders/{id}",
        ];
        assert_eq!(line_of(&processed, None), expected);
        let processed = named(&processed, "process orders");
        assert_eq!(processed.id, span);
        let links: Vec<_> = processed.links().collect();
        let [link] = links[..] else {
            panic!("one link: {links:?}");
        };
        assert_eq!(link.trace_id, trace_id(id));
        assert_eq!(link.span_id, sent.id);
    }
}
