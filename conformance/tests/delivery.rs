//! Everything that `examples/hello` recorded before SIGTERM is delivered when the process has
//! ended: over every transport, and through third-party collectors.

use std::{collections::BTreeMap, thread, time::Duration, time::Instant};

use conformance::{
    authority::Authority,
    child::PATIENCE,
    collector::{Collector, Rotel},
    load::{self, Load},
    points::{latest, resources, samples},
    receiver::{Receiver, Record, Transport, pushing},
    samples::Samples,
    service::{Service, Variables},
};

const ORDERS: u64 = 200;
const STRAYS: u64 = 10;

/// The export configuration of one service.
struct Way {
    name: String,
    variables: Variables,
}

impl Way {
    fn new(name: String, endpoint: &str, transport: Transport, compression: &str) -> Self {
        let mut variables = pushing(&name, endpoint, transport);
        variables.insert("OTEL_EXPORTER_OTLP_COMPRESSION", compression.to_owned());
        Self { name, variables }
    }
}

/// The last page and the output of a service.
struct Run {
    name: String,
    load: Load,
    page: Samples,
    log: String,
}

/// Runs a service. Its export interval is the default of a minute, so what arrives is sent by the
/// shutdown.
fn run(way: Way) -> Run {
    let service = Service::hello_with(&way.variables);
    let load = load::send(&service.url(), ORDERS, STRAYS);
    let page = service.samples().without_volatile();
    Run {
        name: way.name,
        load,
        page,
        log: service.end(),
    }
}

/// Runs the services at the same time.
fn run_all(ways: Vec<Way>) -> Vec<Run> {
    thread::scope(|scope| {
        let runs: Vec<_> = ways
            .into_iter()
            .map(|way| scope.spawn(|| run(way)))
            .collect();
        let runs = runs.into_iter().map(|run| run.join().expect("a run ends"));
        runs.collect()
    })
}

#[test]
fn metrics_are_in_the_receiver_when_the_service_has_ended() {
    let receiver = Receiver::start();
    let mut ways = Vec::new();
    for transport in Transport::ALL {
        for compression in ["none", "gzip"] {
            let name = format!("{}-{compression}", transport.as_str().replace('/', "-"));
            let endpoint = receiver.endpoint(transport);
            ways.push(Way::new(name, &endpoint, transport, compression));
        }
    }
    for run in run_all(ways) {
        let records = receiver.case(&run.name);
        check(&run, &records);
        for record in &records {
            let (name, wire) = (&run.name, record.wire());
            let (transport, compression) = name.rsplit_once('-').expect("a name of two parts");
            assert_eq!(record.wrong(), Vec::<&str>::new(), "{name}");
            assert_eq!(record.transport().replace('/', "-"), transport, "{name}");
            assert_eq!(record.outcome(), "ok", "{name}");
            // For gRPC all bytes of the connection are counted, including the preface and headers.
            assert_eq!(
                wire < record.size() / 2,
                compression == "gzip",
                "{name}: {wire} bytes for {}",
                record.size()
            );
            match (transport, compression) {
                ("grpc", _) => {}
                (_, "gzip") => assert_eq!(record.encoding(), "gzip", "{name}"),
                _ => assert_eq!(record.encoding(), "", "{name}"),
            }
            let agent = &record.headers()["user-agent"];
            assert!(
                agent.starts_with("barograph-otlp-exporter-rust/"),
                "{agent}"
            );
        }
        check_resource(&run, &records);
    }
}

#[test]
fn metrics_are_in_the_collector_when_the_service_has_ended() {
    let receiver = Receiver::start();
    let authority = Authority::new();
    let collector = Collector::start(&authority, &receiver);
    let mut ways = Vec::new();
    for transport in Transport::ALL {
        for compression in ["none", "gzip"] {
            let name = format!("{}-{compression}", transport.as_str().replace('/', "-"));
            // TLS and plaintext alternate, so that each transport is tested with both.
            let way = match compression {
                "gzip" => {
                    let endpoint = collector.secure_endpoint(transport);
                    let mut way = Way::new(name, &endpoint, transport, compression);
                    let root = authority.root().display().to_string();
                    way.variables.insert("OTEL_EXPORTER_OTLP_CERTIFICATE", root);
                    way
                }
                _ => Way::new(name, &collector.endpoint(transport), transport, compression),
            };
            ways.push(way);
        }
    }
    for run in run_all(ways) {
        // The collector does not forward the headers: the resource identifies the service.
        let records = of(&receiver, &run.name);
        check(&run, &records);
        check_resource(&run, &records);
    }
}

