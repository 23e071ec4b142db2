//! Checks that the page checkers detect violations: each rule has a page that breaks it.

use conformance::page::{openmetrics, promtool};

/// A valid page with everything that the rules apply to.
const CLEAN: &str = r#"# TYPE orders counter
# HELP orders Orders \"placed\".
orders_total{kind="web"} 3.0 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 1.0 1700000000.5
orders_created{kind="web"} 1700000000.25
orders_total{kind="a\\b\n\"c\""} 0.0
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds Time.
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="1.0"} 1 # {trace_id="ab"} 0.75
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 3.5
wait_seconds_count 2
# TYPE load gauge
load NaN
# TYPE "http.active" gauge
{"http.active","http.route"="/orders/{id}"} 4
# EOF
"#;

#[test]
fn a_clean_page_passes() {
    assert_eq!(openmetrics(CLEAN), Ok(()));
}

#[test]
fn each_broken_rule_is_found() {
    let broken = [
        // (the text to replace in the valid page, its replacement, a word of the verdict)
        ("# EOF\n", "", "# EOF"),
        ("# EOF\n", "# EOF", "not ended"),
        ("load NaN", "load  NaN", "canonical"),
        ("load NaN", "load nan", "canonical"),
        ("load NaN", "load{} NaN\n\nload{a=\"b\"} 1", "canonical"),
        ("kind=\"web\"} 3.0", "kind=\"web\",} 3.0", "canonical"),
        ("{kind=\"web\"} 3.0", "{kind=\"web\"} -3.0", "Counter"),
        ("load NaN", "load 1\nload 1", "twice"),
        (
            "load NaN",
            "load{a=\"1\",b=\"2\"} 1\nload{b=\"2\",a=\"1\"} 1",
            "twice",
        ),
        (
            "orders_total{kind=\"a\\\\b\\n\\\"c\\\"\"}",
            "orders_total{kind=\"web\"}",
            "twice",
        ),
        ("orders_total{kind=\"a", "orders{kind=\"a", "orders"),
        (
            "# UNIT wait_seconds seconds",
            "# UNIT wait_seconds bytes",
            "nit",
        ),
        ("le=\"1.0\"} 1 ", "le=\"1.0\"} 0 ", "Bucket values"),
        ("le=\"0.5\"", "le=\"2.5\"", "Buckets out"),
        ("le=\"1.0\"", "le=\"7\"", "float"),
        ("wait_seconds_bucket{le=\"+Inf\"} 2\n", "", "+Inf"),
        ("wait_seconds_count 2", "wait_seconds_count 3", "Count does"),
        ("# HELP orders", "# HELP orders A.\n# HELP orders", "HELP"),
        ("load NaN\n", "load NaN\n# HELP load Late.\n", "load"),
        (
            "load NaN",
            "load NaN\n# TYPE orders gauge\norders 1",
            "lash",
        ),
        (
            "TYPE load gauge\nload NaN",
            "TYPE orders_created gauge\norders_created 1",
            "lash",
        ),
        ("load NaN", "load 1 # {trace_id=\"ab\"} 1", "xemplar"),
        (
            "trace_id=\"ab\"",
            &format!("trace_id=\"{}\"", "a".repeat(121)),
            "xemplar",
        ),
    ];
    for (taken, put, word) in broken {
        let page = CLEAN.replacen(taken, put, 1);
        assert_ne!(page, CLEAN, "{taken} is not on the clean page");
        let verdict = openmetrics(&page).expect_err(&format!("nobody minds {put}"));
        assert!(
            verdict.contains(word),
            "{put}: no word of {word} in {verdict}"
        );
    }
}

#[test]
fn promtool_passes_a_clean_page_and_finds_a_broken_one() {
    let page = "# HELP orders_total Orders placed.\n# TYPE orders_total counter\norders_total 3\n";
    assert_eq!(promtool(page), Ok(()));
    for (broken, word) in [
        (page.replace("orders_total", "orders"), "_total"),
        (
            page.replace("# HELP orders_total Orders placed.\n", ""),
            "help",
        ),
        (
            page.replace("orders_total 3", "orders_total three"),
            "three",
        ),
        (
            page.replace("orders_total 3", "orders_total 3\norders_total 3"),
            "not unique",
        ),
    ] {
        let verdict = promtool(&broken).expect_err("promtool has something to say");
        assert!(verdict.contains(word), "no word of {word} in {verdict}");
    }
}
