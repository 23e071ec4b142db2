//! Spans, log records and operations.

use std::io;

use barograph::context::TraceContext;
use barograph::observe::Operation;
use barograph::span::{Attribute, SpanKind, SpanLink};
use barograph::testing::Capture;
use barograph::{SpanExt as _, assert_telemetry, current, observe};
use tracing::{debug, debug_span, error, info, info_span, warn};

fn caller() -> TraceContext {
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    TraceContext::parse_traceparent(header).unwrap()
}

#[test]
fn spans_and_log_records_are_a_tree_in_the_order_in_which_they_began() {
    let capture = Capture::new();
    capture.run(|| {
        info!(target: "shop", "started");
        let outer = info_span!(
            "order",
            otel.kind = "server",
            order.id = 7,
            ratio = 1.0,
            web = true
        );
        let inside = outer.enter();
        warn!(target: "shop", items = 2, name = "a \"b\"\n", "low stock");
        {
            let _charge = info_span!("charge").entered();
            error!(target: "shop::card", "card refused");
        }
        info_span!("mail").in_scope(|| ());
        info!(target: "shop", "done");
        drop(inside);
        drop(outer);
        info!(target: "shop", "stopped");
    });
    assert_telemetry!(
        capture,
        r#"
            log INFO shop "started" {}
            span order server {order.id=7, ratio=1.0, web=true}
              log WARN shop "low stock" {items=2, name="a \"b\"\n"}
              span charge internal error="" {}
                log ERROR shop::card "card refused" {}
              span mail internal {}
              log INFO shop "done" {}
            log INFO shop "stopped" {}
        "#
    );
    assert_eq!(capture.telemetry().lines().count(), 8);
}

#[test]
fn data_of_spans_that_tracing_has_no_fields_for_is_shown() {
    let capture = Capture::new();
    capture.run(|| {
        let span = info_span!("poll", otel.status_code = "ok");
        span.add_link(SpanLink::new(caller()));
        span.set_attribute("sizes", vec![1, 2]);
        span.add_event("cache.miss", vec![Attribute::new("key", "a")]);
        span.in_scope(|| info!(target: "shop", { event.name = "polled" }, "2 records"));
        info_span!("other").in_scope(|| ());
    });
    assert_telemetry!(
        capture,
        r#"
            span poll internal ok links=1 {sizes=[1, 2]}
              event cache.miss {key="a"}
              log INFO shop "2 records" {event.name="polled"}
            span other internal {}
        "#
    );
}

#[test]
fn a_span_that_has_not_ended_is_unfinished() {
    let capture = Capture::new();
    let span = capture.run(|| info_span!("wait", order.id = 7));
    capture.run(|| span.in_scope(|| info!(target: "shop", "waiting")));
    assert_telemetry!(
        capture,
        r#"
            span wait internal unfinished {order.id=7}
              log INFO shop "waiting" {}
        "#
    );
    drop(span);
    assert_telemetry!(
        capture,
        r#"
            span wait internal {order.id=7}
              log INFO shop "waiting" {}
        "#
    );
}

#[test]
fn ids_are_shown_on_request() {
    let capture = Capture::new().with_ids();
    capture.run(|| {
        let _caller = current::enter(caller());
        info_span!("charge").in_scope(|| info!(target: "shop", "charged"));
    });
    assert_telemetry!(
        capture,
        r#"
            span charge internal trace_id=0af7651916cd43dd8448eb211c80319c span_id=* parent_id=b7ad6b7169203331 {}
              log INFO shop "charged" trace_id=0af7651916cd43dd8448eb211c80319c span_id=* {}
        "#
    );
    let of = |line: &str| line.split("span_id=").nth(1).unwrap()[..16].to_owned();
    let ids: Vec<_> = capture.telemetry().lines().map(of).collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_trace_that_is_not_sampled_is_captured_as_well() {
    let capture = Capture::new();
    capture.run(|| {
        let caller = TraceContext::parse_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        );
        let _caller = current::enter(caller.unwrap());
        info_span!("charge").in_scope(|| ());
    });
    assert_telemetry!(capture, "span charge internal {}");
}

#[test]
fn the_filter_decides_about_spans_and_events() {
    let record = || {
        debug_span!(target: "shop", "detail").in_scope(|| debug!(target: "shop", "step"));
        info!(target: "shop::card", "paid");
        debug!(target: "other", "noise");
    };
    let usual = Capture::new();
    usual.run(record);
    assert_telemetry!(usual, r#"log INFO shop::card "paid" {}"#);
    let detailed = Capture::new().with_filter("warn,shop=debug".parse().unwrap());
    detailed.run(record);
    assert_telemetry!(
        detailed,
        r#"
            span detail internal {}
              log DEBUG shop "step" {}
            log INFO shop::card "paid" {}
        "#
    );
}

#[test]
fn secrets_are_redacted_as_in_a_service() {
    let capture = Capture::new();
    capture.run(|| info!(target: "shop", password = "hunter2", "signed in"));
    assert_telemetry!(
        capture,
        r#"log INFO shop "signed in" {password="REDACTED"}"#
    );
}

#[observe(service = "orders")]
fn load(id: u32) -> Result<u32, io::Error> {
    match id {
        0 => Err(io::Error::new(io::ErrorKind::NotFound, "no order")),
        id => Ok(id),
    }
}

#[test]
fn operations_are_captured_however_often_they_ran_before() {
    load(1).unwrap();
    for _ in 0..2 {
        let capture = Capture::new();
        capture.run(|| {
            load(1).unwrap();
            load(2).unwrap();
            load(0).unwrap_err();
            let refund = Operation::new("payments", "refund").with_kind(SpanKind::Client);
            refund.run_sync(|| ());
        });
        assert_telemetry!(
            capture,
            r#"
                histogram operation.duration{error.type="NotFound", operation.name="load", operation.service="orders"} count=1 sum=0 unit=s
                histogram operation.duration{operation.name="load", operation.service="orders"} count=2 sum=0 unit=s
                histogram operation.duration{operation.name="refund", operation.service="payments"} count=1 sum=0 unit=s
                counter operation.errors{error.type="NotFound", operation.name="load", operation.service="orders"} 1 unit={error}
                span orders/load internal {operation.name="load", operation.service="orders"}
                span orders/load internal {operation.name="load", operation.service="orders"}
                span orders/load internal error="no order" {error.type="NotFound", operation.name="load", operation.service="orders"}
                  log ERROR barograph::observe "orders/load failed" {error="no order", ..}
                span payments/refund client {operation.name="refund", operation.service="payments"}
            "#
        );
    }
}

#[test]
fn more_spans_than_a_queue_holds_are_all_there() {
    let capture = Capture::new();
    capture.run(|| {
        for number in 0..10_000 {
            info_span!("many", number).in_scope(|| info!(target: "shop", "one"));
        }
    });
    let text = capture.telemetry();
    assert_eq!(text.lines().count(), 20_000);
    assert_eq!(
        text.lines().nth(19_998),
        Some("span many internal {number=9999}")
    );
    assert_telemetry!(
        capture,
        r#"
            span many internal {number=0}
              log INFO shop "one" {}
            ..
            span many internal {number=9999}
              log INFO shop "one" {}
        "#
    );
}
