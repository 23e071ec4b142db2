//! Spans and log records recorded before the shutdown arrive, whatever the service runs on and
//! however it ends.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::{Duration, Instant};

use barograph::Registry;
use barograph::Telemetry;
use barograph::export::Protocol;
use tracing::instrument::WithSubscriber as _;
use tracing::{Dispatch, Instrument as _, Span, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::push::{End, LIMIT, all, block_on};
use crate::receiver::{Behavior, PROTOCOLS, Receiver};
use crate::service::builder;

/// The number of threads that record at once, and of spans and log records that each of them creates.
const THREADS: usize = 4;
const EACH: usize = 30;

struct Case {
    receiver: Receiver,
    telemetry: Telemetry,
    subscriber: Dispatch,
    /// The number of children of the root span.
    children: usize,
}

impl Case {
    /// Creates telemetry with a custom subscriber of the service, and some spans and log records.
    fn new(protocol: Protocol, behavior: Behavior) -> Self {
        let receiver = Receiver::start(protocol, behavior);
        let telemetry = builder(&Registry::new())
            .with_push(receiver.push_spans())
            .with_push(receiver.push_records())
            .without_subscriber()
            .start()
            .unwrap();
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        let case = Case {
            receiver,
            telemetry,
            subscriber: Dispatch::new(subscriber),
            children: THREADS * EACH,
        };
        case.record();
        case
    }

    fn record(&self) {
        let root = tracing::dispatcher::with_default(&self.subscriber, || info_span!("root"));
        std::thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    tracing::dispatcher::with_default(&self.subscriber, || {
                        (0..EACH).for_each(|at| child(&root, at));
                    });
                });
            }
        });
    }

    /// Ends the telemetry while the thread is blocked.
    fn end(self, how: End) {
        match how {
            End::Flush => {
                assert_eq!(self.telemetry.flush(LIMIT), Ok(()));
                arrived(&self.receiver, self.children);
            }
            End::Shutdown => self.telemetry.shutdown_blocking(),
            End::Drop => drop(self.telemetry),
        }
        arrived(&self.receiver, self.children);
    }

    /// Records a span that is entered several times, on any thread, and ends the telemetry.
    async fn end_async(mut self, how: End) {
        let root = tracing::dispatcher::with_default(&self.subscriber, || info_span!("root"));
        let wandering = async {
            yield_now().await;
            info!("said");
            yield_now().await;
        };
        let span = tracing::dispatcher::with_default(
            &self.subscriber,
            || info_span!(parent: &root, "child"),
        );
        let mut wandering = Box::pin(wandering.instrument(span));
        let subscriber = self.subscriber.clone();
        wandering.as_mut().with_subscriber(subscriber).await;
        // A registry closes a parent through the default subscriber when its child closes.
        tracing::dispatcher::with_default(&self.subscriber, || drop((wandering, root)));
        self.children += 1;
        match how {
            End::Flush => {
                assert_eq!(self.telemetry.flush_async(LIMIT).await, Ok(()));
                arrived(&self.receiver, self.children);
            }
            End::Shutdown => self.telemetry.shutdown().await,
            End::Drop => drop(self.telemetry),
        }
        arrived(&self.receiver, self.children);
    }
}

fn child(root: &Span, at: usize) {
    info_span!(parent: root, "child", at).in_scope(|| info!(at, "said"));
}

/// Yields once.
async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Asserts that every span arrived once, below its root, and every log record once, with the ids of
/// its span.
#[track_caller]
fn arrived(receiver: &Receiver, expected: usize) {
    let (spans, records) = (receiver.spans(), receiver.records());
    let (roots, children): (Vec<_>, Vec<_>) = spans
        .iter()
        .partition(|span| span.parent_span_id.is_empty());
    assert_eq!((children.len(), records.len()), (expected, expected));
    let roots: BTreeSet<_> = roots
        .iter()
        .map(|root| (&root.trace_id, &root.span_id))
        .collect();
    assert!(
        children
            .iter()
            .all(|child| roots.contains(&(&child.trace_id, &child.parent_span_id)))
    );
    let of_children: BTreeSet<_> = children
        .iter()
        .map(|child| (&child.trace_id, &child.span_id))
        .collect();
    let of_records: BTreeSet<_> = records
        .iter()
        .map(|record| (&record.trace_id, &record.span_id))
        .collect();
    assert_eq!(of_children.len(), expected);
    assert_eq!(of_children, of_records);
}

#[test]
fn without_a_runtime_every_record_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
    }
}

#[test]
fn without_a_runtime_every_record_of_futures_arrives() {
    for (protocol, end) in all() {
        block_on(Case::new(protocol, Behavior::Takes).end_async(end));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_runtime_of_many_threads_every_record_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
        let wandering = tokio::spawn(Case::new(protocol, Behavior::Takes).end_async(end));
        wandering.await.unwrap();
    }
}

#[tokio::test]
async fn on_a_runtime_of_one_thread_every_record_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
        Case::new(protocol, Behavior::Takes).end_async(end).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_a_task_on_the_only_worker_every_record_arrives() {
    for (protocol, end) in all() {
        let blocking = tokio::spawn(async move { Case::new(protocol, Behavior::Takes).end(end) });
        blocking.await.unwrap();
        let waiting = tokio::spawn(Case::new(protocol, Behavior::Takes).end_async(end));
        waiting.await.unwrap();
    }
}

#[test]
fn a_receiver_of_records_that_hangs_holds_up_no_longer_than_the_limit() {
    std::thread::scope(|threads| {
        for protocol in PROTOCOLS {
            threads.spawn(move || {
                let case = Case::new(protocol, Behavior::Hangs);
                let began = Instant::now();
                assert!(case.telemetry.flush(Duration::from_millis(300)).is_err());
                drop(case.telemetry);
                assert!(began.elapsed() < LIMIT);
            });
        }
    });
}

/// Opens this number of spans, which are still open when the telemetry ends.
fn open(telemetry: &Telemetry, spans: usize) -> Vec<Span> {
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        (0..spans).map(|at| info_span!("open", at)).collect()
    })
}

#[test]
fn ten_thousand_spans_that_are_open_at_the_end_arrive_as_they_stand() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let telemetry = builder(&Registry::new())
        .with_push(receiver.push_spans())
        .without_subscriber()
        .start()
        .unwrap();
    let open = open(&telemetry, 10_000);
    telemetry.shutdown_blocking();
    let spans = receiver.spans();
    assert_eq!(spans.len(), 10_000);
    let is_marked = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        let mut attributes = span.attributes.iter();
        attributes.any(|attribute| attribute.key == "barograph.span.unfinished")
    };
    assert!(spans.iter().all(is_marked));
    // They end too late to be exported.
    drop(open);
}

#[test]
fn a_receiver_that_is_away_keeps_no_open_span_from_another() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let mut away = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    away.address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let telemetry = builder(&Registry::new())
        .with_push(away.push_spans().with_queue(100, 50))
        .with_push(receiver.push_spans().with_queue(100, 50))
        .without_subscriber()
        .start()
        .unwrap();
    let pages = telemetry.pages();
    let open = open(&telemetry, 1_000);
    telemetry.shutdown_blocking();
    assert_eq!(receiver.spans().len(), 1_000);
    let page = pages.render(None).body;
    // Everything that the other receiver did not get is counted.
    let dropped = page.lines().filter(|line| {
        line.starts_with(r#"barograph_export_dropped_total{signal="traces",reader="test","#)
    });
    let dropped: u64 = dropped
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(dropped, 1_000, "{page}");
    drop(open);
}
