//! One service of a chain. `GET /orders/{id}` is forwarded to the next service, and answered with
//! the baggage that each service has seen, one line each. Kafka records are forwarded too, but have
//! no answer.
//!
//! `ask=URL` sends requests to the next service, `send=TOPIC` sends it a record; `take=TOPIC`
//! processes records, by default in new traces, with `parent` in the traces of the records.
//! `broker=HOST:PORT` is the Kafka broker.

use std::{
    error::Error,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    routing::get,
};
use barograph::{
    HttpClientLayer, HttpServerLayer, current,
    kafka::{Kafka, KafkaHeaders, KafkaHeadersMut, Record, Relation},
    layers::{HttpClient, Route},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    message::{BorrowedMessage, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use tokio::runtime::Handle;
use tower::{Layer as _, ServiceExt as _};

/// The time limit of each operation.
const LIMIT: Duration = Duration::from_secs(20);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |name: &str| {
        arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(name))
    };
    let telemetry = barograph::init("link")?;
    let broker = argument("broker=").unwrap_or_default();
    let relation = match arguments.iter().any(|argument| argument == "parent") {
        true => Relation::Parent,
        false => Relation::Link,
    };
    let next = match (argument("ask="), argument("send=")) {
        (Some(url), _) => Next::asked(url),
        (None, Some(topic)) => Next::sent(broker, topic)?,
        (None, None) => Next::Nobody,
    };
    let next = Arc::new(next);
    if let Some(topic) = argument("take=") {
        let consumer = consumer(broker, topic)?;
        let (runtime, next) = (Handle::current(), Arc::clone(&next));
        thread::spawn(move || take(&consumer, relation, &runtime, &next));
    }
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .with_state(next)
        .layer(HttpServerLayer::new());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    Ok(telemetry.serve(app, address).await?)
}

async fn order(
    State(next): State<Arc<Next>>,
    Path(id): Path<u64>,
) -> Result<String, (StatusCode, String)> {
    let handed_on = next.hand_on(id).await;
    handed_on.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

/// The service that comes after this one.
enum Next {
    Nobody,
    Asked {
        url: String,
        client: Box<HttpClient<Client<HttpConnector, Body>>>,
    },
    Sent {
        topic: String,
        kafka: Kafka,
        producer: ThreadedProducer<DefaultProducerContext>,
    },
}

impl Next {
    fn asked(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self::Asked {
            url: url.to_owned(),
            client: Box::new(HttpClientLayer::builder().build().layer(client)),
        }
    }

    fn sent(broker: &str, topic: &str) -> Outcome<Self> {
        Ok(Self::Sent {
            topic: topic.to_owned(),
            kafka: Kafka::builder().build(),
            producer: config(broker).create()?,
        })
    }

    /// Forwards an order; returns the baggage that was seen by this service and by those after it.
    async fn hand_on(&self, id: u64) -> Outcome<String> {
        let baggage = current::propagation().baggage().as_str().to_owned();
        tracing::info!(id, baggage, "order seen");
        let seen_after = match self {
            Self::Nobody => String::new(),
            Self::Asked { url, client } => {
                let request = Request::get(format!("{url}/orders/{id}"))
                    .extension(Route::from("/orders/{id}"))
                    .body(Body::empty())?;
                let response = HttpClient::clone(client).oneshot(request).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                if status != StatusCode::OK {
                    return Err(format!("the next service answered {status}: {body:?}").into());
                }
                String::from_utf8(body.into())?
            }
            Self::Sent {
                topic,
                kafka,
                producer,
            } => {
                let (key, mut headers) = (id.to_string(), OwnedHeaders::new());
                let record = Record::new(topic).with_key(&key);
                let sending = kafka.send(&record, &mut KafkaHeadersMut(&mut headers));
                let record = BaseRecord::to(topic).key(&key).payload(&key);
                let sent = async {
                    let refused = producer.send(record.headers(headers));
                    refused.map_err(|(error, _)| error)?;
                    let producer = producer.clone();
                    let flushed = tokio::task::spawn_blocking(move || producer.flush(LIMIT));
                    flushed.await.expect("librdkafka does not panic")
                };
                sending.run(sent).await?;
                String::new()
            }
        };
        Ok(format!("{baggage}\n{seen_after}"))
    }
}

fn config(broker: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    config
}

fn consumer(broker: &str, topic: &str) -> Outcome<BaseConsumer> {
    let consumer: BaseConsumer = config(broker)
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // The topic may not exist yet.
        .set("allow.auto.create.topics", "true")
        .set("topic.metadata.refresh.interval.ms", "200")
        .create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

/// Processes records until the process ends.
fn take(consumer: &BaseConsumer, relation: Relation, runtime: &Handle, next: &Next) {
    let kafka = Kafka::builder()
        .with_group("billing")
        .with_relation(relation)
        .build();
    let begun = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => {
                if let Err(error) = process(consumer, &kafka, runtime, next, &message) {
                    tracing::error!(%error, "record not processed");
                }
            }
            // The topic may not exist yet.
            Some(Err(error)) if begun.elapsed() < LIMIT => {
                tracing::debug!(%error, "no record");
            }
            Some(Err(error)) => tracing::error!(%error, "no record"),
        }
    }
}

fn process(
    consumer: &BaseConsumer,
    kafka: &Kafka,
    runtime: &Handle,
    next: &Next,
    message: &BorrowedMessage<'_>,
) -> Outcome<()> {
    let record = Record::new(message.topic())
        .with_partition(message.partition())
        .with_offset(message.offset());
    let none = OwnedHeaders::new();
    let processing = match message.headers() {
        Some(headers) => kafka.process(&record, &KafkaHeaders(headers)),
        None => kafka.process(&record, &KafkaHeaders(&none)),
    };
    let work = async {
        let id = std::str::from_utf8(message.payload().unwrap_or_default())?.parse()?;
        next.hand_on(id).await.map(|_| ())
    };
    runtime.block_on(processing.run(work))?;
    let settling = kafka.settle(&record);
    settling.within(|| consumer.commit_message(message, CommitMode::Sync))?;
    Ok(())
}
