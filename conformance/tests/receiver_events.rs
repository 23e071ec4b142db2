//! Checks that the receiver detects violations in spans and log records: each rule has a request
//! that breaks it.

use conformance::{
    ask,
    events::{log_records, spans},
    receiver::{Receiver, Transport},
};

/// A valid request with everything that the rules apply to.
const SPANS: &str = r#"{"resourceSpans":[{
"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
"scopeSpans":[{"scope":{"name":"conformance","version":"1"},"spans":[
{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"00f067aa0ba902b8",
"traceState":"a=b,c@d=e","flags":769,"name":"GET","kind":2,
"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000009",
"attributes":[{"key":"map","value":{"kvlistValue":{"values":[{"key":"inner","value":{"intValue":"1"}}]}}}],
"events":[{"timeUnixNano":"1700000000000000005","name":"miss"},{"timeUnixNano":"1700000000000000006","name":"hit"}],
"links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4737","spanId":"00f067aa0ba902b9","flags":257}],
"status":{"code":2,"message":"no stock"}}
]}]}]}"#;

const RECORDS: &str = r#"{"resourceLogs":[{
"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
"scopeLogs":[{"scope":{"name":"conformance"},"logRecords":[
{"timeUnixNano":"1700000000000000000","observedTimeUnixNano":"1700000000000000001",
"severityNumber":9,"severityText":"INFO","body":{"stringValue":"read"},
"attributes":[{"key":"id","value":{"intValue":"7"}}],
"flags":1,"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}
]}]}]}"#;

