//! The points in pushed requests, and the samples that a scraper would make of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{receiver::Record, samples::Samples};

/// One point of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The name of the metric.
    pub name: String,
    /// The unit, in UCUM.
    pub unit: String,
    /// The description of the metric.
    pub description: String,
    /// The attributes, with values as text.
    pub attributes: BTreeMap<String, String>,
    /// The kind of the metric.
    pub kind: Kind,
    /// The start time, in nanoseconds since 1970; 0 if there is none.
    pub start: u64,
    /// The time, in nanoseconds since 1970.
    pub time: u64,
    /// The value.
    pub value: Measure,
    /// The exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// The name and the attributes of a metric, which identify a series.
pub type Series = (String, BTreeMap<String, String>);

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names what it expects")]
pub enum Kind {
    /// A gauge.
    Gauge,
    /// A sum that can go down too.
    Sum(Temporality),
    /// A monotonic sum.
    Counter(Temporality),
    /// A histogram with explicit bounds.
    Histogram(Temporality),
}

/// The aggregation temporality of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names what it expects")]
pub enum Temporality {
    /// The value counts since the last point.
    Delta,
    /// The value counts since the start of the series.
    Cumulative,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a test names what it expects")]
pub enum Measure {
    /// A number.
    Number(f64),
    /// A distribution; `buckets` has one more than `bounds`.
    Distribution {
        /// The number of measurements.
        count: u64,
        /// The sum of the measurements.
        sum: f64,
        /// The upper bounds of the buckets.
        bounds: Vec<f64>,
        /// The number of measurements in each bucket.
        buckets: Vec<u64>,
    },
}

/// A measurement, and the trace in which it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace id in hexadecimal.
    pub trace_id: String,
    /// The span id in hexadecimal.
    pub span_id: String,
    /// The measured value.
    pub value: f64,
    /// The time, in nanoseconds since 1970.
    pub time: u64,
}

impl Exemplar {
    fn parts(&self) -> (&str, &str, f64) {
        (&self.trace_id, &self.span_id, self.value)
    }
}

impl Point {
    /// The series of the point.
    pub fn series(&self) -> Series {
        (self.name.clone(), self.attributes.clone())
    }
}

/// Returns the attributes of the resources in a request of any signal.
pub fn resources(record: &Record) -> Vec<BTreeMap<String, String>> {
    let signals = ["resourceMetrics", "resourceSpans", "resourceLogs"];
    let resources = signals.iter().flat_map(|name| list(&record.body()[*name]));
    resources
        .map(|resource| attributes(&resource["resource"]["attributes"]))
        .collect()
}

/// Returns the points in a request, of the resources with this `service.name`.
///
/// # Panics
///
/// Panics if the request contains something that this module does not know.
pub fn points(record: &Record, service: &str) -> Vec<Point> {
    let resources = list(&record.body()["resourceMetrics"]).filter(|resource| {
        attributes(&resource["resource"]["attributes"])
            .get("service.name")
            .is_some_and(|name| name == service)
    });
    let scopes = resources.flat_map(|resource| list(&resource["scopeMetrics"]));
    let metrics = scopes.flat_map(|scope| list(&scope["metrics"]));
    metrics.flat_map(points_of).collect()
}

/// Returns the last point of each series among those that the receiver accepted, with the exemplars
/// of all of its points: an exemplar is exported only once.
pub fn latest(records: &[Record], service: &str) -> BTreeMap<Series, Point> {
    let mut latest: BTreeMap<Series, Point> = BTreeMap::new();
    for record in records.iter().filter(|record| record.outcome() == "ok") {
        for mut point in points(record, service) {
            let known = latest.remove(&point.series());
            if let Some(mut known) = known {
                if known.time > point.time {
                    std::mem::swap(&mut known, &mut point);
                }
                known.exemplars.append(&mut point.exemplars);
                point.exemplars = known.exemplars;
            }
            latest.insert(point.series(), point);
        }
    }
    latest
}

