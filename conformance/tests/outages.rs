//! Receivers that are unavailable, recover, or have the wrong certificate: recorded telemetry
//! arrives once the receiver is available, and requests to the service do not wait for it.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    authority::Authority,
    child::PATIENCE,
    load,
    points::{latest, samples},
    receiver::{Receiver, Security, Transport, pushing},
    service::{Service, free_address},
};

const ORDERS: u64 = 5;
/// The log messages for a receiver that becomes unavailable, and that recovers.
const AWAY: &str = " do not reach ";
const BACK: &str = " again after ";
/// The log message for telemetry that was not delivered in the end.
const LOST: &str = " could not be delivered to ";

#[test]
fn a_receiver_that_starts_late_gets_everything() {
    for transport in [Transport::Grpc, Transport::Protobuf] {
        let mut receiver = Receiver::start();
        receiver.stop();
        let mut service = quick("late", &receiver.endpoint(transport), transport, &[]);
        load::send(&service.url(), ORDERS, 0);
        misses(&mut service);
        let account = Account::of(&service.samples());
        assert!(account.is_even() && account.exported == 0.0, "{account:?}");
        assert!(account.produced > 0.0, "{account:?}");
        receiver.resume();
        arrives(&receiver, "late", ORDERS);
        let account = Account::of(&service.samples());
        assert!(account.is_even() && account.exported > 0.0, "{account:?}");
        calm(&service.end(), 1);
    }
}

#[test]
fn a_receiver_that_is_started_again_under_load_has_everything_in_the_end() {
    const ROUNDS: u64 = 3;
    let mut receiver = Receiver::start();
    let transport = Transport::Grpc;
    let service = quick("restart", &receiver.endpoint(transport), transport, &[]);
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            let load = scope.spawn(|| load::send(&service.url(), 300, 10));
            thread::sleep(Duration::from_millis(300));
            receiver.stop();
            thread::sleep(Duration::from_millis(500));
            receiver.resume();
            load.join().expect("the load is taken");
        });
        arrives(&receiver, "restart", 300 * (round + 1));
    }
    let page = service.samples();
    assert!(Account::of(&page).is_even(), "{:?}", Account::of(&page));
    service.end();
    let pushed = samples(latest(&receiver.case("restart"), "restart").values());
    // Exemplars too: those of a request that did not arrive are exported again.
    page.without_volatile()
        .check_same(&pushed.without_volatile(), "page and receiver");
}

#[test]
fn a_receiver_that_never_starts_is_logged_once_and_delays_nothing() {
    let closed = free_address();
    let endpoints = [
        ("closed", format!("http://{closed}")),
        ("nowhere", "http://receiver.invalid:4318".to_owned()),
    ];
    thread::scope(|scope| {
        for (name, endpoint) in &endpoints {
            for transport in [Transport::Grpc, Transport::Protobuf] {
                scope.spawn(move || {
                    let mut service = quick(name, endpoint, transport, &[]);
                    load::send(&service.url(), ORDERS, 0);
                    misses(&mut service);
                    // Several more export intervals.
                    thread::sleep(Duration::from_secs(1));
                    let account = Account::of(&service.samples());
                    assert!(account.is_even() && account.produced > 0.0, "{account:?}");
                    assert_eq!(account.exported, 0.0);
                    calm(&service.end(), 0);
                });
            }
        }
    });
}

#[test]
fn a_receiver_with_a_certificate_of_another_root_gets_nothing() {
    let [right, wrong] = [Authority::new(), Authority::new()];
    let security = Security {
        identity: Some(right.vouch("receiver")),
        clients: None,
    };
    let receiver = Receiver::start_with(security);
    for transport in [Transport::Grpc, Transport::Protobuf] {
        let root = wrong.root().display().to_string();
        let more = [("OTEL_EXPORTER_OTLP_CERTIFICATE", &*root)];
        let mut service = quick("wrong", &receiver.endpoint(transport), transport, &more);
        load::send(&service.url(), ORDERS, 0);
        misses(&mut service);
        let account = Account::of(&service.samples());
        assert!(account.is_even() && account.produced > 0.0, "{account:?}");
        assert_eq!(account.exported, 0.0);
        calm(&service.end(), 0);
    }
    assert!(receiver.records().is_empty(), "sent to who is not trusted");
}

#[test]
fn certificates_that_rotate_under_load_are_taken_up() {
    let authority = Authority::new();
    let clients = Authority::new();
    let security = |clients: &Authority| Security {
        identity: Some(authority.vouch("receiver")),
        clients: Some(clients.root()),
    };
    let mut receiver = Receiver::start_with(security(&clients));
    let identity = clients.vouch("service");
    let (root, certificate, key) = (
        authority.root().display().to_string(),
        identity.certificate.display().to_string(),
        identity.key.display().to_string(),
    );
    let more = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*root),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
    ];
    let services = [Transport::Grpc, Transport::Protobuf, Transport::Json].map(|transport| {
        let name = transport.as_str();
        (
            name,
            quick(name, &receiver.endpoint(transport), transport, &more),
        )
    });
    for (name, service) in &services {
        load::send(&service.url(), ORDERS, 0);
        arrives(&receiver, name, ORDERS);
    }
    // From now on other authorities sign all certificates; the file paths stay the same.
    let [next, next_clients] = [Authority::new(), Authority::new()];
    replace(&next.root(), &authority.root());
    let fresh = next_clients.vouch("service");
    replace(&fresh.key, &identity.key);
    replace(&fresh.certificate, &identity.certificate);
    receiver.stop();
    receiver.set_security(Security {
        identity: Some(next.vouch("receiver")),
        clients: Some(next_clients.root()),
    });
    receiver.resume();
    for (name, service) in services {
        load::send(&service.url(), ORDERS, 0);
        arrives(&receiver, name, 2 * ORDERS);
        service.end();
    }
}

/// Replaces a file with a copy of another one in one step.
fn replace(from: &Path, to: &Path) {
    let part = to.with_extension("next");
    fs::copy(from, &part).expect("a file can be copied");
    fs::rename(part, to).expect("a file can be moved within its directory");
}

fn quick(
    name: &str,
    endpoint: &str,
    transport: Transport,
    more: &[(&'static str, &str)],
) -> Service {
    let mut variables = pushing(name, endpoint, transport);
    variables.insert("OTEL_METRIC_EXPORT_INTERVAL", "200".to_owned());
    variables.insert("OTEL_EXPORTER_OTLP_TIMEOUT", "1000".to_owned());
    variables.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    Service::hello_with(&variables)
}

#[track_caller]
fn arrives(receiver: &Receiver, name: &str, orders: u64) {
    let begun = Instant::now();
    loop {
        let pushed = samples(latest(&receiver.case(name), name).values());
        if pushed.value("orders_total{kind=\"web\"}") == Some(orders as f64) {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{name}: {orders} orders have not arrived: {:?}",
            pushed.value("orders_total{kind=\"web\"}")
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the log says that the receiver is unavailable.
#[track_caller]
fn misses(service: &mut Service) {
    service.wait_for("word that nobody is there", |child| {
        child.log().contains(AWAY).then_some(())
    });
}

/// Checks that an outage is logged once when it begins, once when it ends, and once more if
/// something could not be delivered in the end.
#[track_caller]
fn calm(log: &str, back: usize) {
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((count(AWAY), count(BACK)), (1, back), "{log}");
    assert_eq!(count(LOST), 1 - back, "{log}");
    // Messages about the configuration come before the start line.
    let (_, running) = log.split_once("/metrics, also").expect("a start line");
    let lines = running.lines().skip(1).count();
    assert_eq!(lines, 2, "{log}");
}
