//! The output and the exports of a process from `init` to its end. Each test has two processes: this
//! one, which observes, and a child that runs the test of the same name.
#![cfg(feature = "otlp")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "others look for more in it")]
#[path = "../receiver/mod.rs"]
mod receiver;

mod exit;
mod limits;
#[cfg(unix)]
mod fork;
mod pushing;

use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::export::Push;
use barograph::export::Request;
use barograph::export::{Outcome, Target, Transport};
use serde_json::Value;
use tracing::{info, info_span};

use receiver::{Behavior, Receiver};

/// The variable that makes this process the child.
const LOOKED_AT: &str = "BAROGRAPH_TEST_IS_LOOKED_AT";

/// Printed by a child that has reached its end.
const WELL: &str = "ALL IS WELL";

/// The output of a process.
struct Seen {
    out: String,
    err: String,
}

/// Runs a test of this file in a child process with these variables; None in the child itself.
fn look(test: &str, variables: &[(&str, &str)]) -> Option<Seen> {
    let output = command(test, variables)?.output().unwrap();
    let seen = Seen {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    Some(seen)
}

/// Returns the command that runs a test in a child process with these variables; None in the child
/// itself.
fn command(test: &str, variables: &[(&str, &str)]) -> Option<Command> {
    if std::env::var_os(LOOKED_AT).is_some() {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(LOOKED_AT, "1")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
        .env_remove("RUST_LOG")
        .envs(variables.iter().copied());
    Some(command)
}

impl Seen {
    /// Asserts that the process has reached its end.
    #[track_caller]
    fn assert_well(&self) {
        assert!(self.err.contains(WELL), "{}\n{}", self.out, self.err);
    }

    /// Returns the first record of the first scope that was printed as OTLP with these keys.
    #[track_caller]
    fn first(&self, [resources, scopes, records]: [&str; 3]) -> Value {
        // The test harness prints the name of the test at the beginning of the line.
        let start = format!(r#"{{"{resources}""#);
        let line = self
            .out
            .lines()
            .find_map(|line| Some(&line[line.find(&start)?..]));
        let line = line.unwrap_or_else(|| panic!("{resources} in {}\n{}", self.out, self.err));
        let request: Value = serde_json::from_str(line).unwrap();
        request[resources][0][scopes][0][records][0].clone()
    }

    fn span(&self) -> Value {
        self.first(["resourceSpans", "scopeSpans", "spans"])
    }

    fn record(&self) -> Value {
        self.first(["resourceLogs", "scopeLogs", "logRecords"])
    }

    /// Returns the log lines that were printed as JSON.
    fn lines(&self) -> Vec<Value> {
        let lines = self.err.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

const CONSOLE: [(&str, &str); 3] = [
    ("OTEL_TRACES_EXPORTER", "console"),
    ("OTEL_LOGS_EXPORTER", "console"),
    ("BAROGRAPH_LOG_FORMAT", "json"),
];

#[test]
fn one_call_gives_spans_records_and_lines_with_the_same_ids() {
    let test = "one_call_gives_spans_records_and_lines_with_the_same_ids";
    let Some(seen) = look(test, &CONSOLE) else {
        let telemetry = barograph::init("shop").unwrap();
        info_span!("charge").in_scope(|| tracing_log::log::info!("taken"));
        drop(telemetry);
        return;
    };
    let (span, record) = (seen.span(), seen.record());
    let lines = seen.lines();
    let line = lines.iter().find(|line| line["message"] == "taken");
    let line = line.unwrap_or_else(|| panic!("{}", seen.err));
    assert_eq!(span["name"], "charge");
    assert_eq!(record["body"]["stringValue"], "taken");
    for (of_line, key) in [("trace_id", "traceId"), ("span_id", "spanId")] {
        assert!(line[of_line].is_string(), "{line}");
        assert_eq!(line[of_line], span[key]);
        assert_eq!(line[of_line], record[key]);
    }
    assert!(
        seen.err
            .contains("spans pushed to stdout; log records pushed to stdout; logs on stderr")
    );
}

#[test]
fn spans_are_exported_without_logs() {
    let test = "spans_are_exported_without_logs";
    let Some(seen) = look(test, &CONSOLE[..1]) else {
        let telemetry = Telemetry::builder("shop").without_logs().start().unwrap();
        info_span!("charge").in_scope(|| info!("taken"));
        drop(telemetry);
        return;
    };
    let span = seen.span();
    assert_eq!(
        (&span["name"], &span["events"][0]["name"]),
        (&"charge".into(), &"taken".into())
    );
}

#[test]
fn each_exporter_that_is_chosen_has_a_queue_of_its_own() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let base = format!("http://{}", receiver.address);
    let zipkin = format!("{base}/api/v2/spans?x=1");
    let test = "each_exporter_that_is_chosen_has_a_queue_of_its_own";
    let variables = [
        ("OTEL_TRACES_EXPORTER", "otlp,zipkin,console"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*base),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", &*zipkin),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
    ];
    let Some(seen) = look(test, &variables) else {
        let telemetry = barograph::init("shop").unwrap();
        for _ in 0..4 {
            info_span!("charge", who = "somebody", more = 1).in_scope(|| info!("taken"));
        }
        assert_eq!(telemetry.flush(Duration::from_secs(20)), Ok(()));
        let page = telemetry.render(None).body;
        for reader in ["otlp", "zipkin", "console"] {
            let line = format!(
                "\nbarograph_export_exported_total{{signal=\"traces\",reader=\"{reader}\"}} 4\n"
            );
            assert!(page.contains(&line), "{line} in {page}");
        }
        let capacity = "\",otel_component_name=\"batching_span_processor/zipkin\"} 8\n";
        assert!(page.contains(capacity), "{page}");
        // Printed so that the parent process knows.
        eprintln!("{WELL}");
        return;
    };
    seen.assert_well();
    let spans = receiver.spans();
    assert_eq!(spans.len(), 4);
    assert_eq!(
        (spans[0].attributes.len(), spans[0].dropped_attributes_count),
        (1, 1)
    );
    // Log records are exported, so events are log records, not span events.
    assert!(spans.iter().all(|span| span.events.is_empty()));
    assert_eq!(receiver.records().len(), 4);
    let zipkin = receiver.others("/api/v2/spans");
    let of_zipkin: usize = zipkin
        .iter()
        .map(|body| body.matches("\"traceId\"").count())
        .sum();
    assert_eq!(of_zipkin, 4, "{zipkin:?}");
    assert_eq!(zipkin.len(), 2, "no more than three in each");
    assert_eq!(seen.out.matches("\"traceId\"").count(), 4, "{}", seen.out);
    assert!(seen.span()["attributes"][0]["value"]["stringValue"] == "some");
}

#[test]
fn a_subscriber_that_was_set_before_stays_and_takes_the_layer() {
    use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _, reload};
    let test = "a_subscriber_that_was_set_before_stays_and_takes_the_layer";
    let Some(seen) = look(test, &CONSOLE) else {
        let (place, handle) = reload::Layer::new(None::<Box<dyn Layer<Registry> + Send + Sync>>);
        let subscriber = tracing_subscriber::registry().with(place);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let telemetry = barograph::init("shop").unwrap();
        info!("not heard");
        handle.reload(telemetry.reload_layer()).unwrap();
        info_span!("charge").in_scope(|| info!("taken"));
        drop(telemetry);
        return;
    };
    assert!(
        seen.err.contains("another subscriber for tracing is set"),
        "{}",
        seen.err
    );
    assert_eq!(seen.lines().len(), 0, "{}", seen.err);
    assert_eq!(seen.span()["name"], "charge");
    assert_eq!(seen.record()["body"]["stringValue"], "taken");
}

#[test]
fn a_subscriber_that_is_gone_is_none() {
    let test = "a_subscriber_that_is_gone_is_none";
    let Some(seen) = look(test, &CONSOLE) else {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || info!("early"));
        let telemetry = barograph::init("shop").unwrap();
        info!("taken");
        drop(telemetry);
        return;
    };
    assert!(seen.err.contains("; logs on stderr"), "{}", seen.err);
    assert_eq!(seen.record()["body"]["stringValue"], "taken");
}

/// A transport that emits a trace event from a callsite that the service uses, too.
struct Talking(Target);

impl Transport for Talking {
    fn send<'a>(
        &'a mut self,
        _: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        talk();
        Box::pin(std::future::ready(Outcome::Delivered(None)))
    }

    fn target(&self) -> &Target {
        &self.0
    }
}

fn talk() {
    info!("by both of them");
}

#[test]
fn events_that_the_export_loop_suppresses_are_logged_for_the_service() {
    let test = "events_that_the_export_loop_suppresses_are_logged_for_the_service";
    let Some(seen) = look(test, &[]) else {
        let talking = Talking(Target {
            url: "here".into(),
            component_type: "talking",
            host: String::new(),
            port: None,
        });
        let telemetry = Telemetry::builder("shop")
            .with_push(Push::metrics("talking", talking))
            .start()
            .unwrap();
        barograph::counter!("orders").inc();
        assert_eq!(telemetry.flush(Duration::from_secs(20)), Ok(()));
        talk();
        drop(telemetry);
        return;
    };
    assert_eq!(
        seen.err.matches("by both of them").count(),
        1,
        "{}",
        seen.err
    );
}

#[test]
fn lines_after_the_end_are_written() {
    let Some(seen) = look("lines_after_the_end_are_written", &[]) else {
        barograph::init("shop").unwrap().shutdown_blocking();
        for line in 0..100 {
            info!(line, "after the end");
        }
        std::process::exit(0);
    };
    let lines = seen.err.matches("after the end").count();
    assert_eq!(lines, 100, "{}", seen.err);
}

#[test]
fn a_thread_that_panics_leaves_its_spans() {
    let Some(seen) = look("a_thread_that_panics_leaves_its_spans", &CONSOLE) else {
        let telemetry = barograph::init("shop").unwrap();
        let open = info_span!("held by the other thread");
        let panicking = std::thread::spawn(|| {
            let _charge = info_span!("charge").entered();
            let _inner = info_span!("inner").entered();
            panic!("no more");
        });
        assert!(panicking.join().is_err());
        // The context ended with its thread, and this thread never had one.
        assert_eq!(barograph::current::context(), None);
        drop(telemetry);
        drop(open);
        return;
    };
    let names = |name: &str| seen.out.contains(&format!(r#""name":"{name}""#));
    assert!(names("charge") && names("inner") && names("held by the other thread"));
    assert_eq!(
        seen.out.matches("barograph.span.unfinished").count(),
        1,
        "{}",
        seen.out
    );
}

#[test]
fn a_main_that_panics_leaves_what_was_open() {
    let Some(seen) = look("a_main_that_panics_leaves_what_was_open", &CONSOLE) else {
        // Dropped last, as in a `main` that begins with it.
        let _telemetry = barograph::init("shop").unwrap();
        let (opened, is_open) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _charge = info_span!("charge").entered();
            opened.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        });
        is_open.recv().unwrap();
        panic!("no more");
    };
    let span = seen.span();
    assert_eq!(span["name"], "charge");
    assert!(
        seen.out.contains("barograph.span.unfinished"),
        "{}",
        seen.out
    );
}

/// Returns the propagation headers that a handler would send, and the page.
#[cfg(feature = "axum")]
async fn sent_on(
    method: &str,
    headers: &[(&str, &str)],
    telemetry: &Telemetry,
) -> (http::HeaderMap, String) {
    use barograph::propagation::HeadersMut;
    use barograph::propagation::propagators;
    use http::HeaderMap;
    use tower_service::Service as _;
    let handler = || async {
        let mut headers = HeaderMap::new();
        let current = barograph::current::propagation();
        propagators().inject(&current, &mut HeadersMut(&mut headers));
        headers
    };
    let app = axum::Router::new().route("/", axum::routing::any(handler));
    let mut app = app.layer(barograph::HttpServerLayer::new());
    let mut request = http::Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = app.call(request).await.unwrap();
    let headers = response.headers().clone();
    drop(response);
    (headers, telemetry.render(None).body)
}

#[cfg(feature = "axum")]
#[test]
fn methods_of_http_are_those_of_the_environment() {
    let test = "methods_of_http_are_those_of_the_environment";
    let variables = [("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "PURGE, POST")];
    let Some(seen) = look(test, &variables) else {
        let telemetry = barograph::init("shop").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for (method, shown) in [("PURGE", "PURGE"), ("GET", "_OTHER")] {
            let (_, page) = runtime.block_on(sent_on(method, &[], &telemetry));
            let label = format!("http_request_method=\"{shown}\"");
            assert!(page.contains(&label), "{label} in {page}");
            assert!(!page.contains("http_request_method=\"GET\""), "{page}");
        }
        eprintln!("{WELL}");
        return;
    };
    seen.assert_well();
}

#[cfg(feature = "axum")]
#[test]
fn propagators_of_the_environment_stay_where_telemetry_is_off() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let test = "propagators_of_the_environment_stay_where_telemetry_is_off";
    let variables = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_PROPAGATORS", "b3,nobody's"),
    ];
    let Some(seen) = look(test, &variables) else {
        let telemetry = barograph::init("shop").unwrap();
        let b3 = format!("{TRACE}-b7ad6b7169203331-1");
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let sent = |name, value| {
            runtime
                .block_on(sent_on("GET", &[(name, value)], &telemetry))
                .0
        };
        assert_eq!(sent("b3", &b3)["b3"], b3);
        // The other formats are not configured.
        let sent = sent("traceparent", &parent);
        assert!(
            !sent.contains_key("traceparent") && !sent.contains_key("b3"),
            "{sent:?}"
        );
        eprintln!("{WELL}");
        return;
    };
    seen.assert_well();
    assert!(
        seen.err
            .contains("no metrics since OTEL_SDK_DISABLED is true"),
        "{}",
        seen.err
    );
    assert!(
        seen.err.contains("nobody's"),
        "what is not known is told: {}",
        seen.err
    );
}

/// The effect of each variable on a trace of three spans, each with a log line.
#[test]
fn the_environment_decides_what_is_exported() {
    let test = "the_environment_decides_what_is_exported";
    if std::env::var_os(LOOKED_AT).is_some() {
        let telemetry = barograph::init("shop").unwrap();
        info_span!("outer").in_scope(|| {
            info_span!("inner").in_scope(|| info!("taken"));
            tracing::debug_span!("fine").in_scope(|| tracing::debug!("fine"));
        });
        drop(telemetry);
        return;
    }
    let traces = ("OTEL_TRACES_EXPORTER", "otlp");
    let logs = ("OTEL_LOGS_EXPORTER", "otlp");
    // The variables, and the expected numbers of spans, log records and lines. Notices about ignored
    // variables are log records, too.
    for (variables, expected) in [
        (vec![], (2, 1, 1)),
        (vec![traces], (2, 1, 1)),
        (vec![("OTEL_TRACES_EXPORTER", "none")], (0, 1, 1)),
        (vec![("OTEL_LOGS_EXPORTER", "none")], (2, 0, 1)),
        (vec![("OTEL_SDK_DISABLED", "true"), traces, logs], (0, 0, 1)),
        (vec![("OTEL_TRACES_SAMPLER", "always_off")], (0, 1, 1)),
        (
            vec![
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0"),
            ],
            (0, 1, 1),
        ),
        (
            vec![
                ("OTEL_TRACES_SAMPLER", "no such"),
                ("OTEL_TRACES_SAMPLER_ARG", "0"),
            ],
            (2, 2, 1),
        ),
        (vec![("RUST_LOG", "warn")], (2, 1, 0)),
        (vec![("RUST_LOG", "debug")], (2, 1, 2)),
        (vec![("BAROGRAPH_SPANS", "debug")], (3, 1, 1)),
        (vec![("BAROGRAPH_SPANS", "off")], (0, 1, 1)),
        (vec![("BAROGRAPH_LOGS", "debug")], (2, 2, 1)),
        (vec![("BAROGRAPH_LOGS", "warn")], (2, 0, 1)),
        (
            vec![
                ("OTEL_BLRP_MAX_QUEUE_SIZE", "0"),
                ("OTEL_BSP_SCHEDULE_DELAY", "x"),
            ],
            (2, 3, 1),
        ),
    ] {
        let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
        let base = format!("http://{}", receiver.address);
        let mut all = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*base),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        all.extend(&variables);
        let seen = look(test, &all).unwrap();
        let lines = seen.err.lines().filter(|line| line.contains(" process: "));
        let (spans, records) = (receiver.spans().len(), receiver.records().len());
        assert_eq!(
            (spans, records, lines.count()),
            expected,
            "{variables:?}\n{}",
            seen.err
        );
    }
}
