//! Receivers that fail: a retryable request is sent again unchanged, a permanent failure is not
//! retried, nothing hangs, and every point is accounted for.

use std::{
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    child::PATIENCE,
    load,
    points::{Kind, Measure, Point, Temporality, points},
    receiver::{Receiver, Record, Transport, pushing},
    service::Service,
};
use serde_json::{Value, json};

const ORDERS: u64 = 5;
const INTERVAL: &str = "200";

/// The requests and the account of a service that met faults.
struct Met {
    name: String,
    records: Vec<Record>,
    account: Account,
    peak_memory: u64,
    log: String,
}

impl Met {
    /// Runs a service that pushes through the faults, one per request, until two requests have
    /// succeeded.
    #[track_caller]
    fn new(
        receiver: &Receiver,
        case: &str,
        transport: Transport,
        faults: &[Value],
        more: &[(&'static str, &str)],
    ) -> Self {
        let name = format!("{case}-{}", transport.as_str().replace('/', "-"));
        receiver.set_faults(&name, faults);
        let mut variables = pushing(&name, &receiver.endpoint(transport), transport);
        variables.insert("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL.to_owned());
        variables.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let service = Service::hello_with(&variables);
        load::send(&service.url(), ORDERS, 0);
        let wanted = faults.len() + 2;
        let begun = Instant::now();
        while receiver.case(&name).len() < wanted {
            assert!(
                begun.elapsed() < PATIENCE,
                "{name}: {} requests and not {wanted}; the log:\n{}",
                receiver.case(&name).len(),
                service.child().log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        let account = Account::of(&service.samples());
        let peak_memory = service.child().peak_memory();
        let log = service.end();
        let met = Self {
            records: receiver.case(&name),
            account,
            peak_memory,
            log,
            name,
        };
        met.check();
        met
    }

    /// Checks what holds in every case.
    #[track_caller]
    fn check(&self) {
        let Self {
            name, account, log, ..
        } = self;
        assert!(account.is_even(), "{name}: {account:?}");
        assert!(account.produced > 0.0, "{name}: {account:?}");
        assert_eq!(self.orders(), ORDERS as f64, "{name}: {log}");
        for record in &self.records {
            assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
        }
    }

    /// The orders that the receiver has accepted: the sum of all deltas, or the last cumulative
    /// sum.
    fn orders(&self) -> f64 {
        let taken = self
            .records
            .iter()
            .filter(|record| record.outcome() == "ok");
        let points = taken.flat_map(|record| points(record, &self.name));
        points
            .filter(|point| point.name == "orders")
            .fold(0.0, |sum, point| match (point.kind, point.value) {
                (Kind::Counter(Temporality::Delta), Measure::Number(more)) => sum + more,
                (_, Measure::Number(all)) => all,
                (_, other) => panic!("a counter says {other:?}"),
            })
    }

    fn points(&self, request: usize) -> Vec<Point> {
        points(&self.records[request], &self.name)
    }

    /// Returns true if a request is the previous one, sent again unchanged.
    #[track_caller]
    fn is_again(&self, request: usize) -> bool {
        let [before, this] = [self.points(request - 1), self.points(request)];
        let time = |points: &[Point]| points.iter().map(|point| point.time).max();
        assert!(!this.is_empty(), "{}: an empty request", self.name);
        match time(&before) == time(&this) {
            true => {
                assert_eq!(before, this, "{}: sent again, and changed", self.name);
                true
            }
            false => false,
        }
    }

    /// The seconds between a request and the previous one.
    fn pause(&self, request: usize) -> f64 {
        self.records[request].time() - self.records[request - 1].time()
    }
}

fn status(status: u16) -> Value {
    json!({"kind": "status", "status": status})
}

fn code(code: &str) -> Value {
    json!({"kind": "status", "code": code})
}

/// Runs cases at the same time, and fails with the first failure.
fn all(cases: Vec<Box<dyn FnOnce() + Send + '_>>) {
    thread::scope(|scope| {
        let cases: Vec<_> = cases.into_iter().map(|case| scope.spawn(case)).collect();
        for case in cases {
            if let Err(panic) = case.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn a_retryable_response_is_retried_with_the_same_request() {
    let receiver = Receiver::start();
    let again = |case: &'static str, transport, fault: Value, pause: f64| {
        let receiver = &receiver;
        Box::new(move || {
            let met = Met::new(receiver, case, transport, &[fault], &[]);
            assert!(met.is_again(1), "{}: not sent again", met.name);
            assert!(!met.is_again(2), "{}: sent once more", met.name);
            assert!(
                met.pause(1) >= pause,
                "{}: after {} s",
                met.name,
                met.pause(1)
            );
            assert_eq!(met.account.dropped("rejected"), 0.0, "{:?}", met.account);
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    let limited = |hint: Value| {
        let mut fault = status(429);
        fault
            .as_object_mut()
            .expect("an object")
            .extend(hint.as_object().expect("an object").clone());
        fault
    };
    all(vec![
        again("429", Protobuf, status(429), 0.0),
        again("502", Protobuf, status(502), 0.0),
        again("503", Protobuf, status(503), 0.0),
        again("504", Json, status(504), 0.0),
        again(
            "seconds",
            Protobuf,
            limited(json!({"retry_after": "2"})),
            1.9,
        ),
        again("date", Json, limited(json!({"retry_date": 2})), 1.9),
    ]);
    let info = |seconds: f64| json!({"kind": "status", "code": "RESOURCE_EXHAUSTED", "retry_delay": seconds});
    all(vec![
        again("cancelled", Grpc, code("CANCELLED"), 0.0),
        again("deadline", Grpc, code("DEADLINE_EXCEEDED"), 0.0),
        again("aborted", Grpc, code("ABORTED"), 0.0),
        again("out-of-range", Grpc, code("OUT_OF_RANGE"), 0.0),
        again("unavailable", Grpc, code("UNAVAILABLE"), 0.0),
        again("data-loss", Grpc, code("DATA_LOSS"), 0.0),
        again("exhausted", Grpc, info(2.0), 1.9),
    ]);
}

#[test]
fn a_refused_request_is_not_retried() {
    let receiver = Receiver::start();
    let refused = |case: &'static str, transport, faults: Vec<Value>| {
        let receiver = &receiver;
        Box::new(move || {
            let met = Met::new(receiver, case, transport, &faults, &[]);
            let mut refused = 0;
            for request in 1..=faults.len() {
                assert!(
                    !met.is_again(request),
                    "{}: {} sent again",
                    met.name,
                    faults[request - 1]
                );
                refused += met.points(request - 1).len();
            }
            let dropped = met.account.dropped("rejected");
            assert_eq!(dropped, refused as f64, "{}: {:?}", met.name, met.account);
        }) as Box<dyn FnOnce() + Send + '_>
    };
    let statuses = [400, 401, 403, 404, 408, 413, 415, 500, 501, 505].map(status);
    let codes = [
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "FAILED_PRECONDITION",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAUTHENTICATED",
        // Not retryable without a `RetryInfo`.
        "RESOURCE_EXHAUSTED",
    ]
    .map(code);
    let redirects =
        [301, 302, 307, 308].map(|status| json!({"kind": "redirect", "status": status}));
    all(vec![
        refused("statuses", Transport::Protobuf, statuses.to_vec()),
        refused("statuses", Transport::Json, statuses[..2].to_vec()),
        refused("codes", Transport::Grpc, codes.to_vec()),
        refused("redirects", Transport::Protobuf, redirects.to_vec()),
    ]);
    for record in receiver.records() {
        assert!(
            !record.path().contains("redirected"),
            "a redirect was followed"
        );
    }
}

#[test]
fn a_partial_success_is_not_retried_and_is_accounted_for() {
    let receiver = Receiver::start();
    for transport in [Transport::Grpc, Transport::Protobuf, Transport::Json] {
        let faults = [
            json!({"kind": "partial", "rejected": 2, "message": "two\nwere bad"}),
            json!({"kind": "partial", "rejected": 0, "message": "only a word"}),
        ];
        let met = Met::new(&receiver, "partial", transport, &faults, &[]);
        assert!(
            !met.is_again(1) && !met.is_again(2),
            "{}: sent again",
            met.name
        );
        assert_eq!(met.account.dropped("partial"), 2.0, "{:?}", met.account);
        assert_eq!(met.account.dropped("rejected"), 0.0, "{:?}", met.account);
        let log = &met.log;
        assert!(
            log.contains("were bad"),
            "{}: the reason is not in the log:\n{log}",
            met.name
        );
        assert!(
            !log.contains("two\nwere"),
            "{}: what a receiver says breaks a line:\n{log}",
            met.name
        );
    }
}

/// The request may have arrived. Deltas are sent again unchanged: merged with newer ones, they
/// would be counted twice if the first request had arrived.
#[test]
fn a_request_without_a_response_is_retried_unchanged() {
    let receiver = Receiver::start();
    let unanswered = |kind: &'static str, transport, pause: f64| {
        let receiver = &receiver;
        Box::new(move || {
            let fault = json!({"kind": kind});
            let more = [
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ];
            let met = Met::new(
                receiver,
                &kind.replace(' ', "-"),
                transport,
                &[fault],
                &more,
            );
            // The receiver has nothing of a request that was cut off in the middle.
            if kind != "reset" {
                assert!(met.is_again(1), "{}: not sent again", met.name);
            }
            assert!(!met.is_again(2), "{}: sent once more", met.name);
            assert!(
                met.pause(1) >= pause,
                "{}: after {} s",
                met.name,
                met.pause(1)
            );
            assert_eq!(met.account.dropped("rejected"), 0.0, "{:?}", met.account);
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    all(vec![
        unanswered("hang", Grpc, 0.9),
        unanswered("hang", Protobuf, 0.9),
        unanswered("drip", Protobuf, 0.9),
        unanswered("drip", Json, 0.9),
    ]);
    all(vec![
        unanswered("reset answer", Grpc, 0.0),
        unanswered("reset answer", Protobuf, 0.0),
        unanswered("reset", Json, 0.0),
        unanswered("noise", Protobuf, 0.0),
    ]);
}

#[test]
fn an_invalid_response_does_no_harm() {
    let receiver = Receiver::start();
    let harmless = |kind: &'static str, transport| {
        let receiver = &receiver;
        Box::new(move || {
            let met = Met::new(receiver, kind, transport, &[json!({"kind": kind})], &[]);
            assert!(!met.is_again(1), "{}: sent again", met.name);
            // A response of 128 MiB must not be read to its end.
            let most = 64 * 1024 * 1024;
            assert!(
                met.peak_memory < most,
                "{}: {} bytes",
                met.name,
                met.peak_memory
            );
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    all(vec![
        harmless("garbage", Grpc),
        harmless("garbage", Protobuf),
        harmless("garbage", Json),
        harmless("bomb", Grpc),
        harmless("bomb", Protobuf),
        harmless("bomb", Json),
    ]);
}