#[test]
fn clean_requests_are_read_whole() {
    let receiver = Receiver::start();
    for (path, request) in [("/v1/traces", SPANS), ("/v1/logs", RECORDS)] {
        let url = format!("{}{path}", receiver.endpoint(Transport::Json));
        assert_eq!(ask::post(&url, &[], request), 200);
    }
    let records = receiver.records();
    for record in &records {
        assert_eq!(record.wrong(), Vec::<&str>::new());
    }
    let ids = |trace: &str, span: &str| (trace.to_owned(), span.to_owned());
    let own = ids("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let spans = spans(&records, "shop");
    assert_eq!(spans.len(), 1);
    assert_eq!((&spans[0].ids, &*spans[0].name), (&own, "GET"));
    assert_eq!((spans[0].kind, spans[0].flags), (2, 769));
    assert_eq!(spans[0].events[1].name, "hit");
    let other = ids("4bf92f3577b34da6a3ce929d0e0e4737", "00f067aa0ba902b9");
    assert_eq!(spans[0].links[0].ids, other);
    assert_eq!(spans[0].status, (2, "no stock".to_owned()));
    let said = log_records(&records, "shop");
    assert_eq!((said.len(), &said[0].ids), (1, &own));
    assert_eq!(said[0].severity, (9, "INFO".to_owned()));
    assert!(log_records(&records, "another").is_empty());
}

#[test]
fn each_broken_rule_of_spans_is_found() {
    let start = SPANS.find("{\"traceId").expect("a span");
    let span = SPANS[start..].trim_end_matches("\n]}]}]}");
    let twice = format!("\"spans\":[{span},");
    Receiver::start().check_rules(
        "/v1/traces",
        SPANS,
        &[
            ("\"kind\":2", "\"kinds\":2", "kinds is not a field"),
            (
                "\"kind\":2",
                "\"kind\":\"SPAN_KIND_SERVER\"",
                "whole number",
            ),
            ("\"kind\":2", "\"kind\":0", "of the kind 0"),
            ("\"kind\":2", "\"kind\":6", "of the kind 6"),
            (
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "4BF92F3577B34DA6A3CE929D0E0E4736",
                "digits in hex",
            ),
            (
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "00000000000000000000000000000000",
                "the trace id",
            ),
            (
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "4bf92f3577b34da6",
                "the trace id",
            ),
            ("00f067aa0ba902b7", "0000000000000000", "the span id"),
            ("\"spanId\":\"00f067aa0ba902b7\",", "", "the span id"),
            ("00f067aa0ba902b8", "0000000000000000", "the parent"),
            ("00f067aa0ba902b8", "00f067aa0ba902b7", "the parent"),
            (
                "\"parentSpanId\":\"00f067aa0ba902b8\",",
                "",
                "a remote parent and none",
            ),
            ("\"flags\":769", "\"flags\":1025", "the flags 0x401"),
            ("\"flags\":769", "\"flags\":513", "nobody knows"),
            ("a=b,c@d=e", "a=b,a=e", "the tracestate"),
            ("a=b,c@d=e", "A=b", "the tracestate"),
            ("a=b,c@d=e", "a=b, c=d", "the tracestate"),
            ("\"name\":\"GET\"", "\"name\":\"\"", "no name"),
            ("\"1700000000000000000\"", "\"0\"", "is from 0"),
            ("\"1700000000000000000\"", "1700000000000000000", "64-bit"),
            (
                "\"1700000000000000009\"",
                "\"1699999999999999999\"",
                "to 1699999999999999999",
            ),
            (
                "\"1700000000000000005\"",
                "\"1700000000000000007\"",
                "out of turn",
            ),
            (
                "\"1700000000000000006\"",
                "\"1700000000000000019\"",
                "out of turn",
            ),
            ("\"1700000000000000005\"", "\"0\"", "out of turn"),
            (
                "\"name\":\"miss\"",
                "\"name\":\"\"",
                "an event without a name",
            ),
            (
                "4bf92f3577b34da6a3ce929d0e0e4737",
                "00000000000000000000000000000000",
                "a link of",
            ),
            ("\"spanId\":\"00f067aa0ba902b9\",", "", "a link of"),
            ("\"flags\":257", "\"flags\":4", "a link of"),
            ("\"code\":2", "\"code\":1", "has not failed and says why"),
            ("\"code\":2", "\"code\":3", "the status 3"),
            ("\"key\":\"inner\"", "\"key\":\"\"", "without a key"),
            (
                "{\"key\":\"inner\"",
                "{\"key\":\"inner\",\"value\":{\"intValue\":\"2\"}},{\"key\":\"inner\"",
                "the same one",
            ),
            (
                "\"key\":\"service.name\"",
                "\"key\":\"service\"",
                "no service.name",
            ),
            (
                "\"scopeSpans\":[",
                "\"scopeSpans\":[{\"scope\":{\"name\":\"conformance\",\"version\":\"1\"}},",
                "is there twice",
            ),
            (
                "\"scopeSpans\":[",
                "\"scopeSpans\":[{\"scope\":{\"name\":\"empty\"}},",
                "has no spans",
            ),
            ("\"spans\":[", &twice, "b7 is there twice"),
        ],
    );
}

#[test]
fn each_broken_rule_of_log_records_is_found() {
    Receiver::start().check_rules(
        "/v1/logs",
        RECORDS,
        &[
            ("\"body\"", "\"Body\"", "Body is not a field"),
            (
                "\"severityNumber\":9",
                "\"severityNumber\":25",
                "the severity 25",
            ),
            (
                "\"severityNumber\":9",
                "\"severityNumber\":\"SEVERITY_NUMBER_INFO\"",
                "whole number",
            ),
            (
                "\"observedTimeUnixNano\":\"1700000000000000001\",",
                "",
                "never seen",
            ),
            (
                "\"1700000000000000000\"",
                "\"1700000000000000009\"",
                "seen before it was",
            ),
            (
                "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",",
                "",
                "the trace id",
            ),
            (",\"spanId\":\"00f067aa0ba902b7\"", "", "the span id"),
            ("00f067aa0ba902b7", "0000000000000000", "the span id"),
            ("\"flags\":1", "\"flags\":257", "the flags 0x101"),
            (
                ",\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\"",
                "",
                "flags of no trace",
            ),
            (
                "{\"key\":\"id\"",
                "{\"key\":\"id\",\"value\":{}},{\"key\":\"id\"",
                "the same one",
            ),
            (
                "\"body\":{\"stringValue\":\"read\"},\n\"attributes\":[{\"key\":\"id\",\"value\":{\"intValue\":\"7\"}}],\n",
                "",
                "says nothing",
            ),
            (
                "{\"stringValue\":\"read\"}",
                "{\"kvlistValue\":{\"values\":[{\"value\":{}}]}}",
                "without a key",
            ),
            (
                "\"scopeLogs\":[",
                "\"scopeLogs\":[{\"scope\":{\"name\":\"empty\"}},",
                "no log records",
            ),
        ],
    );
}
