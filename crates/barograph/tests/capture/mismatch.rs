//! Telemetry that is not as expected: each kind of difference is found, and shown.

use std::cell::Cell;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use barograph::span::{AnyValue, Attribute};
use barograph::testing::{Capture, Mismatch, Rule};
use barograph::{SpanExt as _, assert_telemetry, counter, gauge, histogram};
use tracing::{error, info, info_span};

fn shop() -> Capture {
    let capture = Capture::new();
    capture.run(|| {
        counter!("orders", kind = "web", region = "eu").inc();
        histogram!("order.size").observe(2.5);
        info_span!("order", otel.kind = "server", order.id = 7).in_scope(|| {
            info_span!("charge").in_scope(|| error!(target: "shop", order = 7, "card refused"));
            info!(target: "shop", "order read");
        });
    });
    capture
}

const SHOP: &str = r#"
    histogram order.size{} count=1 sum=2.5
    counter orders{kind="web", region="eu"} 1
    span order server {order.id=7}
      span charge internal error="" {}
        log ERROR shop "card refused" {order=7}
      log INFO shop "order read" {}
"#;

#[test]
fn the_text_that_is_recorded_is_accepted() {
    let capture = shop();
    assert_telemetry!(capture, SHOP);
    assert_telemetry!(capture, &capture.telemetry());
    assert_eq!(capture.check(SHOP), Ok(()));
    assert_telemetry!(&capture, "..",);
}

#[test]
fn the_text_of_any_names_and_values_is_accepted() {
    const ANY: [&str; 9] = [
        "*",
        "..",
        "a b",
        "}, b={",
        "\"",
        "\\",
        "\n",
        " é ",
        "a=\"1\", ..",
    ];
    let capture = Capture::new();
    capture.run(|| {
        for text in ANY {
            let name = format!("x{}", text.replace('\n', ""));
            let counter = capture.registry().counter(&name).with_unit(text);
            let counter = counter.build_with_any_labels().unwrap();
            counter.with(&[("key", text)]).inc();
            let span = info_span!("any", otel.name = text);
            span.set_attribute(text, text);
            span.add_event(text, Vec::new());
            let other = AnyValue::Map([Attribute::new(text, text)].into());
            span.set_attribute("map", other);
            span.in_scope(|| error!(text, "{text}"));
        }
    });
    let text = capture.telemetry();
    assert_eq!(text.lines().count(), 4 * ANY.len());
    assert_telemetry!(capture, &text);
}

/// Each is an edit of the accepted text.
#[test]
fn each_kind_of_difference_is_found() {
    let capture = shop();
    for (accepted, wrong) in [
        // A value, a label, a name, a kind, a unit.
        ("eu\"} 1", "eu\"} 2"),
        ("eu\"} 1", "eu\"} 1.0"),
        ("count=1", "count=2"),
        ("sum=2.5", "sum=2.50"),
        ("sum=2.5", "sum=2.5 unit=s"),
        ("kind=\"web\"", "kind=\"app\""),
        ("kind=\"web\"", "kind=web"),
        ("kind=\"web\", ", ""),
        ("kind=\"web\"", "sort=\"web\""),
        ("region=\"eu\"", "region=\"eu\", zone=\"a\""),
        ("counter orders", "counter order"),
        ("counter orders", "gauge orders"),
        ("histogram", "counter"),
        // A span: its name, its kind, its status, its attributes.
        ("span charge", "span refund"),
        ("order server", "order client"),
        ("internal error=\"\"", "internal"),
        ("internal error=\"\"", "internal error=\"refused\""),
        ("server {", "server ok {"),
        ("server {", "server unfinished {"),
        ("{order.id=7}", "{}"),
        ("{order.id=7}", "{order.id=\"7\"}"),
        ("{order.id=7}", "{order.id=7.0}"),
        // A log record: its level, target, message, fields.
        ("log ERROR", "log WARN"),
        ("ERROR shop", "ERROR shop::card"),
        ("card refused", "card accepted"),
        ("{order=7}", "{}"),
        ("{order=7}", "{order=7, item=1}"),
        // The tree.
        ("  span charge", "span charge"),
        ("    log ERROR", "  log ERROR"),
        ("  log INFO", "    log INFO"),
        ("  log INFO", "log INFO"),
        // Lines that are missing, or there twice, or in another order.
        ("      log INFO shop \"order read\" {}\n", ""),
        ("    histogram order.size{} count=1 sum=2.5\n", ""),
        ("counter orders", "counter more{} 1\n    counter orders"),
        (
            "  log INFO",
            "  log INFO shop \"order read\" {}\n      log INFO",
        ),
        (
            "histogram order.size{} count=1 sum=2.5\n    counter orders{kind=\"web\", region=\"eu\"} 1",
            "counter orders{kind=\"web\", region=\"eu\"} 1\n    histogram order.size{} count=1 sum=2.5",
        ),
        // Open parts that are too narrow.
        ("{kind=\"web\", region=\"eu\"}", "{kind=\"app\", ..}"),
        ("{kind=\"web\", region=\"eu\"}", "{kind=*}"),
        ("{kind=\"web\", region=\"eu\"}", "{.., kind=*}"),
        (
            "span order server {order.id=7}",
            "..\n    span order client {..}",
        ),
    ] {
        let text = SHOP.replacen(accepted, wrong, 1);
        assert_ne!(text, SHOP, "{accepted}");
        assert!(capture.check(&text).is_err(), "{wrong}");
    }
    for text in ["", "\n\n", "counter orders{..} 1"] {
        assert!(capture.check(text).is_err(), "{text}");
    }
}

