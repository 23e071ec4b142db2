//! Checks that the receiver detects violations: each rule has a request that breaks it; and that
//! collectors forward what they receive.

use conformance::{
    ask,
    authority::Authority,
    collector::Collector,
    points::{latest, resources, samples},
    receiver::{Receiver, Record, Transport},
};
use serde_json::json;

/// A valid request with everything that the rules apply to.
const CLEAN: &str = r#"{"resourceMetrics":[{
"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
"scopeMetrics":[{"scope":{"name":"conformance","version":"1"},"metrics":[
{"name":"orders","description":"Orders.","unit":"{order}","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
{"attributes":[{"key":"kind","value":{"stringValue":"web"}}],"startTimeUnixNano":"1700000000000000000","timeUnixNano":"1700000001000000000","asInt":"3",
"exemplars":[{"timeUnixNano":"1700000000500000000","asInt":"1","spanId":"00f067aa0ba902b7","traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}]}]}},
{"name":"wait","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
{"startTimeUnixNano":"1700000000000000000","timeUnixNano":"1700000001000000000","count":"2","sum":3.5,"bucketCounts":["1","0","1"],"explicitBounds":[0.5,1],
"exemplars":[{"timeUnixNano":"1700000000500000000","asDouble":0.25,"spanId":"00f067aa0ba902b7","traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}]}]}},
{"name":"load","gauge":{"dataPoints":[{"timeUnixNano":"1700000001000000000","asDouble":0.75}]}}
]}]}]}"#;

/// The samples of a page with the same points.
const PAGE: [(&str, f64); 7] = [
    ("load", 0.75),
    ("orders_total{kind=\"web\"}", 3.0),
    ("wait_seconds_bucket{le=\"0.5\"}", 1.0),
    ("wait_seconds_bucket{le=\"1\"}", 1.0),
    ("wait_seconds_bucket{le=\"inf\"}", 2.0),
    ("wait_seconds_count", 2.0),
    ("wait_seconds_sum", 3.5),
];

#[test]
fn a_clean_request_is_read_whole() {
    let receiver = Receiver::start();
    assert_eq!(post(&receiver.endpoint(Transport::Json), "", CLEAN), 200);
    check_page(&receiver.records());
    let records = receiver.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.wrong(), Vec::<&str>::new());
    assert_eq!(record.outcome(), "ok");
    assert_eq!(
        (record.transport(), record.path()),
        ("http/json", "/v1/metrics")
    );
    assert_eq!(resources(record)[0]["service.name"], "shop");
}

#[test]
fn each_broken_rule_is_found() {
    let receiver = Receiver::start();
    let broken = [
        ("\"unit\":\"s\"", "\"units\":\"s\"", "units is not a field"),
        (
            "\"asInt\":\"3\"",
            "\"as_int\":\"3\"",
            "as_int is not a field",
        ),
        ("\"asInt\":\"3\"", "\"asInt\":3", "64-bit"),
        ("\"count\":\"2\"", "\"count\":2", "64-bit"),
        ("[\"1\",\"0\",\"1\"]", "[1,0,1]", "64-bit"),
        (
            "\"aggregationTemporality\":2,\"isM",
            "\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_CUMULATIVE\",\"isM",
            "whole number",
        ),
        (
            "\"aggregationTemporality\":2,\"isM",
            "\"isM",
            "no temporality",
        ),
        (
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "hex",
        ),
        (
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f3577b34da6",
            "16 and 8",
        ),
        ("\"asInt\":\"1\"", "\"asInt\":null", "without a value"),
        (",\"asInt\":\"3\"", "", "without a value"),
        ("\"name\":\"load\"", "\"name\":\"\"", "no name"),
        ("\"count\":\"2\"", "\"count\":\"3\"", "in its buckets"),
        ("[0.5,1]", "[0.5]", "bounds and 3 buckets"),
        ("[0.5,1]", "[1,0.5]", "do not rise"),
        ("[0.5,1]", "[1,\"Infinity\"]", "do not rise"),
        (
            "\"startTimeUnixNano\":\"1700000000000000000\",",
            "",
            "starts at 0",
        ),
        (
            "\"startTimeUnixNano\":\"17",
            "\"startTimeUnixNano\":\"18",
            "starts at 18",
        ),
        (
            "{\"timeUnixNano\":\"1700000001000000000\",\"asDouble\"",
            "{\"asDouble\"",
            "without a time",
        ),
        (
            "{\"key\":\"kind\"",
            "{\"key\":\"kind\",\"value\":{\"stringValue\":\"app\"}},{\"key\":\"kind\"",
            "the same one",
        ),
        (
            "\"gauge\":{\"dataPoints\":[{",
            "\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"1\",\"asInt\":\"1\"},{",
            "two points of one series",
        ),
        (
            ",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"1700000001000000000\",\"asDouble\":0.75}]}",
            "",
            "no data",
        ),
    ];
    receiver.check_rules("/v1/metrics", CLEAN, &broken);
    // Requests that cannot be decoded: an id in base64, and invalid JSON.
    for request in [&CLEAN.replacen("00f067aa0ba902b7", "APBnqgupArc=", 1), "{"] {
        let endpoint = receiver.endpoint(Transport::Json);
        assert_eq!(post(&endpoint, "", request), 400);
        let records = receiver.records();
        assert_eq!(records.last().expect("a record").outcome(), "unreadable");
    }
}

#[test]
fn a_case_meets_its_faults_in_turn_and_then_none() {
    let receiver = Receiver::start();
    let endpoint = receiver.endpoint(Transport::Json);
    receiver.set_faults(
        "a",
        &[
            json!({"kind": "status", "status": 503}),
            json!({"kind": "partial", "rejected": 1}),
            json!({"kind": "status", "status": 400}),
        ],
    );
    let answers = ["a", "b", "a", "a", "a"].map(|case| post(&endpoint, case, CLEAN));
    assert_eq!(answers, [503, 200, 200, 400, 200]);
    let outcomes = |case: &str| -> Vec<String> {
        let records = receiver.case(case);
        records
            .iter()
            .map(|record| record.outcome().to_owned())
            .collect()
    };
    assert_eq!(outcomes("a"), ["status", "partial", "status", "ok"]);
    assert_eq!(outcomes("b"), ["ok"]);
}

#[test]
fn a_receiver_restarts_at_the_same_address() {
    let mut receiver = Receiver::start();
    let endpoint = receiver.endpoint(Transport::Json);
    assert_eq!(post(&endpoint, "", CLEAN), 200);
    receiver.stop();
    assert_eq!(post(&endpoint, "", CLEAN), 0);
    receiver.resume();
    assert_eq!(receiver.endpoint(Transport::Json), endpoint);
    assert_eq!(post(&endpoint, "", CLEAN), 200);
    assert_eq!(receiver.records().len(), 2);
}

#[test]
fn the_collector_has_forwarded_every_request_that_it_acknowledged() {
    let receiver = Receiver::start();
    let collector = Collector::start(&Authority::new(), &receiver);
    assert_eq!(post(&collector.endpoint(Transport::Json), "", CLEAN), 200);
    check_page(&receiver.records());
}

#[track_caller]
fn check_page(records: &[Record]) {
    let page = samples(latest(records, "shop").values());
    for (series, value) in PAGE {
        assert_eq!(page.value(series), Some(value), "{series}");
    }
    assert_eq!(page.values.len(), PAGE.len(), "{page:?}");
    let of = |series: &str| {
        page.exemplars
            .get(series)
            .map(|exemplar| exemplar.0.as_str())
    };
    let trace = Some("4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(of("orders_total{kind=\"web\"}"), trace);
    assert_eq!(of("wait_seconds_bucket{le=\"0.5\"}"), trace);
    assert_eq!(page.exemplars.len(), 2);
}

fn post(endpoint: &str, case: &str, body: &str) -> u16 {
    ask::post(&format!("{endpoint}/v1/metrics"), &[("x-case", case)], body)
}
