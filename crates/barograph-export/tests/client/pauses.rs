//! Tests of requested pauses, from the bytes of the response to the next attempt.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use barograph_encode::otlp::{Request, Signal};
use barograph_export::client::{Client, ClientConfig};
use barograph_export::{
    Ack, Driver, Handle, Ledger, Pipeline, RequestSource, RetryPolicy, Schedule, Transport as _,
};

use crate::grpc::retry_info;
use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{LONG, grpc, http, request};
use crate::server::{Server, answer, ok, responds_in_turn};

/// A source with one request per export cycle.
struct DueOnce {
    is_due: bool,
}

impl RequestSource for DueOnce {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn begin(&mut self, _now: SystemTime) {
        self.is_due = true;
    }

    fn next(&mut self) -> Option<Request> {
        std::mem::take(&mut self.is_due).then(|| request(10))
    }

    fn ack(&mut self, _ack: Ack) {}

    fn is_superseded(&self) -> bool {
        true
    }
}

/// Starts a pipeline that exports often, and pauses for at most a tenth of a second.
fn push(config: ClientConfig) -> (Ledger, Handle, std::thread::JoinHandle<()>) {
    let client = Client::new(config, Signal::Metrics).unwrap();
    let ledger = Ledger::new(Signal::Metrics, "otlp", client.target());
    let tenth = Duration::from_millis(100);
    let pipeline = Pipeline::new(
        ledger.clone(),
        Box::new(DueOnce { is_due: false }),
        Box::new(client),
    );
    let pipeline = pipeline
        .with_schedule(Schedule::new().with_interval(Duration::from_millis(20)))
        .with_retry(
            RetryPolicy::new()
                .with_initial_interval(tenth)
                .with_max_open(tenth),
        );
    let (mut driver, handle) = Driver::new([pipeline]);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(driver.run());
    });
    (ledger, handle, thread)
}

/// Checks that the pipeline survives the requested pause, and delivers.
#[track_caller]
fn continues(config: ClientConfig, what: &str) {
    let (ledger, handle, thread) = push(config);
    let began = std::time::Instant::now();
    while ledger.snapshot().exported < 30 {
        assert!(began.elapsed() < LONG, "{what}: {ledger:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(handle.shutdown(LONG), Ok(()), "{what}");
    thread.join().unwrap();
    assert_eq!(ledger.restarts(), 0, "{what}");
    let totals = ledger.snapshot();
    assert_eq!(totals.produced, totals.settled(), "{what}");
}

#[test]
fn no_retry_after_ends_a_pipeline() {
    for status in ["429 Slow", "502 Gateway", "503 Busy", "504 Late"] {
        for asked in [
            "18446744073709551615",
            "9223372036854775807",
            "99999999999999999999999999",
            "-1",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "\u{7f}",
        ] {
            let busy = answer(status, &[("retry-after", asked)], b"");
            let server = Server::start(responds_in_turn(vec![busy, ok()]));
            continues(http(server.port), &format!("{status}, {asked}"));
        }
    }
}

#[test]
fn no_retry_info_ends_a_pipeline() {
    for code in [8, 14, 4] {
        for seconds in [u64::MAX, i64::MAX as u64, 1 << 63, 0] {
            let first = Mutex::new(Some(Reply::new(code, b"").with(
                "grpc-status-details-bin",
                STANDARD.encode(retry_info(seconds)),
            )));
            let server = GrpcServer::start(move |_| {
                let first = first.lock().unwrap().take();
                first.unwrap_or_else(|| Reply::new(0, b""))
            });
            continues(grpc(server.port), &format!("{code}, {seconds} s"));
        }
    }
}
