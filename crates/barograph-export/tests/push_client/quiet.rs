//! Whoever exports the log must not be a reason to log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::grpc_server::{End, GrpcServer, Reply};
use crate::runner::{Runner, request};
use crate::server::{Server, ok, says};

/// Counts spans and events of one thread.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicUsize>);

impl Heard {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.0.fetch_add(1, Ordering::Relaxed);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn sending_is_not_heard() {
    let heard = Heard::default();
    // The client runs on this thread alone, the servers on theirs.
    tracing::subscriber::with_default(heard.clone(), || {
        tracing::trace!("that it hears");
        assert_eq!(heard.count(), 1);

        let server = Server::start(says(ok()));
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
        // Given up, made anew, and at its end.
        assert_eq!(
            runner.try_for(Duration::from_millis(100), &request(1)),
            None
        );
        runner.delivered(&request(100_000));
        drop(server);
        runner.idle(Duration::from_millis(20));
        assert_eq!(runner.setback(&request(1)).error_type, "connect");
        drop(runner);
        assert_eq!(heard.count(), 1);
    });
}
