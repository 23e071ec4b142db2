//! Telemetry that a service persisted before it was killed is delivered by the next process, and every
//! point is counted once: exported, or dropped for a reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    child::PATIENCE,
    points::{points, resources},
    receiver::{Receiver, Record, Transport, pushing},
    service::{Service, Variables},
};
use tempfile::TempDir;

#[test]
fn requests_stored_during_an_outage_survive_the_service() {
    let queue_dir = TempDir::with_prefix("barograph-persistent-queue-").expect("a directory");
    let mut receiver = Receiver::start();
    receiver.stop();
    let variables = with_queue("kept", &receiver, &queue_dir);
    let (account, largest) = killed(&variables, Duration::from_secs(2));
    assert!(
        account.queued > 3.0 * largest,
        "too little was kept: {account:?}"
    );

    receiver.resume();
    let (service, after) = drained(&variables);
    check(&receiver, "kept", &after);
    service.end();
    // One request may have been made and not yet persisted when the service was killed.
    let delivered = delivered(&receiver, "kept");
    let before = first(&delivered);
    let came: usize = delivered[&before]
        .iter()
        .map(|request| request.points)
        .sum();
    assert!(
        came as f64 >= account.queued - largest,
        "{came} points have come of {account:?}"
    );
    assert!(
        after.produced >= account.produced - largest,
        "{after:?} after {account:?}"
    );
    // In order, each once: there was no receiver whose response could have been lost.
    let times: Vec<u64> = delivered[&before]
        .iter()
        .map(|request| request.time)
        .collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[test]
fn killed_again_and_again_under_load_it_accounts_for_every_point() {
    let queue_dir = TempDir::with_prefix("barograph-persistent-queue-").expect("a directory");
    let mut receiver = Receiver::start();
    let variables = with_queue("again", &receiver, &queue_dir);
    let mut last = Account::of(&conformance::samples::Samples::default());
    for round in 0..4 {
        // The receiver is up for half of the time.
        if round % 2 == 0 {
            receiver.stop();
        } else {
            receiver.resume();
        }
        let (account, largest) = killed(&variables, Duration::from_millis(900));
        assert!(account.is_even(), "{account:?}");
        assert!(
            account.produced >= last.produced - largest,
            "the sums were forgotten: {account:?} after {last:?}"
        );
        last = account;
    }
    let (service, after) = drained(&variables);
    check(&receiver, "again", &after);
    assert!(after.exported >= last.exported, "{after:?} after {last:?}");
    service.end();
}

/// Exports often, and persists what is not delivered.
fn with_queue(name: &str, receiver: &Receiver, queue_dir: &TempDir) -> Variables {
    let transport = Transport::Protobuf;
    let mut variables = pushing(name, &receiver.endpoint(transport), transport);
    let directory = queue_dir.path().display().to_string();
    variables.extend([
        ("BAROGRAPH_PERSISTENT_QUEUE_DIR", directory),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50".to_owned()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500".to_owned()),
    ]);
    variables
}

/// Runs a service under load and kills it. Returns its account shortly before, and the number of
/// points of its largest request.
fn killed(variables: &Variables, life: Duration) -> (Account, f64) {
    let service = Service::hello_with(variables);
    let begun = Instant::now();
    let (mut account, mut largest) = (Account::of(&service.samples()), 0.0_f64);
    let order = format!("{}/orders/7", service.url());
    let log = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let agent = ureq::Agent::new_with_defaults();
                while agent.get(&order).call().is_ok() {}
            });
        }
        while begun.elapsed() < life {
            let next = Account::of(&service.samples());
            assert!(next.is_even(), "{next:?}");
            largest = largest.max(next.produced - account.produced);
            account = next;
        }
        service.into_child().kill()
    });
    assert!(!log.contains("panicked"), "{log}");
    (account, largest)
}

/// Starts a service on the same persistent queue and waits until the queue is empty.
fn drained(variables: &Variables) -> (Service, Account) {
    let service = Service::hello_with(variables);
    let begun = Instant::now();
    loop {
        let account = Account::of(&service.samples());
        if account.queued == 0.0 && account.exported > 0.0 {
            return (service, account);
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "something waits still: {account:?}\n{}",
            service.child().log()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Checks that every point is counted once, and that the receiver has all that was exported.
#[track_caller]
fn check(receiver: &Receiver, name: &str, account: &Account) {
    assert!(account.is_even() && account.queued == 0.0, "{account:?}");
    let came: usize = delivered(receiver, name)
        .values()
        .flatten()
        .map(|request| request.points)
        .sum();
    // There may be more: a request is sent again if its response was lost with the killed service.
    assert!(
        came as f64 >= account.exported,
        "{came} have come of {account:?}"
    );
    for reason in ["rejected", "partial", "corrupt", "persistent_queue_full"] {
        assert_eq!(account.dropped(reason), 0.0, "{account:?}");
    }
    for record in receiver.case(name) {
        assert_eq!(record.wrong(), Vec::<&str>::new());
    }
}

/// A request that the receiver accepted.
struct Request {
    /// The latest time of its points.
    time: u64,
    points: usize,
}

/// Returns the requests that the receiver accepted, by service instance.
fn delivered(receiver: &Receiver, name: &str) -> BTreeMap<String, Vec<Request>> {
    let mut delivered: BTreeMap<_, Vec<Request>> = BTreeMap::new();
    let taken = receiver.case(name).into_iter();
    for record in taken.filter(|record| record.outcome() == "ok") {
        let points = points(&record, name);
        let request = Request {
            time: points.iter().map(|point| point.time).max().unwrap_or(0),
            points: points.len(),
        };
        delivered
            .entry(instance(&record))
            .or_default()
            .push(request);
    }
    delivered
}

fn instance(record: &Record) -> String {
    let ids: BTreeSet<String> = resources(record)
        .into_iter()
        .filter_map(|mut resource| resource.remove("service.instance.id"))
        .collect();
    assert_eq!(ids.len(), 1, "a request speaks for one service: {ids:?}");
    ids.into_iter().next().unwrap_or_default()
}

/// Returns the service instance of the oldest request.
fn first(delivered: &BTreeMap<String, Vec<Request>>) -> String {
    let oldest = |requests: &Vec<Request>| requests.iter().map(|request| request.time).min();
    let first = delivered
        .iter()
        .min_by_key(|(_, requests)| oldest(requests));
    first.expect("something was delivered").0.clone()
}
