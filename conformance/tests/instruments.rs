//! Every kind of instrument, written by several threads at once: the page and the exported points
//! agree, and each field arrives as it was recorded, over every transport.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use conformance::{
    points::{Kind, Point, Temporality, latest, points, samples},
    receiver::{Receiver, Record, Transport, pushing},
    samples::Samples,
    service::Service,
};

/// The time that the service is under load, and the rounds of one request.
const TIME: Duration = Duration::from_secs(1);
const ROUNDS: u64 = 400;
/// The number of writing threads in the service.
const WRITERS: u64 = 4;

/// The name, kind, unit and description of each family.
const FAMILIES: [(&str, Kind, &str, &str); 15] = {
    use Kind::{Counter, Gauge, Histogram, Sum};
    const SINCE: Temporality = Temporality::Cumulative;
    [
        ("balance", Sum(SINCE), "", ""),
        ("build_info", Sum(SINCE), "", "What runs."),
        ("cost", Counter(SINCE), "s", ""),
        ("job.phase", Sum(SINCE), "", ""),
        ("orders", Counter(SINCE), "{order}", "Orders placed."),
        ("queue.length", Sum(SINCE), "", ""),
        ("routed", Counter(SINCE), "", ""),
        ("seen", Counter(SINCE), "{round}", ""),
        ("seen.last", Gauge, "", ""),
        ("seen.share", Gauge, "1", ""),
        ("seen.time", Counter(SINCE), "s", ""),
        ("size", Histogram(SINCE), "By", ""),
        ("temperature", Gauge, "", ""),
        ("wait", Histogram(SINCE), "s", "Time spent in the queue."),
        ("workers", Gauge, "", ""),
    ]
};

#[test]
fn every_instrument_has_equal_values_on_the_page_and_in_grpc() {
    has_equal_values(Transport::Grpc, "none");
}

#[test]
fn every_instrument_has_equal_values_on_the_page_and_in_protobuf() {
    has_equal_values(Transport::Protobuf, "gzip");
}

#[test]
fn every_instrument_has_equal_values_on_the_page_and_in_json() {
    has_equal_values(Transport::Json, "none");
}

#[test]
fn deltas_add_up_to_the_values_of_the_page() {
    let run = Run::new("delta", Transport::Protobuf, "none", "delta");
    let mut sums: BTreeMap<_, f64> = BTreeMap::new();
    let mut ends: BTreeMap<_, u64> = BTreeMap::new();
    for record in &run.records {
        for point in points(record, "delta") {
            let counts_anew = matches!(
                point.kind,
                Kind::Counter(Temporality::Delta) | Kind::Histogram(Temporality::Delta)
            );
            let end = ends.insert(point.series(), point.time);
            if counts_anew && let Some(end) = end {
                assert!(point.start >= end, "{} overlaps what was told", point.name);
            }
            for (series, value) in samples([&point]).without_volatile().values {
                let value: f64 = value.parse().expect("a number");
                let sum = sums.entry(series).or_default();
                *sum = if counts_anew { *sum + value } else { value };
            }
        }
    }
    for (series, value) in &run.page.values {
        let value: f64 = value.parse().expect("a number");
        // A value that never changed may be left out.
        assert_eq!(sums.remove(series).unwrap_or_default(), value, "{series}");
    }
    assert_eq!(sums, BTreeMap::new(), "told, and not on the page");
    let kinds = kinds(&run.records, "delta");
    assert_eq!(kinds["orders"], Kind::Counter(Temporality::Delta));
    assert_eq!(kinds["wait"], Kind::Histogram(Temporality::Delta));
    assert_eq!(kinds["queue.length"], Kind::Sum(Temporality::Cumulative));
}

/// A service under load, scraped and pushing until it has ended.
struct Run {
    records: Vec<Record>,
    /// The pages that were read under load: the times before and after, and the samples.
    pages: Vec<(u64, u64, Samples)>,
    /// The last page, when nothing was recorded anymore.
    page: Samples,
    /// The number of times that each instrument was written to.
    rounds: u64,
}

impl Run {
    fn new(name: &str, transport: Transport, compression: &str, temporality: &str) -> Self {
        let receiver = Receiver::start();
        let mut variables = pushing(name, &receiver.endpoint(transport), transport);
        let more = [
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                temporality,
            ),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=conformance",
            ),
        ];
        variables.extend(more.map(|(name, value)| (name, value.to_owned())));
        let service = Service::instruments(&variables);
        let (pages, loads) = thread::scope(|scope| {
            let load = scope.spawn(|| {
                let (begun, mut loads) = (Instant::now(), 0);
                while begun.elapsed() < TIME {
                    service.ask(&format!("/load/{ROUNDS}"));
                    loads += 1;
                }
                loads
            });
            let mut pages = Vec::new();
            while !load.is_finished() {
                let begun = now();
                let page = service.samples().without_volatile();
                pages.push((begun, now(), page));
                // Leaves the processor to the service for most of the time.
                thread::sleep(Duration::from_millis(10));
            }
            (pages, load.join().expect("the load is taken"))
        });
        let page = service.samples().without_volatile();
        service.end();
        let records = receiver.case(name);
        for record in &records {
            assert_eq!(record.wrong(), Vec::<&str>::new());
            assert_eq!(
                (record.outcome(), record.transport()),
                ("ok", transport.as_str())
            );
        }
        Self {
            records,
            pages,
            page,
            rounds: loads * ROUNDS * WRITERS,
        }
    }
}