/// Returns the samples that a page would have for these points, by OpenTelemetry's rules for
/// Prometheus. The rules are implemented here a second time, so that the library's mistakes are not
/// repeated.
///
/// # Panics
///
/// Panics if a unit is not one of those that the services here use.
pub fn samples<'a>(points: impl IntoIterator<Item = &'a Point>) -> Samples {
    let mut samples = Samples::default();
    for point in points {
        let name = page_name(point);
        let labels: BTreeMap<String, String> = point
            .attributes
            .iter()
            .map(|(name, value)| (escaped(name), value.clone()))
            .collect();
        let with = |bound: f64| {
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), bound.to_string());
            labels
        };
        match &point.value {
            Measure::Number(value) => {
                samples.put(&name, &labels, *value);
                // On a page only counters and histograms have exemplars.
                let shown = matches!(point.kind, Kind::Counter(_));
                for exemplar in point.exemplars.iter().filter(|_| shown) {
                    samples.put_exemplar(&name, &labels, exemplar.parts());
                }
            }
            Measure::Distribution {
                count,
                sum,
                bounds,
                buckets,
            } => {
                let bounds: Vec<f64> = bounds.iter().copied().chain([f64::INFINITY]).collect();
                let (bucket, mut total) = (format!("{name}_bucket"), 0);
                for (bound, count) in bounds.iter().zip(buckets) {
                    total += count;
                    samples.put(&bucket, &with(*bound), total as f64);
                }
                samples.put(&format!("{name}_count"), &labels, *count as f64);
                samples.put(&format!("{name}_sum"), &labels, *sum);
                for exemplar in &point.exemplars {
                    let bound = bounds.iter().find(|bound| exemplar.value <= **bound);
                    let bound = bound.expect("infinity is among the bounds");
                    samples.put_exemplar(&bucket, &with(*bound), exemplar.parts());
                }
            }
        }
    }
    samples
}

fn page_name(point: &Point) -> String {
    let mut name = escaped(&point.name);
    let unit = match point.unit.as_str() {
        "" | "1" => "",
        unit if unit.starts_with('{') => "",
        "s" => "_seconds",
        "By" => "_bytes",
        other => panic!("the unit {other} of {} is not known", point.name),
    };
    if !name.ends_with(unit) {
        name += unit;
    }
    if matches!(point.kind, Kind::Counter(_)) && !name.ends_with("_total") {
        name += "_total";
    }
    name
}

fn escaped(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
}

fn points_of(metric: &Value) -> Vec<Point> {
    let text = |field: &str| metric[field].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    let kinds = ["gauge", "sum", "histogram"];
    let kind = kinds.into_iter().find(|kind| !metric[*kind].is_null());
    let kind = kind.unwrap_or_else(|| panic!("the kind of {name} is not known"));
    let data = &metric[kind];
    let temporality = match data["aggregationTemporality"].as_u64() {
        Some(1) => Temporality::Delta,
        _ => Temporality::Cumulative,
    };
    let kind = match (kind, data["isMonotonic"].as_bool()) {
        ("gauge", _) => Kind::Gauge,
        ("histogram", _) => Kind::Histogram(temporality),
        (_, Some(true)) => Kind::Counter(temporality),
        _ => Kind::Sum(temporality),
    };
    list(&data["dataPoints"])
        .map(|point| Point {
            name: name.clone(),
            unit: text("unit"),
            description: text("description"),
            attributes: attributes(&point["attributes"]),
            kind,
            start: whole(&point["startTimeUnixNano"]),
            time: whole(&point["timeUnixNano"]),
            value: match kind {
                Kind::Histogram(_) => Measure::Distribution {
                    count: whole(&point["count"]),
                    sum: number(&point["sum"]).unwrap_or(f64::NAN),
                    bounds: list(&point["explicitBounds"]).filter_map(number).collect(),
                    buckets: list(&point["bucketCounts"]).map(whole).collect(),
                },
                _ => Measure::Number(value_of(point).expect("a point has a value")),
            },
            exemplars: list(&point["exemplars"])
                .map(|exemplar| Exemplar {
                    trace_id: exemplar["traceId"].as_str().unwrap_or_default().to_owned(),
                    span_id: exemplar["spanId"].as_str().unwrap_or_default().to_owned(),
                    value: value_of(exemplar).expect("an exemplar has a value"),
                    time: whole(&exemplar["timeUnixNano"]),
                })
                .collect(),
        })
        .collect()
}

fn value_of(point: &Value) -> Option<f64> {
    number(&point["asInt"]).or_else(|| number(&point["asDouble"]))
}

/// Parses a number as OTLP/JSON writes it: 64-bit integers and non-finite numbers are strings.
fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(text) => text.parse().ok(),
        None => value.as_f64(),
    }
}

pub(crate) fn whole(value: &Value) -> u64 {
    value.as_str().map_or_else(
        || value.as_u64().unwrap_or_default(),
        |text| text.parse().unwrap_or_default(),
    )
}

pub(crate) fn attributes(list_of: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| {
        let value = value.as_object().and_then(|value| value.values().next())?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    };
    list(list_of)
        .map(|entry| {
            let key = entry["key"].as_str().unwrap_or_default().to_owned();
            (key, text(&entry["value"]).unwrap_or_default())
        })
        .collect()
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
