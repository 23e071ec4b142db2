//! `barograph page check`.

use barograph::testing::TestBuilder as _;
use barograph::{Registry, Telemetry};
use serde_json::json;

use crate::harness::{File, command, run, run_command, run_with};
use crate::server::{Server, nobody, silent};

const PAGE: &str = "\
# HELP orders Orders placed.
# TYPE orders counter
orders{kind=\"web\",userId=\"7\"} 3
orders{kind=\"app\",userId=\"8\"} 4
# TYPE wait_ms gauge
wait_ms{kind=web} 5
wait_ms 1
";

#[test]
fn findings_are_named_with_their_place_and_what_was_expected() {
    let page = File::new("page.prom", PAGE);
    let run = run(&["page", "check", page.path(), "--top", "2"]);
    let expected = format!(
        "{}: Prometheus text, 2 families, 3 series, 166 B
error: line 6, column 14: found \"web}} 5\", expected a label value in double quotes [syntax]
warning: line 1: orders: expected \"orders_total\": this is a counter [counter-without-total]
warning: line 1: orders: expected another name for the label \"userId\", such as \"user_id\" [label-name]
warning: line 1: orders: expected no label \"userId\": each value makes another series; put it into an exemplar, a span or a log record [unbounded-label]
warning: line 5: wait_ms: expected values in seconds, and seconds in place of ms in the name [base-unit]
warning: line 5: wait_ms: expected a line # HELP wait_ms that says what it measures [no-help]

families with the most series
       2  orders (counter)
       1  wait_ms (gauge)

labels with the most values
       2  kind (in 1 family)
       2  userId (in 1 family)

no exemplars: only OpenMetrics has them
the page is not valid: 1 error, 5 warnings
",
        page.path()
    );
    assert_eq!((run.stdout, run.stderr.as_str()), (expected, ""));
    assert_eq!(run.code, 1);
}

#[test]
fn rules_of_conventions_can_be_left_out_and_others_cannot() {
    let page = "# HELP a a\n# TYPE a counter\na 1\n";
    let run = run_with(
        &["page", "check", "-", "--allow", "counter-without-total"],
        page,
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout
            .ends_with("\nthe page is valid, and nothing breaks a convention\n")
    );
    for rule in ["syntax", "no-such-rule"] {
        run_with(&["page", "check", "-", "--allow", rule], page).assert_unusable(&format!(
            "error: \"{rule}\" is not a rule that can be left out\n  expected one of metric-name, \
             label-name, unbounded-label, counter-without-total, total-without-counter, \
             reserved-suffix, base-unit, missing-unit, no-help, no-type, exemplar-ids\n"
        ));
    }
}

#[test]
fn every_rule_of_the_conventions_finds_what_breaks_it() {
    let head = |name: &str, kind: &str| format!("# HELP {name} h\n# TYPE {name} {kind}\n");
    let histogram = |name: &str| {
        let head = head(name, "histogram");
        format!("{head}{name}_bucket{{le=\"+Inf\"}} 1\n{name}_sum 1\n{name}_count 1\n")
    };
    for (rule, broken, fine) in [
        (
            "metric-name",
            head("orderCount", "gauge"),
            head("order_count_a", "gauge"),
        ),
        (
            "label-name",
            head("a", "gauge") + "a{orderKind=\"a\"} 1\n",
            head("a", "gauge") + "a{order_kind=\"a\"} 1\n",
        ),
        (
            "unbounded-label",
            head("a", "gauge") + "a{user_id=\"a\"} 1\n",
            head("a", "gauge") + "a{user_kind=\"a\"} 1\n",
        ),
        (
            "counter-without-total",
            head("a", "counter"),
            head("a_total", "counter"),
        ),
        (
            "total-without-counter",
            head("a_total", "gauge"),
            head("a_totals", "gauge"),
        ),
        ("reserved-suffix", head("a_count", "gauge"), histogram("a")),
        (
            "base-unit",
            head("a_milliseconds_total", "counter"),
            head("a_seconds_total", "counter"),
        ),
        (
            "base-unit",
            head("a_percent", "gauge"),
            head("a_ratio", "gauge"),
        ),
        ("base-unit", head("a_kb", "gauge"), head("a_bytes", "gauge")),
        (
            "missing-unit",
            histogram("a_duration"),
            histogram("a_duration_seconds"),
        ),
        (
            "no-help",
            "# TYPE a gauge\na 1\n".to_owned(),
            head("a", "gauge") + "a 1\n",
        ),
        (
            "no-type",
            "# HELP a b\na 1\n".to_owned(),
            head("a", "gauge") + "a 1\n",
        ),
    ] {
        let found = run_with(&["page", "check", "-", "--json"], &broken).json();
        let findings = found["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{broken}{findings:?}");
        assert_eq!(findings[0]["rule"], rule, "{broken}");
        assert_eq!(findings[0]["severity"], "warning");
        let found = run_with(&["page", "check", "-"], &fine);
        assert_eq!(found.code, 0, "{fine}{}", found.stdout);
    }
}

#[test]
fn exemplars_are_counted_and_their_ids_are_checked() {
    let page = |trace: &str, span: &str| {
        format!(
            "# HELP a h\n# TYPE a counter\n\
             a_total 1 # {{trace_id=\"{trace}\",span_id=\"{span}\"}} 1 1700000000.5\n\
             # HELP b h\n# TYPE b counter\nb_total 1\n# EOF\n"
        )
    };
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    let arguments = ["page", "check", "-", "--require-exemplars"];
    let fine = run_with(&arguments, &page(trace, span));
    assert_eq!(fine.code, 0, "{}", fine.stdout);
    let line = "\n1 exemplar, in 1 of the 2 families that may have them\n";
    assert!(fine.stdout.contains(line), "{}", fine.stdout);
    for (trace, span, id) in [
        ("0", span, "trace_id \"0\", expected 32"),
        (
            &"0".repeat(32),
            span,
            "trace_id \"00000000000000000000000000000000\", expected 32",
        ),
        (
            trace,
            "b7ad6b716920333g",
            "span_id \"b7ad6b716920333g\", expected 16",
        ),
    ] {
        let wrong = run_with(&arguments, &page(trace, span));
        let message = format!(
            "warning: line 3: a: the exemplar has the {id} hexadecimal digits, not all of them 0 [exemplar-ids]\n"
        );
        assert!(wrong.stdout.contains(&message), "{}", wrong.stdout);
        assert_eq!(wrong.code, 1);
    }
    let none = "# HELP a h\n# TYPE a counter\na_total 1\n# EOF\n";
    let none = run_with(&arguments, none);
    let message = "warning: expected exemplars: measurements in sampled traces have them [require-exemplars]\n";
    assert!(none.stdout.contains(message), "{}", none.stdout);
    assert_eq!(none.code, 1);
}

#[test]
fn the_report_as_json_has_everything() {
    let page = "# HELP a h\n# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 2\nc{\n";
    let run = run_with(&["page", "check", "-", "--json"], page);
    assert_eq!(run.code, 1);
    assert_eq!(
        run.json(),
        json!({
            "page": "-",
            "format": "text",
            "bytes": 51,
            "families": 1,
            "series": 2,
            "is_valid": false,
            "errors": 1,
            "warnings": 0,
            "findings": [{
                "severity": "error",
                "rule": "name",
                "line": 5,
                "column": 3,
                "family": "",
                "message": "expected the name of a label, [a-zA-Z_][a-zA-Z0-9_]* or quoted",
            }],
            "exemplars": { "count": 0, "families": 0, "possible_families": 0 },
            "most_series": [{ "name": "a", "type": "gauge", "series": 2 }],
            "most_values": [{ "name": "b", "values": 2, "families": 1 }],
        })
    );
}

#[test]
fn the_page_of_a_service_is_fine_in_both_formats() {
    let registry = Registry::new();
    registry
        .counter("orders")
        .with_help("Orders placed.")
        .build()
        .unwrap()
        .add(3);
    let telemetry = Telemetry::builder("shop")
        .with_environment(|_| None)
        .with_address(([127, 0, 0, 1], 0).into())
        .with_registry(registry)
        .without_subscriber()
        .without_start_line()
        .start()
        .unwrap();
    let url = format!("http://{}/metrics", telemetry.local_addr().unwrap());
    for (arguments, format, name) in [
        (&["--format", "text"][..], "text", "orders_total"),
        (&[], "openmetrics", "orders"),
    ] {
        let run = run(&[
            &["page", "check", &url, "--json", "--top", "1000"],
            arguments,
        ]
        .concat());
        let report = run.json();
        assert_eq!(run.code, 0, "{report:#}");
        assert_eq!(
            (&report["format"], &report["is_valid"]),
            (&json!(format), &json!(true))
        );
        let families = report["most_series"].as_array().unwrap();
        let orders = families
            .iter()
            .find(|family| family["name"] == name)
            .unwrap();
        assert_eq!(
            *orders,
            json!({ "name": name, "type": "counter", "series": 1 })
        );
        assert!(
            families
                .iter()
                .any(|family| family["name"] == "process_start_time_seconds")
        );
    }
    telemetry.shutdown_blocking();
}

#[test]
fn a_server_is_asked_for_the_format_and_its_content_type_is_checked() {
    let text = "# HELP a h\n# TYPE a gauge\na 1\n";
    let kind = "Content-Type: text/plain; version=0.0.4\r\n";
    let server = Server::of_page(kind, text);
    assert_eq!(run(&["page", "check", &server.url("/m?x=1")]).code, 0);
    assert_eq!(
        run(&["page", "check", &server.url("/"), "--format", "text"]).code,
        0
    );
    let heads = server.requests();
    assert!(heads[0].starts_with("GET /m?x=1 HTTP/1.1\r\n"), "{heads:?}");
    let accept = "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5\r\n";
    assert!(heads[0].to_lowercase().contains(accept), "{heads:?}");
    assert!(
        heads[1]
            .to_lowercase()
            .contains("accept: text/plain;version=0.0.4\r\n"),
        "{heads:?}"
    );

    let run = run(&["page", "check", &Server::of_page("", text).url("/")]);
    let message = "error: the page has no Content-Type, expected text/plain; version=0.0.4 or \
                   application/openmetrics-text; version=1.0.0: Prometheus 3 rejects a page without [content-type]\n";
    assert!(run.stdout.contains(message), "{}", run.stdout);
    assert_eq!(run.code, 1);

    let quoted = "# HELP \"a.b\" h\n# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n";
    let run = self::run(&["page", "check", &Server::of_page(kind, quoted).url("/")]);
    let message = "error: line 1: found a quoted name, expected none: the Content-Type \"text/plain; version=0.0.4\" \
                   does not announce them with escaping=allow-utf-8 [content-type]\n";
    assert!(run.stdout.contains(message), "{}", run.stdout);
}

#[test]
fn pages_that_cannot_be_read_are_named_with_what_to_do() {
    let missing = run(&["page", "check", "no-such-page.prom"]);
    missing.assert_unusable(
        "error: cannot read \"no-such-page.prom\": No such file or directory (os error 2)\n  \
         expected a file, a URL that begins with http://, or - for the standard input\n",
    );
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    run(&["page", "check", directory]).assert_unusable(&format!(
        "error: cannot read \"{directory}\": Is a directory (os error 21)\n"
    ));
    for url in [
        "ftp://127.0.0.1/",
        "http://",
        "http:///metrics",
        "http://a b/",
    ] {
        run(&["page", "check", url]).assert_unusable(&format!(
            "error: \"{url}\" is not a URL to read a page from\n  \
             expected http://host:port/path or https://host:port/path\n"
        ));
    }
    let url = format!("http://{}/metrics", nobody());
    run(&["page", "check", &url]).assert_unusable(&format!(
        "error: {url}: nothing listens there\n  is the service running, and is this its port? By \
         default pages are on port 9464\n"
    ));
    let (_listener, address) = silent();
    let url = format!("http://{address}/metrics");
    run(&["page", "check", &url, "--timeout", "0.2"]).assert_unusable(&format!(
        "error: {url} did not answer in time\n  --timeout SECONDS sets another limit\n"
    ));
}

#[test]
fn answers_that_are_no_pages_are_named_with_what_to_do() {
    let answer = |status: &str, headers: &str| {
        Server::start(&format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    };
    let url = answer("404 Not Found", "").url("/");
    run(&["page", "check", &url]).assert_unusable(&format!(
        "error: {url} answered with the status 404\n  by default the page is at /metrics\n"
    ));
    let url = answer("200 OK", "Content-Type: text/html\r\n").url("/");
    run(&["page", "check", &url]).assert_unusable(&format!(
        "error: {url} has the Content-Type \"text/html\"\n  expected text/plain or \
         application/openmetrics-text\n"
    ));
    let server = Server::start("SSH-2.0-OpenSSH_9.6\r\n");
    let run = run(&["page", "check", &server.url("/")]);
    let start = format!("error: {} cannot be read: ", server.url("/"));
    assert!(run.stderr.starts_with(&start), "{}", run.stderr);
    assert_eq!(run.code, 2);
}

#[test]
fn redirections_stay_on_the_host() {
    let redirect = |to: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n");
        Server::start(&format!(
            "{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    };
    for to in [
        "http://127.0.0.1:1/metrics",
        "https://{self}/metrics",
        "//127.0.0.1:1/metrics",
        "http://localhost/",
    ] {
        let server = redirect(to);
        let url = server.url("/a");
        let place = url.trim_start_matches("http://").trim_end_matches("/a");
        run(&["page", "check", &url]).assert_unusable(&format!(
            "error: {url} redirects to \"{}\", which is another place\n  give that URL if it is the \
             right one\n",
            to.replace("{self}", place)
        ));
        assert_eq!(server.requests().len(), 1);
    }
    for to in ["/metrics", "http://{self}/metrics"] {
        let server = redirect(to);
        run(&["page", "check", &server.url("/a")]).assert_unusable(&format!(
            "error: {} redirects more than 3 times\n  give the URL that it leads to\n",
            server.url("/metrics")
        ));
        let heads = server.requests();
        assert_eq!(heads.len(), 4);
        assert!(heads[3].starts_with("GET /metrics "), "{heads:?}");
    }
}

#[test]
fn what_is_too_long_is_not_read() {
    let line = "# a comment that fills the page, and that says nothing at all but this one line\n";
    let page = line.repeat((64 << 20) / line.len() + 1);
    let server = Server::of_page("Content-Type: text/plain\r\n", &page);
    let url = server.url("/");
    run(&["page", "check", &url]).assert_unusable(&format!(
        "error: the answer of {url} is longer than 64.0 MiB\n  is this the URL of a page of metrics?\n"
    ));
    run_with(&["page", "check", "-"], &page).assert_unusable(
        "error: the standard input is longer than 64.0 MiB\n  is this a page of metrics?\n",
    );
}

#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let text = "# HELP a h\n# TYPE a gauge\na 1\n";
    let server = Server::of_page("Content-Type: text/plain\r\n", text);
    let mut command = command(&["page", "check", &server.url("/")]);
    command.env("http_proxy", format!("http://{}", nobody()));
    let run = run_command(&mut command, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn names_from_a_page_do_not_reach_the_terminal_as_commands() {
    let run = run_with(
        &["page", "check", "-"],
        "{\"\x1b[31mred\",\"\u{202e}b\"=\"c\"} 1\n",
    );
    assert!(run.stdout.contains("\\u{1b}[31mred"), "{}", run.stdout);
    assert!(!run.stdout.contains(['\x1b', '\u{202e}']), "{}", run.stdout);
}
