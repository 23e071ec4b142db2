//! Telemetry recorded before the shutdown arrives, whatever the service runs on and however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barograph::Registry;
use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::export::Unfinished;

use crate::client::get;
use crate::receiver::{Behavior, PROTOCOLS, Receiver};
use crate::service::{address, builder};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The way in which the telemetry ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Flush,
    Shutdown,
    Drop,
}

/// Returns every protocol with every end.
pub(crate) fn all() -> impl Iterator<Item = (Protocol, End)> {
    let ends = [End::Flush, End::Shutdown, End::Drop];
    PROTOCOLS
        .into_iter()
        .flat_map(move |protocol| ends.map(|end| (protocol, end)))
}

struct Case {
    receiver: Receiver,
    registry: Registry,
    telemetry: Telemetry,
}

impl Case {
    fn new(protocol: Protocol, behavior: Behavior) -> Self {
        let receiver = Receiver::start(protocol, behavior);
        let registry = Registry::new();
        for part in 0..10 {
            let counter = registry.counter(&format!("orders.{part}")).build().unwrap();
            counter.add(part + 1);
        }
        let telemetry = builder(&registry)
            .with_push(receiver.push())
            .start()
            .unwrap();
        Case {
            receiver,
            registry,
            telemetry,
        }
    }

    /// Ends the telemetry while the thread is blocked.
    fn end(self, how: End) {
        match how {
            End::Flush => {
                assert_eq!(self.telemetry.flush(LIMIT), Ok(()));
                arrived(&self.receiver);
            }
            End::Shutdown => self.telemetry.shutdown_blocking(),
            End::Drop => drop(self.telemetry),
        }
        arrived(&self.receiver);
    }

    async fn end_async(self, how: End) {
        match how {
            End::Flush => {
                assert_eq!(self.telemetry.flush_async(LIMIT).await, Ok(()));
                arrived(&self.receiver);
            }
            End::Shutdown => self.telemetry.shutdown().await,
            End::Drop => drop(self.telemetry),
        }
        arrived(&self.receiver);
    }
}

#[track_caller]
fn arrived(receiver: &Receiver) {
    for part in 0..10 {
        assert_eq!(receiver.value(&format!("orders.{part}")), Some(part + 1));
    }
}

#[test]
fn without_a_runtime_everything_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
    }
}

#[test]
fn the_futures_need_no_runtime() {
    for (protocol, end) in all() {
        block_on(Case::new(protocol, Behavior::Takes).end_async(end));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_runtime_of_many_threads_everything_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
        Case::new(protocol, Behavior::Takes).end_async(end).await;
    }
}

