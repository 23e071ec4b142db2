//! Spans and log records while no receiver is available: they wait in their queue, or in the
//! persistent queue if there is one, and arrive once, even if processes are killed in between.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    child::PATIENCE,
    events::{Ids, log_records, spans},
    receiver::{Receiver, Transport, pushing_events},
    service::{Service, Variables},
};
use serde_json::Value;
use tempfile::TempDir;

const SIGNALS: [&str; 2] = ["traces", "logs"];
/// The number of rounds of each of four threads.
const ROUNDS: usize = 10;
/// The numbers of spans and records in each round of `conformance/src/bin/events.rs`.
const SPANS: usize = 5;
const RECORDS: usize = 10;

fn variables(name: &str, receiver: &Receiver, transport: Transport) -> Variables {
    let mut variables = pushing_events(name, &receiver.endpoint(transport), transport);
    variables.extend([
        ("BAROGRAPH_SPANS", "conformance=trace".to_owned()),
        ("BAROGRAPH_LOGS", "conformance=trace".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100".to_owned()),
        ("RUST_LOG", "info,conformance=off".to_owned()),
    ]);
    variables
}

/// Runs rounds and returns the ids of all spans.
fn work(service: &Service) -> BTreeSet<Ids> {
    let told = service.ask(&format!("/work/all/{ROUNDS}"));
    let rounds: Vec<Value> = serde_json::from_str(&told).expect("rounds");
    let ids = rounds.iter().filter_map(Value::as_object).flatten();
    let ids = ids.map(|(_, ids)| serde_json::from_value(ids.clone()).expect("ids"));
    let ids: BTreeSet<Ids> = ids.collect();
    assert_eq!(ids.len(), 4 * ROUNDS * SPANS);
    ids
}

/// Waits until a condition is true.
#[track_caller]
fn until(service: &Service, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let log = service.child().log();
        assert!(begun.elapsed() < PATIENCE, "not {what}: {log}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until nothing is queued and something was delivered, and checks the accounts.
#[track_caller]
fn drained(service: &Service) {
    until(service, "drained", || {
        let account = Account::of(&service.samples());
        account.queued == 0.0 && account.exported > 0.0
    });
    for signal in SIGNALS {
        let account = Account::of_signal(&service.samples(), signal);
        assert!(account.is_even(), "{signal}: {account:?}");
        let dropped: f64 = account.dropped.values().sum();
        assert_eq!(dropped, 0.0, "{signal}: {account:?}");
    }
}

/// Checks that each span has arrived once, and all records of each round.
#[track_caller]
fn check(receiver: &Receiver, name: &str, made: &BTreeSet<Ids>) {
    let records = receiver.case(name);
    for record in &records {
        assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
    }
    let spans = spans(&records, name);
    assert_eq!(spans.len(), made.len(), "{name}");
    let came: BTreeSet<_> = spans.into_iter().map(|span| span.ids).collect();
    assert_eq!(came, *made, "{name}");
    let said = log_records(&records, name);
    assert_eq!(said.len(), made.len() / SPANS * RECORDS, "{name}");
    let places = said.iter().filter(|record| !record.ids.0.is_empty());
    let strange = places.filter(|record| !made.contains(&record.ids)).count();
    assert_eq!(strange, 0, "{name}: records of spans that nobody made");
}

#[test]
fn a_receiver_that_starts_late_gets_every_span_and_record_once() {
    thread::scope(|scope| {
        for transport in Transport::ALL {
            scope.spawn(move || {
                let name = format!("late-{}", transport.as_str().replace('/', "-"));
                let mut receiver = Receiver::start();
                receiver.stop();
                let service = Service::events(&variables(&name, &receiver, transport));
                let mut made = work(&service);
                until(&service, "away", || {
                    let log = service.child().log();
                    log.matches(" do not reach ").count() == SIGNALS.len()
                });
                let account = Account::of(&service.samples());
                assert!(account.is_even() && account.exported == 0.0, "{account:?}");
                assert_eq!(
                    account.produced as usize,
                    made.len() / SPANS * (SPANS + RECORDS)
                );
                made.extend(work(&service));
                receiver.resume();
                drained(&service);
                service.end();
                check(&receiver, &name, &made);
            });
        }
    });
}

#[test]
fn requests_in_the_persistent_queue_survive_a_killed_service() {
    let queue_dir = TempDir::with_prefix("barograph-persistent-queue-").expect("a directory");
    let mut receiver = Receiver::start();
    receiver.stop();
    let mut variables = variables("kept", &receiver, Transport::Protobuf);
    let directory = queue_dir.path().display().to_string();
    variables.insert("BAROGRAPH_PERSISTENT_QUEUE_DIR", directory);
    let service = Service::events(&variables);
    let mut made = work(&service);
    let is_kept = |signal: &&str| {
        let files = queue_dir.path().join(signal).read_dir();
        let files = files.into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
        // They must hold more than headers, and keep their size for two seconds.
        sizes.sum::<u64>()
    };
    let mut last = [0, 0];
    until(&service, "kept", || {
        thread::sleep(Duration::from_secs(2));
        let sizes = SIGNALS.each_ref().map(is_kept);
        sizes == std::mem::replace(&mut last, sizes) && sizes.iter().all(|size| *size > 10_000)
    });
    let log = service.into_child().kill();
    assert!(!log.contains("panicked"), "{log}");

    receiver.resume();
    let service = Service::events(&variables);
    made.extend(work(&service));
    drained(&service);
    service.end();
    check(&receiver, "kept", &made);
}