fn has_equal_values(transport: Transport, compression: &str) {
    let name = transport.as_str();
    let run = Run::new(name, transport, compression, "cumulative");
    let last = latest(&run.records, name);
    let pushed = samples(last.values()).without_volatile();
    run.page.check_same(&pushed, name);
    let rounds = run.rounds as f64;
    assert_eq!(pushed.value("orders_total"), Some(rounds));
    assert_eq!(pushed.sum("routed_total"), 2.0 * rounds);
    assert_eq!(pushed.sum("size_bytes_count"), rounds);
    assert_eq!(pushed.sum("job_phase"), 1.0);
    check_fields(&last, &run.records, name);
    check_exemplars(&pushed);
    check_starts(&run.records, name);
    check_between(&run, name);
}

/// Checks that names, kinds, units and descriptions are those that were registered.
fn check_fields(
    last: &BTreeMap<(String, BTreeMap<String, String>), Point>,
    records: &[Record],
    name: &str,
) {
    let kinds = kinds(records, name);
    for (family, kind, unit, description) in FAMILIES {
        assert_eq!(kinds.get(family), Some(&kind), "{family}");
        let mut points = last.values().filter(|point| point.name == family);
        let point = points.next().expect("a point of each family");
        assert_eq!(point.unit, unit, "{family}");
        // A family without a description has its own name as description, or none.
        match description {
            "" => assert!(
                ["", family].contains(&point.description.as_str()),
                "{point:?}"
            ),
            _ => assert_eq!(point.description, description, "{family}"),
        }
    }
    let build = last.values().find(|point| point.name == "build_info");
    let build = &build.expect("the info").attributes;
    assert_eq!(build["version"], "1.2.3");
    assert_eq!(build["odd"], "a\\b\n\"c\"");
    let resources = records.iter().flat_map(conformance::points::resources);
    for resource in resources {
        assert_eq!(resource["service.name"], name);
        assert_eq!(resource["deployment.environment.name"], "conformance");
    }
}

/// Checks that each exemplar has the span of its trace.
fn check_exemplars(pushed: &Samples) {
    assert!(pushed.exemplars.len() > 5, "{:?}", pushed.exemplars);
    for (series, (trace, span, _)) in &pushed.exemplars {
        assert!(trace.starts_with("ba60"), "{series}: {trace}");
        assert_eq!(span, &format!("5ba4{}", &trace[20..]), "{series}");
    }
}

/// Checks that a series has one start time, and that its points follow each other.
fn check_starts(records: &[Record], name: &str) {
    let mut known: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for point in records.iter().flat_map(|record| points(record, name)) {
        let series = point.series();
        let (start, time) = *known.entry(series).or_insert((point.start, 0));
        assert_eq!(point.start, start, "{} begins anew", point.name);
        assert!(point.time > time, "{} goes back", point.name);
        known.insert(point.series(), (start, point.time));
    }
}

/// Checks that each monotonic value that was pushed under load lies between the pages before and
/// after.
fn check_between(run: &Run, name: &str) {
    let mut compared = 0;
    for record in &run.records {
        let arrived = (record.time() * 1e9) as u64;
        let grows = |point: &Point| matches!(point.kind, Kind::Counter(_) | Kind::Histogram(_));
        let points = points(record, name).into_iter().filter(grows);
        let points: Vec<Point> = points.collect();
        let Some(collected) = points.iter().map(|point| point.time).min() else {
            continue;
        };
        let pushed = samples(&points).without_volatile();
        let mut before = run.pages.iter().filter(|(_, ended, _)| *ended < collected);
        let after = run.pages.iter().find(|(begun, _, _)| *begun > arrived);
        let (Some((.., before)), Some((.., after))) = (before.next_back(), after) else {
            continue;
        };
        compared += 1;
        for series in pushed.values.keys() {
            let at = |samples: &Samples| samples.value(series).unwrap_or_default();
            let (low, value, high) = (at(before), at(&pushed), at(after));
            assert!(
                low <= value && value <= high,
                "{series}: {low} <= {value} <= {high}"
            );
        }
    }
    assert!(
        compared >= 3,
        "{compared} pushes under load, of {}",
        run.records.len()
    );
}

fn kinds(records: &[Record], name: &str) -> BTreeMap<String, Kind> {
    let points = records.iter().flat_map(|record| points(record, name));
    points.map(|point| (point.name, point.kind)).collect()
}

/// Returns the time in nanoseconds since 1970, the unit of the points.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("the clock is past 1970").as_nanos();
    now.try_into().expect("the year 2554 is far")
}