#[tokio::test]
async fn on_a_runtime_of_one_thread_everything_arrives() {
    for (protocol, end) in all() {
        Case::new(protocol, Behavior::Takes).end(end);
        Case::new(protocol, Behavior::Takes).end_async(end).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_a_task_on_the_only_worker_everything_arrives() {
    for (protocol, end) in all() {
        let blocking = tokio::spawn(async move { Case::new(protocol, Behavior::Takes).end(end) });
        blocking.await.unwrap();
        let waiting = tokio::spawn(Case::new(protocol, Behavior::Takes).end_async(end));
        waiting.await.unwrap();
    }
}

/// A minimal executor.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn a_receiver_that_hangs_holds_up_no_longer_than_the_limit() {
    std::thread::scope(|threads| {
        for protocol in PROTOCOLS {
            threads.spawn(move || {
                let case = Case::new(protocol, Behavior::Hangs);
                let began = Instant::now();
                let limit = Duration::from_millis(300);
                assert!(case.telemetry.flush(limit).is_err());
                assert!(began.elapsed() < LIMIT);
                drop(case.telemetry);
                assert!(began.elapsed() < LIMIT);
                assert_eq!(case.receiver.value("orders.0"), None);
            });
        }
    });
}

#[test]
fn a_receiver_that_does_not_listen_delays_the_shutdown_up_to_its_limit() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut receiver = Receiver::start(Protocol::HttpJson, Behavior::Takes);
    receiver.address = address;
    let telemetry = builder(&Registry::new())
        .with_push(receiver.push())
        .start()
        .unwrap();
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    assert!(telemetry.flush(limit).is_err());
    telemetry.shutdown_blocking();
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn without_anything_to_push_nothing_is_waited_for() {
    let telemetry = builder(&Registry::new()).start().unwrap();
    assert_eq!(telemetry.flush(Duration::ZERO), Ok(()));
}

#[test]
fn the_account_is_on_the_page_and_adds_up() {
    let case = Case::new(Protocol::HttpProtobuf, Behavior::Takes);
    for _ in 0..3 {
        assert_eq!(case.telemetry.flush(LIMIT), Ok::<(), Unfinished>(()));
    }
    let page = get(address(&case.telemetry), "/metrics").text();
    let value = |start: &str| -> u64 {
        let line = page.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("{start} in {page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let labels = r#"{signal="metrics",reader="test"}"#;
    let produced = value(&format!("barograph_export_produced_total{labels}"));
    assert!(produced >= 30);
    assert_eq!(
        value(&format!("barograph_export_exported_total{labels}")),
        produced
    );
    assert_eq!(value(&format!("barograph_export_queued{labels}")), 0);
    let dropped =
        r#"barograph_export_dropped_total{signal="metrics",reader="test",reason="shutdown"}"#;
    assert_eq!(value(dropped), 0);
    let by = format!(
        "{{otel_component_type=\"otlp_http_metric_exporter\",\
         otel_component_name=\"otlp_http_metric_exporter/test\",\
         server_address=\"127.0.0.1\",server_port=\"{}\"}}",
        case.receiver.address.port()
    );
    let exported = format!("otel_sdk_exporter_metric_data_point_exported_total{by}");
    assert_eq!(value(&exported), produced);
    let operations = format!("otel_sdk_exporter_operation_duration_seconds_count{by}");
    assert!(value(&operations) >= 3);
    assert!(page.contains("otel_sdk_metric_reader_collection_duration_seconds_count"));
}

#[test]
fn two_receivers_get_the_same() {
    let (one, two) = (
        Receiver::start(Protocol::HttpJson, Behavior::Takes),
        Receiver::start(Protocol::HttpJson, Behavior::Takes),
    );
    let registry = Registry::new();
    let counter = registry.counter("orders").build().unwrap();
    let telemetry = builder(&registry)
        .with_push(one.push())
        .with_push(two.push())
        .start()
        .unwrap();
    counter.add(7);
    assert_eq!(telemetry.flush(LIMIT), Ok(()));
    assert_eq!(
        (one.value("orders"), two.value("orders")),
        (Some(7), Some(7))
    );
    let page = telemetry.render(None).body;
    assert!(page.contains(r#"barograph_export_queued{signal="metrics",reader="test-2"} 0"#));
}

/// Returns the nanoseconds that an increment took at the median and at the 99th percentile, the
/// minimum of many rounds: other load on the machine only makes rounds slower.
fn recording_times(registry: &Registry) -> (u64, u64) {
    let counter = registry.counter("recorded").build().unwrap();
    let histogram = registry.histogram("recorded.duration").build().unwrap();
    let (mut median, mut high) = (u64::MAX, u64::MAX);
    for _ in 0..200 {
        let mut times = Vec::with_capacity(1000);
        for nth in 0..1000 {
            // Long enough that the clock itself does not dominate.
            let began = Instant::now();
            for _ in 0..20 {
                counter.inc();
                histogram.observe(f64::from(nth));
            }
            times.push(began.elapsed().as_nanos() as u64);
        }
        times.sort_unstable();
        median = median.min(times[500]);
        high = high.min(times[990]);
    }
    (median, high)
}

#[test]
fn recording_never_waits_for_a_receiver_that_hangs() {
    let quiet = recording_times(&Registry::new());
    let case = Case::new(Protocol::HttpProtobuf, Behavior::Hangs);
    let is_over = Arc::new(AtomicBool::new(false));
    let (telemetry, over) = (case.telemetry, Arc::clone(&is_over));
    // So that a request hangs all the time.
    let flushing = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let _ = telemetry.flush(Duration::from_millis(200));
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    let hanging = recording_times(&case.registry);
    is_over.store(true, Ordering::Relaxed);
    flushing.join().unwrap();
    // A thread that waited for the receiver would take milliseconds, ten thousand times as long.
    assert!(
        hanging.0 <= quiet.0 * 3,
        "median: {quiet:?} ns, hanging {hanging:?} ns"
    );
    assert!(
        hanging.1 <= quiet.1 * 3,
        "p99: {quiet:?} ns, hanging {hanging:?} ns"
    );
}
