//! Spans and log records with failing receivers, full queues and an early shutdown. Each of them is
//! delivered or accounted for, and nothing hangs.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    child::PATIENCE,
    events::{log_records, spans},
    receiver::{Receiver, Record, Transport, pushing_events},
    service::{Service, Variables},
};
use serde_json::{Value, json};

const SIGNALS: [&str; 2] = ["traces", "logs"];

/// Written by the test that needs the whole machine to be done in time, read by all others.
static MACHINE: RwLock<()> = RwLock::new(());

fn shared_machine() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

fn whole_machine() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Exports often. Each signal is a case of its own, named after the service and the signal.
fn variables(name: &str, receiver: &Receiver, transport: Transport) -> Variables {
    let mut variables = pushing_events(name, &receiver.endpoint(transport), transport);
    let case = |signal| format!("x-case={name}-{signal}");
    variables.extend([
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", case("traces")),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", case("logs")),
        ("BAROGRAPH_SPANS", "conformance=trace".to_owned()),
        ("BAROGRAPH_LOGS", "conformance=trace".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200".to_owned()),
        ("RUST_LOG", "info,conformance=off".to_owned()),
    ]);
    variables
}

/// The requests and the account of a service that met faults, by signal.
struct Met {
    name: String,
    cases: [(&'static str, Vec<Record>, Account); 2],
    log: String,
}

impl Met {
    /// Runs a service that makes spans and records and meets the faults, one per request of each
    /// signal.
    #[track_caller]
    fn new(
        receiver: &Receiver,
        case: &str,
        transport: Transport,
        faults: &[Value],
        more: &[(&'static str, &str)],
    ) -> Self {
        let name = format!("{case}-{}", transport.as_str().replace('/', "-"));
        for signal in SIGNALS {
            receiver.set_faults(&format!("{name}-{signal}"), faults);
        }
        let mut variables = variables(&name, receiver, transport);
        variables.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let service = Service::events(&variables);
        // One set after the other, so that each fault meets a request, and one request follows the
        // last fault.
        for lot in 1..=faults.len() + 1 {
            service.ask("/work/all/2");
            let begun = Instant::now();
            let requests = |signal: &&str| receiver.case(&format!("{name}-{signal}")).len();
            while SIGNALS.iter().any(|signal| requests(signal) < lot)
                || Account::of(&service.samples()).queued > 0.0
            {
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{name}: {lot}: {}",
                    service.child().log()
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        let page = service.samples();
        let log = service.end();
        let cases = SIGNALS.map(|signal| {
            let records = receiver.case(&format!("{name}-{signal}"));
            (signal, records, Account::of_signal(&page, signal))
        });
        let met = Self { name, cases, log };
        met.check();
        met
    }

    /// Checks what holds in every case.
    #[track_caller]
    fn check(&self) {
        for (signal, records, account) in &self.cases {
            let name = format!("{}: {signal}: {account:?}\n{}", self.name, self.log);
            assert!(account.is_even() && account.queued == 0.0, "{name}");
            // For each signal some were accepted, and as many as were counted as exported.
            let taken = count(records, &self.name);
            assert!(taken > 0, "{name}");
            assert_eq!(taken as f64, account.exported, "{name}");
            for record in records {
                assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
            }
        }
    }

    /// Returns true if a request is the previous one, sent again unchanged.
    fn is_again(&self, case: usize, request: usize) -> bool {
        let records = &self.cases[case].1;
        records[request].body() == records[request - 1].body()
    }
}

/// Returns the number of accepted spans and records; no span may be there twice.
#[track_caller]
fn count(records: &[Record], name: &str) -> usize {
    let spans = spans(records, name);
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.ids).collect();
    assert_eq!(ids.len(), spans.len(), "{name}: a span came twice");
    spans.len() + log_records(records, name).len()
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
fn a_retryable_failure_is_retried_with_the_same_request() {
    let _machine = shared_machine();
    let receiver = Receiver::start();
    let again = |case: &'static str, transport, fault: Value| {
        let receiver = &receiver;
        Box::new(move || {
            // Long enough that a slow receiver does not cause a request to be repeated.
            let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")];
            let met = Met::new(receiver, case, transport, &[fault], &more);
            for (case, (signal, records, account)) in met.cases.iter().enumerate() {
                let name = &met.name;
                assert!(met.is_again(case, 1), "{name}: {signal} not sent again");
                assert_ne!(records[0].outcome(), "ok", "{name}: {signal}");
                assert_eq!(account.exported, account.produced, "{name}: {signal}");
            }
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    all(vec![
        again("503", Protobuf, json!({"kind": "status", "status": 503})),
        again("429", Json, json!({"kind": "status", "status": 429})),
        again(
            "unavailable",
            Grpc,
            json!({"kind": "status", "code": "UNAVAILABLE"}),
        ),
        again("hang", Grpc, json!({"kind": "hang"})),
        again("hang", Protobuf, json!({"kind": "hang"})),
        again("reset", Json, json!({"kind": "reset answer"})),
    ]);
}

#[test]
fn a_refused_request_is_not_retried_and_is_accounted_for() {
    let _machine = shared_machine();
    let receiver = Receiver::start();
    let refused = |case: &'static str, transport, fault: Value| {
        let receiver = &receiver;
        Box::new(move || {
            let met = Met::new(receiver, case, transport, &[fault], &[]);
            for (case, (signal, records, account)) in met.cases.iter().enumerate() {
                let name = &met.name;
                assert!(!met.is_again(case, 1), "{name}: {signal} sent again");
                let [parts, lists, entries] = match *signal {
                    "traces" => ["resourceSpans", "scopeSpans", "spans"],
                    _ => ["resourceLogs", "scopeLogs", "logRecords"],
                };
                let scopes = records[0].body()[parts][0][lists].as_array();
                let scopes = scopes.expect("scopes").iter();
                let sent: usize = scopes
                    .map(|scope| scope[entries].as_array().map_or(0, Vec::len))
                    .sum();
                assert_eq!(account.dropped("rejected"), sent as f64, "{name}: {signal}");
            }
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    all(vec![
        refused("400", Protobuf, json!({"kind": "status", "status": 400})),
        refused("413", Json, json!({"kind": "status", "status": 413})),
        refused(
            "invalid",
            Grpc,
            json!({"kind": "status", "code": "INVALID_ARGUMENT"}),
        ),
    ]);
}

#[test]
fn a_partial_success_is_not_retried_and_is_accounted_for() {
    let _machine = shared_machine();
    let receiver = Receiver::start();
    let receiver = &receiver;
    let partial = |transport| {
        Box::new(move || {
            let name = format!("partial-{}", transport_name(transport));
            for signal in SIGNALS {
                let fault = json!({"kind": "partial", "rejected": 2, "message": "two\nwere bad"});
                receiver.set_faults(&format!("{name}-{signal}"), &[fault]);
            }
            let service = Service::events(&variables(&name, receiver, transport));
            service.ask("/work/all/1");
            let page = settled(&service);
            for signal in SIGNALS {
                let account = Account::of_signal(&page, signal);
                assert!(account.is_even(), "{name}: {signal}: {account:?}");
                assert_eq!(account.dropped("partial"), 2.0, "{name}: {signal}");
                assert_eq!(account.exported, account.produced - 2.0, "{name}: {signal}");
                let records = receiver.case(&format!("{name}-{signal}"));
                let bodies: BTreeSet<_> = records.iter().map(|r| r.body().to_string()).collect();
                assert_eq!(bodies.len(), records.len(), "{name}: {signal} sent again");
            }
            let log = service.end();
            assert!(log.contains("were bad"), "{name}: {log}");
            assert!(!log.contains("two\nwere"), "{name}: {log}");
        }) as Box<dyn FnOnce() + Send + '_>
    };
    all(Transport::ALL.map(partial).into());
}

fn transport_name(transport: Transport) -> String {
    transport.as_str().replace('/', "-")
}

/// Returns the page once nothing is queued or in flight.
#[track_caller]
fn settled(service: &Service) -> conformance::samples::Samples {
    let begun = Instant::now();
    loop {
        let page = service.samples();
        let account = Account::of(&page);
        if account.queued == 0.0 && account.produced > 0.0 {
            return page;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{account:?}: {}",
            service.child().log()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_receiver_that_hangs_or_is_down_does_not_delay_shutdown() {
    let _machine = shared_machine();
    let mut away = Receiver::start();
    away.stop();
    let hanging = Receiver::start();
    let end = |name: &'static str, receiver, transport| {
        Box::new(move || {
            let name = format!("{name}-{}", transport_name(transport));
            let service = Service::events(&variables(&name, receiver, transport));
            let hang = vec![json!({"kind": "hang"}); 50];
            for signal in SIGNALS {
                if name.starts_with("hang") {
                    receiver.set_faults(&format!("{name}-{signal}"), &hang);
                }
            }
            service.ask("/work/all/2");
            service.ask("/open/5000");
            let begun = Instant::now();
            service.end();
            // The final export has five seconds, the log lines half a second.
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(7), "{name}: {took:?}");
        }) as Box<dyn FnOnce() + Send + '_>
    };
    use Transport::{Grpc, Json, Protobuf};
    all(vec![
        end("hang", &hanging, Grpc),
        end("hang", &hanging, Protobuf),
        end("away", &away, Grpc),
        end("away", &away, Json),
    ]);
}

#[test]
fn ten_thousand_open_spans_arrive_as_unfinished_at_shutdown() {
    let _machine = whole_machine();
    let receiver = Receiver::start();
    // One after the other: a receiver that validates so strictly is slow, and the service has five
    // seconds.
    for transport in Transport::ALL {
        let name = format!("open-{}", transport_name(transport));
        let service = Service::events(&variables(&name, &receiver, transport));
        let told = service.ask("/open/10000");
        let told: BTreeSet<(String, String)> = serde_json::from_str(&told).expect("ids");
        assert_eq!(told.len(), 10_000);
        assert_eq!(service.samples().sum("otel_sdk_span_live"), 10_000.0);
        let log = service.end();
        let records = receiver.case(&format!("{name}-traces"));
        let spans = spans(&records, &name);
        let came: BTreeSet<_> = spans.iter().map(|span| span.ids.clone()).collect();
        assert_eq!(spans.len(), came.len(), "{name}: some came twice\n{log}");
        let lost = told.difference(&came).count();
        assert_eq!(lost, 0, "{name}: {lost} are lost\n{log}");
        assert_eq!(came.len(), told.len(), "{name}");
        let unfinished = json!({"boolValue": true});
        for span in &spans {
            let mark = span.attributes.get("barograph.span.unfinished");
            assert_eq!(mark, Some(&unfinished), "{name}: {span:?}");
        }
        for record in &records {
            assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
        }
    }
}

/// Open spans that cannot be sent at shutdown are logged with their number.
#[test]
fn open_spans_that_are_lost_are_logged() {
    let _machine = shared_machine();
    let mut away = Receiver::start();
    away.stop();
    let service = Service::events(&variables("lost", &away, Transport::Protobuf));
    let told = service.ask("/open/5000");
    assert_eq!(told.matches('[').count(), 5001, "a list of ids for each");
    let log = service.end();
    // Spans that were refused by the full queue, and spans that were queued and not delivered.
    let number = |before: &str| -> u64 {
        let at = log
            .find(before)
            .unwrap_or_else(|| panic!("nothing of{before}: {log}"));
        let number = log[..at].rsplit(' ').next().map(str::parse);
        number.expect("a word").expect("a number")
    };
    let lost = number(" spans for ");
    let undelivered = number(" spans could not be delivered");
    assert_eq!(lost + undelivered, 5000, "{log}");
    assert!(undelivered >= 2048, "{log}");
}

#[test]
fn a_storm_on_small_queues_is_accounted_for_to_the_last_span() {
    let _machine = shared_machine();
    const EACH: f64 = 20_000.0;
    let receiver = Receiver::start();
    let name = "storm";
    let mut variables = variables(name, &receiver, Transport::Protobuf);
    variables.extend([
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64".to_owned()),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "64".to_owned()),
    ]);
    let service = Service::events(&variables);
    thread::scope(|scope| {
        let storm = scope.spawn(|| service.ask(&format!("/storm/{EACH}")));
        // The account is balanced at every moment, not only at the end.
        while !storm.is_finished() {
            let page = service.samples();
            for signal in SIGNALS {
                let account = Account::of_signal(&page, signal);
                assert!(account.is_even(), "{signal}: {account:?}");
                assert!(account.queued <= 128.0, "{signal}: {account:?}");
            }
        }
        let threads: Vec<f64> = serde_json::from_str(&storm.join().expect("a storm ends"))
            .expect("spans of each thread");
        assert_eq!(threads, [EACH; 4]);
    });
    let page = settled(&service);
    service.end();
    for signal in SIGNALS {
        let account = Account::of_signal(&page, signal);
        assert!(account.is_even(), "{signal}: {account:?}");
        assert_eq!(account.produced, EACH * 4.0, "{signal}: {account:?}");
        assert!(account.dropped("queue_full") > 0.0, "{signal}: {account:?}");
        let lost = account.produced - account.dropped("queue_full");
        assert_eq!(account.exported, lost, "{signal}: {account:?}");
        let records = receiver.case(&format!("{name}-{signal}"));
        assert_eq!(count(&records, name) as f64, account.exported, "{signal}");
    }
}