#[test]
fn open_parts_stand_for_whatever_was_recorded() {
    let capture = shop();
    for text in [
        "..",
        "histogram order.size{} count=* sum=*\n..",
        "..\ncounter orders{kind=*, region=\"eu\"} *\n..",
        "..\ncounter orders{region=*, kind=\"web\"} 1\n..",
        "..\nspan order server {..}\n  ..",
        "..\nspan order server {order.id=*}\n  span charge internal error=* {}\n    ..\n  log INFO * * {}",
        "..\nspan order server {order.id=7, ..}\n  ..\n  log INFO shop \"order read\" {..}",
    ] {
        assert_eq!(capture.check(text), Ok(()), "{text}");
    }
}

/// Runs a function that panics. Returns the message and the line.
fn panic_of(function: impl FnOnce()) -> (String, u32) {
    static HOOK: Once = Once::new();
    thread_local! {
        static LINE: Cell<u32> = const { Cell::new(0) };
    }
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            LINE.set(info.location().map_or(0, |at| at.line()));
            before(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(function)).unwrap_err();
    (
        payload.downcast_ref::<String>().unwrap().clone(),
        LINE.get(),
    )
}

#[test]
fn the_panic_shows_the_difference_at_the_line_of_the_macro() {
    let capture = shop();
    let before = line!();
    let (message, line) = panic_of(|| {
        assert_telemetry!(
            capture,
            r#"
                histogram order.size{} count=* sum=*
                counter orders{kind="web", ..} 2
                span order server {..}
                  span charge internal {}
                    ..
                  log INFO shop "order read" {}
                log INFO shop "stopped" {}
            "#
        );
    });
    let expected = r#"telemetry differs (- expected, + recorded):

 histogram order.size{} count=* sum=*
-counter orders{kind="web", ..} 2
+counter orders{kind="web", region="eu"} 1
 span order server {..}
-  span charge internal {}
+  span charge internal error="" {}
     ..
   log INFO shop "order read" {}
-log INFO shop "stopped" {}

to accept what was recorded, remove the lines with - from the expected text and insert those with +"#;
    assert_eq!(message, expected);
    assert_eq!(line, before + 2);
}

#[test]
fn the_error_is_that_of_a_function_too() {
    let capture = Capture::new();
    capture.run(|| gauge!("heat").set(1.0));
    let run = || -> Result<(), Box<dyn Error>> { Ok(capture.check("")?) };
    let error = run().unwrap_err();
    assert!(error.is::<Mismatch>());
    let text = error.to_string();
    assert!(text.contains("\n\n+gauge heat{} 1\n\nto accept"), "{text}");
    assert_eq!(format!("{error:?}"), text);
}

#[test]
fn names_that_break_the_conventions_fail_at_the_line_of_the_assertion() {
    let capture = Capture::new();
    capture.run(|| counter!("orders_total", Kind = "web").inc());
    let (message, line) = panic_of(|| capture.assert_conventions());
    assert_eq!(line, line!() - 1);
    let expected = "metrics do not follow the naming conventions:\n  \
        \"orders_total\": the name of a sum ends in `total`, expected \"orders\"\n  \
        \"orders_total\": the name of a label has other characters than a-z, 0-9, `.` and `_`: \
        \"Kind\", expected \"kind\"";
    assert_eq!(message, expected);
    let rules: Vec<_> = capture
        .check_conventions()
        .iter()
        .map(|it| it.rule)
        .collect();
    assert_eq!(rules, [Rule::TotalInName, Rule::LabelName]);
}