#[test]
fn metrics_arrive_through_rotel() {
    let receiver = Receiver::start();
    let rotel = Rotel::start(&receiver);
    // JSON is left out: rotel drops the points of all sums and histograms that it receives as JSON.
    let ways = [
        (Transport::Grpc, "gzip"),
        (Transport::Protobuf, "none"),
        (Transport::Protobuf, "gzip"),
    ];
    let ways = ways.map(|(transport, compression)| {
        let name = format!("{}-{compression}", transport.as_str().replace('/', "-"));
        Way::new(name, &rotel.endpoint(transport), transport, compression)
    });
    for run in run_all(ways.into()) {
        // rotel responds before it forwards.
        let begun = Instant::now();
        while of(&receiver, &run.name).is_empty() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        let records = of(&receiver, &run.name);
        check(&run, &records);
        check_resource(&run, &records);
    }
}

/// zstd is not tested with `hello`, which is built without it.
#[test]
fn zstd_is_read_by_the_collector() {
    let receiver = Receiver::start();
    let collector = Collector::start(&Authority::new(), &receiver);
    for transport in [Transport::Grpc, Transport::Protobuf] {
        let name = format!("zstd-{}", transport.as_str());
        let way = Way::new(name, &collector.endpoint(transport), transport, "zstd");
        let service = Service::instruments(&way.variables);
        service.ask("/load/100");
        let page = service.samples().without_volatile();
        service.end();
        let pushed = samples(latest(&of(&receiver, &way.name), &way.name).values());
        page.check_same(&pushed.without_volatile(), &way.name);
    }
}

/// Returns the records with the resource of a service.
fn of(receiver: &Receiver, name: &str) -> Vec<Record> {
    let mut records = receiver.records();
    records.retain(|record| {
        let mut resources = resources(record).into_iter();
        resources.any(|resource| resource.get("service.name").is_some_and(|is| is == name))
    });
    records
}

/// Checks that the last exported values equal those of the last page.
#[track_caller]
fn check(run: &Run, records: &[Record]) {
    let Run { name, log, .. } = run;
    assert!(!records.is_empty(), "{name}: nothing has arrived\n{log}");
    let pushed = samples(latest(records, name).values());
    // The process metrics have been collected too.
    assert!(pushed.sum("process_resident_memory_bytes") > 1e6, "{name}");
    let pushed = pushed.without_volatile();
    let orders = run.load.orders as f64;
    assert_eq!(
        pushed.value("orders_total{kind=\"web\"}"),
        Some(orders),
        "{name}"
    );
    assert_eq!(
        pushed.sum("http_server_request_duration_seconds_count"),
        orders + run.load.strays as f64,
        "{name}"
    );
    run.page.check_same(&pushed, name);
    assert!(pushed.exemplars.len() > 2, "{name}: {:?}", pushed.exemplars);
    for (series, (trace, span, _)) in &pushed.exemplars {
        assert!(
            run.load.may_have_made(trace, span),
            "{name}: {series} has an exemplar of no sampled trace: {trace} {span}"
        );
    }
}

#[track_caller]
fn check_resource(run: &Run, records: &[Record]) {
    let mut instances = BTreeMap::new();
    for resource in records.iter().flat_map(resources) {
        let attribute = |name: &str| resource.get(name).map_or("", String::as_str);
        if attribute("service.name") != run.name {
            continue;
        }
        assert_eq!(attribute("telemetry.sdk.name"), "barograph", "{resource:?}");
        assert_eq!(attribute("telemetry.sdk.language"), "rust", "{resource:?}");
        assert_ne!(attribute("telemetry.sdk.version"), "", "{resource:?}");
        instances.insert(attribute("service.instance.id").to_owned(), ());
    }
    assert_eq!(
        instances.len(),
        1,
        "one instance, always the same: {instances:?}"
    );
}
