//! Tests that exporting log records emits no log events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barograph_model::suppression;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::grpc_server::{End, GrpcServer, Reply};
use crate::runner::{Runner, request};
use crate::server::{Server, ok, responds};

/// A subscriber that counts the spans and events of one thread.
#[derive(Clone, Default)]
struct Counter {
    traced: Arc<AtomicUsize>,
    /// The number of those under suppression, which telemetry layers leave out.
    suppressed: Arc<AtomicUsize>,
}

impl Counter {
    fn add(&self) {
        let count = match suppression::is_suppressed() {
            true => &self.suppressed,
            false => &self.traced,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn traced(&self) -> usize {
        self.traced.load(Ordering::Relaxed)
    }
}

impl Subscriber for Counter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.add();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.add();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn sending_is_suppressed() {
    let counter = Counter::default();
    // The client runs on this thread only, the servers on others.
    tracing::subscriber::with_default(counter.clone(), || {
        tracing::trace!("an event that is counted");
        assert_eq!(counter.traced(), 1);

        let server = Server::start(responds(ok()));
        let mut runner = Runner::http(server.port);
        runner.delivered(&request(100_000));

        let server = GrpcServer::start(|call| match call.body.len() {
            0..100 => Reply {
                end: End::Hang,
                ..Reply::new(0, b"")
            },
            _ => Reply::new(0, b""),
        });
        let mut runner = Runner::grpc(server.port);
        runner.delivered(&request(100_000));
        runner.delivered(&request(100_000));
        // Canceled, reconnected, and closed.
        assert_eq!(
            runner.try_for(Duration::from_millis(100), &request(1)),
            None
        );
        runner.delivered(&request(100_000));
        drop(server);
        runner.idle(Duration::from_millis(20));
        assert_eq!(
            runner.retryable(&request(1)).error_type,
            "connection_refused"
        );
        drop(runner);
        assert_eq!(counter.traced(), 1);
        // HTTP/2 does emit events, so there was something to suppress.
        assert!(counter.suppressed.load(Ordering::Relaxed) > 0);
    });
}
