//! `barograph page diff`.

use serde_json::json;

use crate::harness::{File, run, run_with};

/// Returns the differences of two pages, without the lines about the pages and the last line.
#[track_caller]
fn differences(before: &str, after: &str, arguments: &[&str]) -> String {
    let pages = [File::new("before", before), File::new("after", after)];
    let paths = ["page", "diff", pages[0].path(), pages[1].path()];
    let run = run(&[&paths, arguments].concat());
    assert_eq!(run.stderr, "");
    let mut lines: Vec<&str> = run.stdout.lines().skip(2).collect();
    let last = lines.pop().unwrap();
    let count = lines.iter().filter(|line| !line.starts_with(' ')).count();
    let (verdict, code) = match count {
        0 => ("no differences".to_owned(), 0),
        1 => ("1 difference".to_owned(), 1),
        _ => (format!("{count} differences"), 1),
    };
    assert_eq!((last, run.code), (&*verdict, code));
    lines.join("\n")
}

const TEXT: &str = "\
# HELP orders_total Orders placed.
# TYPE orders_total counter
orders_total{kind=\"web\"} 3
# HELP build_info What was built.
# TYPE build_info gauge
build_info{version=\"1\"} 1
# TYPE wait_seconds histogram
wait_seconds_bucket{le=\"1\"} 1
wait_seconds_bucket{le=\"+Inf\"} 2
wait_seconds_sum 5.5
wait_seconds_count 2
# TYPE load gauge
load NaN
# TYPE orders_created gauge
orders_created{kind=\"web\"} 1700000000
";

const OPEN_METRICS: &str = "\
# TYPE load gauge
load NaN
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"0a\"} 0.5
wait_seconds_bucket{le=\"+Inf\"} 2
wait_seconds_count 2
wait_seconds_sum 5.5
wait_seconds_created 1700000001
# TYPE build info
build_info{version=\"1\",other=\"\"} 1
# TYPE orders counter
orders_total{kind=\"web\"} 3
orders_created{kind=\"web\"} 1700000001
# EOF
";

#[test]
fn the_same_metrics_in_two_formats_are_no_difference() {
    assert_eq!(differences(TEXT, OPEN_METRICS, &[]), "");
    assert_eq!(differences(OPEN_METRICS, TEXT, &[]), "");
    assert_eq!(differences("", "", &[]), "");
}

#[test]
fn each_kind_of_difference_is_named() {
    let before = "\
# TYPE gone gauge
gone 5
# TYPE queue counter
queue 1
# TYPE requests_total counter
requests_total{user=\"1\",code=\"200\"} 1
requests_total{user=\"2\",code=\"500\"} 2
# TYPE up gauge
up{job=\"a\"} 1
up{job=\"b\"} 1
up{job=\"c\"} 0.5
";
    let after = "\
# TYPE up gauge
up{job=\"b\"} 1
up{job=\"c\"} 0.25
up{job=\"d\"} 1
# TYPE queue gauge
queue 1
# TYPE requests_total counter
requests_total{code=\"200\",zone=\"x\"} 1
requests_total{code=\"500\",zone=\"y\"} 3
# TYPE fresh gauge
fresh{a=\"b\"} 6
";
    let expected = "\
missing  gone: gauge, 1 series
type     queue: counter -> gauge
labels   requests_total: without user, with zone
series   up: 1 missing, 1 added
           - up{job=\"a\"} 1
           + up{job=\"d\"} 1
value    requests_total: 1 series has another value
           requests_total{code=\"500\",user=\"2\"}: 2 -> 3
value    up: 1 series has another value
           up{job=\"c\"}: 0.5 -> 0.25
added    fresh: gauge, 1 series";
    assert_eq!(differences(before, after, &[]), expected);
}

#[test]
fn a_family_with_another_name_is_compared_under_it() {
    let before = "\
# TYPE http_server_duration_seconds histogram
http_server_duration_seconds_bucket{http_route=\"/\",le=\"+Inf\"} 3
http_server_duration_seconds_sum{http_route=\"/\"} 1.5
http_server_duration_seconds_count{http_route=\"/\"} 3
# TYPE orders counter
orders{kind=\"a\"} 17
orders{kind=\"b\"} 18
# TYPE sales gauge
sales{kind=\"a\"} 7
# TYPE flag gauge
flag 1
";
    let after = "\
# TYPE \"http.server.duration\" histogram
{\"http.server.duration_bucket\",\"http.route\"=\"/\",le=\"+Inf\"} 3
{\"http.server.duration_sum\",\"http.route\"=\"/\"} 2.5
{\"http.server.duration_count\",\"http.route\"=\"/\"} 3
# TYPE orders_total counter
orders_total{kind=\"a\"} 17
orders_total{kind=\"b\"} 18
# TYPE turnover gauge
turnover{kind=\"a\"} 7
# TYPE switch gauge
switch 1
";
    let expected = "\
missing  flag: gauge, 1 series
renamed  http_server_duration_seconds: http.server.duration, by the rules for suffixes and escapes
renamed  orders: orders_total, by the rules for suffixes and escapes
renamed  sales: turnover, which has the same labels and values
labels   http_server_duration_seconds: http_route -> http.route
value    http_server_duration_seconds: 1 series has another value
           http_server_duration_seconds_sum{http_route=\"/\"}: 1.5 -> 2.5
added    switch: gauge, 1 series";
    assert_eq!(differences(before, after, &[]), expected);
}

#[test]
fn a_family_that_could_be_two_others_is_not_renamed() {
    let before = "# TYPE a gauge\na 5\n";
    let after = "# TYPE b gauge\nb 5\n# TYPE c gauge\nc 5\n";
    let expected =
        "missing  a: gauge, 1 series\nadded    b: gauge, 1 series\nadded    c: gauge, 1 series";
    assert_eq!(differences(before, after, &[]), expected);
    let before = "# TYPE x_seconds gauge\nx_seconds 5\n# TYPE x_bytes gauge\nx_bytes 6\n";
    let after = "# TYPE x gauge\nx 7\n";
    let expected = "missing  x_seconds: gauge, 1 series\nmissing  x_bytes: gauge, 1 series\nadded    x: gauge, 1 series";
    assert_eq!(differences(before, after, &[]), expected);
}

#[test]
fn values_may_differ_by_the_tolerance() {
    let page = |value: &str| format!("# TYPE a gauge\na {value}\n");
    for (before, after, tolerance, is_same) in [
        ("100", "101", "1%", true),
        ("100", "102", "1%", false),
        ("-100", "-101", "1%", true),
        ("0", "0.5", "0.5", true),
        ("0", "0.6", "0.5", false),
        ("0", "0.000001", "99%", false),
        ("0", "1", "100%", true),
        ("NaN", "NaN", "0", true),
        ("NaN", "1", "1000%", false),
        ("+Inf", "+Inf", "0", true),
        ("+Inf", "-Inf", "1000%", false),
        ("+Inf", "1", "1000%", false),
    ] {
        let found = differences(&page(before), &page(after), &["--tolerance", tolerance]);
        assert_eq!(found.is_empty(), is_same, "{before} {after} {tolerance}");
    }
    assert_eq!(
        differences(&page("1"), &page("2"), &["--ignore-values"]),
        ""
    );
    for wrong in ["-1", "x", "%", "NaN", "inf"] {
        let run = run(&["page", "diff", "a", "b", &format!("--tolerance={wrong}")]);
        let expected = "expected a number from 0, or a percentage such as 1%";
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert_eq!(run.code, 2);
    }
}

#[test]
fn families_can_be_left_out_and_long_lists_end() {
    let before = "# TYPE process_a gauge\nprocess_a 1\n# TYPE b gauge\n";
    let series: String = (0..9).map(|n| format!("b{{n=\"{n}\"}} 1\n")).collect();
    let found = differences(
        before,
        &format!("# TYPE b gauge\n{series}"),
        &["--ignore", "process_*"],
    );
    let expected = "\
series   b: 9 added
           + b{n=\"0\"} 1
           + b{n=\"1\"} 1
           + b{n=\"2\"} 1
           + b{n=\"3\"} 1
           + b{n=\"4\"} 1
           4 more series are listed with --json";
    assert_eq!(found, expected);
}

#[test]
fn labels_that_cannot_be_mapped_leave_the_values_uncompared() {
    let before = "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n";
    let after = "# TYPE a gauge\na{y=\"1\"} 1\na{y=\"2\"} 2\n";
    let expected = "labels   a: without x, with y; too many changed for the values to be compared";
    assert_eq!(differences(before, after, &[]), expected);
}

#[test]
fn a_page_that_is_not_valid_is_a_difference() {
    let page = File::new("page", "# TYPE a gauge\na 1\n");
    let run = run_with(
        &["page", "diff", "-", page.path()],
        "# TYPE a gauge\na 1\na{\n",
    );
    let expected = format!(
        "- -: 1 family, 1 series
+ {}: 1 family, 1 series
invalid  -: 1 error, the first in line 3, column 3: expected the name of a label, [a-zA-Z_][a-zA-Z0-9_]* or quoted; barograph page check lists all of them
1 difference
",
        page.path()
    );
    assert_eq!((run.stdout, run.code), (expected, 1));
}

#[test]
fn the_report_as_json_has_every_series() {
    let page = File::new("page", "# TYPE a gauge\na{b=\"c\"} NaN\n");
    let input = "# TYPE a gauge\na{b=\"c\"} 1\n";
    let run = run_with(&["page", "diff", "-", page.path(), "--json"], input);
    assert_eq!(run.code, 1);
    assert_eq!(
        run.json(),
        json!({
            "pages": [
                { "page": "-", "families": 1, "series": 1 },
                { "page": page.path(), "families": 1, "series": 1 },
            ],
            "is_same": false,
            "differences": [{
                "kind": "value",
                "family": "a",
                "message": "1 series has another value",
                "series": [{ "series": "a{b=\"c\"}", "before": 1.0, "after": "NaN" }],
            }],
        })
    );
}

#[test]
fn pages_that_cannot_be_compared_are_named() {
    run(&["page", "diff", "-", "-"]).assert_unusable(
        "error: both pages are to come from the standard input\n  expected a file or a URL as one of \
         them\n",
    );
    let page = File::new("page", "");
    let run = run(&["page", "diff", page.path(), "no-such-page"]);
    assert!(
        run.stderr
            .starts_with("error: cannot read \"no-such-page\": "),
        "{}",
        run.stderr
    );
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}
