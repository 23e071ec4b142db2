//! Telemetry is suppressed on the exporting thread: otherwise exporting would create more to export.
#![cfg(feature = "otlp")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "others look for more in it")]
mod receiver;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph::Registry;
use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::export::Schedule;
use barograph_model::suppression;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use receiver::{Behavior, PROTOCOLS, Receiver};

/// A layer that records what is traced.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<Traced>>>);

#[derive(Clone, Debug)]
struct Traced {
    thread: String,
    target: String,
    is_suppressed: bool,
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let target = event.metadata().target().to_owned();
        self.0.lock().unwrap().push(Traced {
            thread,
            target,
            is_suppressed: suppression::is_suppressed(),
        });
    }
}

/// Alone in its process, since the global subscriber can be set only once.
#[test]
fn only_reports_of_the_pushing_thread_are_not_suppressed() {
    let captured = Captured::default();
    tracing_subscriber::registry().with(captured.clone()).init();
    let impatient = || Schedule::new().with_request_timeout(Duration::from_millis(100));
    let mut receiver = Receiver::start(Protocol::Grpc, Behavior::Takes);
    let up = receiver.push();
    receiver.address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let down = receiver.push().with_schedule(impatient());
    let hanging = Receiver::start(PROTOCOLS[1], Behavior::Hangs)
        .push()
        .with_schedule(impatient());
    let registry = Registry::new();
    registry.counter("orders").build().unwrap().inc();
    let telemetry = Telemetry::builder("shop")
        .without_environment()
        .with_registry(registry)
        .with_push(up)
        .with_push(down)
        .with_push(hanging)
        .without_listener()
        .without_logs()
        .without_start_line()
        .start()
        .unwrap();
    for _ in 0..3 {
        assert!(telemetry.flush(Duration::from_secs(5)).is_err());
    }
    assert_eq!(receiver.value("orders"), Some(1));
    drop(telemetry);
    let captured = captured.0.lock().unwrap().clone();
    let (of_loop, of_others): (Vec<_>, Vec<_>) = captured
        .into_iter()
        .partition(|traced| traced.thread == "barograph-push");
    let (suppressed, reports): (Vec<_>, Vec<_>) =
        of_loop.into_iter().partition(|traced| traced.is_suppressed);
    assert!(
        reports.iter().all(|traced| traced.target == "barograph"),
        "{reports:?}"
    );
    // One for each unavailable receiver, and one for what was left of each at the end.
    assert_eq!(reports.len(), 4, "{reports:?}");
    // A custom subscriber of the service receives the events of the thread as of any other.
    let is_http2 = |traced: &Traced| traced.target.starts_with("h2::");
    assert!(suppressed.iter().any(is_http2));
    // The receiver uses the same HTTP/2 library, and is not suppressed.
    assert!(of_others.iter().any(is_http2));
    assert!(of_others.iter().all(|traced| !traced.is_suppressed));
}
