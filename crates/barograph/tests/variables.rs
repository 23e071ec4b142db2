//! Invalid variables: the service starts, and a warning is logged. A test of the output has two
//! processes: this one, which reads it, and a child that runs the test of the same name.
#![cfg(feature = "otlp")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use barograph::RateLimit;
use barograph::Registry;
use barograph::testing::TestBuilder as _;
use barograph::{Telemetry, TelemetryBuilder};
use barograph_config::variables::{self, Variable};
use barograph_core::report;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The variable that makes this process the child, and selects what it does.
const MODE: &str = "BAROGRAPH_TEST_MODE";

/// Printed by a child that has reached its end.
const WELL: &str = "ALL IS WELL";

/// Returns the mode of this process, if it is a child.
fn mode() -> Option<String> {
    std::env::var(MODE).ok()
}

/// Runs a test of this file in a child process, and returns the lines of its stderr.
fn look<V: AsRef<OsStr>>(test: &str, mode: &str, variables: &[(&str, V)]) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(MODE, mode)
        .envs(variables.iter().map(|(name, value)| (name, value.as_ref())))
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!(lines.contains(WELL), "{mode}: {lines}");
    lines.lines().map(str::to_owned).collect()
}

/// A custom subscriber's layer: prints events on stderr, one line each.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = String::from("own: ");
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                if field.name() == "message" {
                    line += &format!("{value:?}");
                }
            },
        );
        eprintln!("{line}");
    }
}

fn own(level: LevelFilter) -> impl Subscriber {
    let targets = Targets::new().with_default(LevelFilter::INFO);
    let targets = targets.with_target("barograph", level);
    tracing_subscriber::registry().with(Lines.with_filter(targets))
}

fn builder() -> TelemetryBuilder {
    Telemetry::builder("shop").without_listener()
}

/// Starts telemetry in this mode, and triggers a report while it runs.
fn start(mode: &str) -> Telemetry {
    let telemetry = match mode {
        "printing" | "filter off" | "filter of another" | "disabled" => builder().start(),
        "rate limit" => builder().with_rate_limit(RateLimit::per_second(1)).start(),
        "without logs" => builder().without_logs().start(),
        "without subscriber" | "own later" | "own later, dropping" | "ours in own, dropping" => {
            builder().without_subscriber().start()
        }
        "without start line" => builder().without_subscriber().without_start_line().start(),
        "own before" => {
            own(LevelFilter::INFO).init();
            builder().start()
        }
        "own before, without subscriber" => {
            own(LevelFilter::INFO).init();
            builder().without_subscriber().start()
        }
        "own before, dropping" => {
            own(LevelFilter::ERROR).init();
            builder().start()
        }
        other => panic!("{other}"),
    };
    match mode {
        "own later" => own(LevelFilter::WARN).init(),
        "own later, dropping" => own(LevelFilter::OFF).init(),
        // The library's layer enables events for spans, and prints none of them.
        "ours in own, dropping" => {
            let ours = telemetry.as_ref().unwrap().layer();
            let dropping = Lines.with_filter(LevelFilter::ERROR);
            tracing_subscriber::registry()
                .with(ours)
                .with(dropping)
                .init();
        }
        _ => {}
    }
    telemetry.unwrap()
}

#[test]
fn an_ignored_variable_is_reported_once_with_any_subscriber() {
    let test = "an_ignored_variable_is_reported_once_with_any_subscriber";
    if let Some(mode) = mode() {
        let telemetry = start(&mode);
        report::report("something was reported".into());
        drop(telemetry);
        eprintln!("{WELL}");
        return;
    }
    let bad = [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_METRICS_EXPORTER", "logging"),
        ("OTEL_PROPAGATORS", "pigeon"),
    ];
    for (mode, more, by_own) in [
        ("printing", None, false),
        ("filter off", Some(("RUST_LOG", "off")), false),
        ("filter of another", Some(("RUST_LOG", "sqlx=trace")), false),
        ("disabled", Some(("OTEL_SDK_DISABLED", "true")), false),
        ("rate limit", None, false),
        ("without logs", None, false),
        ("without subscriber", None, false),
        ("own later", None, false),
        ("own later, dropping", None, false),
        ("ours in own, dropping", None, false),
        ("without logs", Some(("OTEL_SDK_DISABLED", "true")), false),
        ("without start line", None, false),
        ("own before", None, true),
        ("own before, without subscriber", None, true),
        ("own before, dropping", None, false),
    ] {
        let variables: Vec<_> = bad.into_iter().chain(more).collect();
        let lines = look(test, mode, &variables);
        let with = |text: &str| {
            let lines = lines.iter().filter(|line| line.contains(text));
            lines.map(String::as_str).collect::<Vec<_>>()
        };
        for (name, value) in bad {
            let notices = with(&format!("{name}={value:?} is ignored"));
            assert_eq!(notices.len(), 1, "{mode}: {lines:#?}");
            assert_eq!(
                notices[0].starts_with("own: "),
                by_own,
                "{mode}: {lines:#?}"
            );
        }
        assert_eq!(
            with("something was reported").len(),
            1,
            "{mode}: {lines:#?}"
        );
        let has_start_line = !with("barograph: shop: ").is_empty();
        assert_eq!(has_start_line, mode != "without start line", "{lines:#?}");
    }
}

/// Returns the names of all variables that are looked up.
fn all() -> BTreeSet<String> {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let names = Arc::clone(&asked);
    let lookup = move |name: &str| {
        names.lock().unwrap().insert(name.to_owned());
        None
    };
    drop(quiet().with_environment(lookup).start().unwrap());
    let all = asked.lock().unwrap().clone();
    assert!(all.len() > 60, "{all:?}");
    all
}

#[test]
fn the_table_has_the_variables_that_are_read() {
    let table: BTreeSet<_> = variables::all().flat_map(Variable::names).collect();
    assert_eq!(all(), table.into_iter().map(str::to_owned).collect());
}

/// The file is included in the docs of `init`.
#[test]
fn the_docs_of_init_are_those_of_the_table() {
    let expected = variables::document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write("docs/variables.md", &expected).unwrap();
    }
    let document = std::fs::read_to_string("docs/variables.md").unwrap();
    assert_eq!(document, expected, "run the test with UPDATE_DOCS=1");
}

#[test]
fn the_readme_has_the_variables_of_the_table() {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("\n## Environment variables\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let patterns: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let is_match = |pattern: &str, name: &str| match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
    };
    let names: Vec<_> = variables::all().map(|variable| variable.name).collect();
    for pattern in &patterns {
        let is_known = names.iter().any(|name| is_match(pattern, name));
        assert!(is_known, "{pattern} is in the README only");
    }
    for name in names {
        let is_there = patterns.iter().any(|pattern| is_match(pattern, name));
        assert!(is_there, "{name} is not in the README");
    }
}

fn quiet() -> TelemetryBuilder {
    Telemetry::builder("shop")
        .with_registry(Registry::new())
        .with_address(([127, 0, 0, 1], 0).into())
        .without_start_line()
}

/// Variables for which any value is valid, or any text is a name or a path.
const FREE: [&str; 20] = [
    "BAROGRAPH_PERSISTENT_QUEUE_DIR",
    "NO_COLOR",
    "NO_PROXY",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_SERVICE_NAME",
    "REQUEST_METHOD",
    "no_proxy",
    // Two that take any short text without control characters.
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "RUST_LOG",
];

/// Returns the events of this thread when telemetry starts with one variable set.
fn said(name: &str, value: &str) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<String>>>);
    impl<S: Subscriber> Layer<S> for Said {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            if event.metadata().target() != "barograph" {
                return;
            }
            let mut said = String::new();
            event.record(
                &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                    said += &format!("{value:?}");
                },
            );
            self.0.lock().unwrap().push(said);
        }
    }
    let said = Said::default();
    let subscriber = tracing_subscriber::registry().with(said.clone());
    let (asked, given) = (name.to_owned(), value.to_owned());
    let lookup = move |name: &str| (name == asked).then(|| given.clone());
    tracing::subscriber::with_default(subscriber, || {
        let started = quiet().with_environment(lookup).start();
        drop(started.unwrap_or_else(|error| panic!("{name}={value:.50?}: {error:?}")));
    });
    let said = said.0.lock().unwrap().clone();
    // Process-wide values were set by an earlier start.
    let said = said
        .into_iter()
        .filter(|said| !said.contains("are set already"));
    said.collect()
}

#[test]
fn no_value_of_any_variable_keeps_a_service_from_starting() {
    let long = "k".repeat(1_000_000);
    let digits = "9".repeat(40);
    let many = "a=1,".repeat(8_000);
    let nonsense = "\u{1b}[2J\u{202e};=, %zz\n";
    let values = [
        "",
        " ",
        "\t\n",
        nonsense,
        "18446744073709551615",
        "1e400",
        "-1",
        "NaN",
        &digits,
        "a\0b",
        &many,
        &long,
    ];
    for name in all() {
        for value in values {
            // A blank value counts as unset: it selects no port.
            if name == "OTEL_EXPORTER_PROMETHEUS_PORT" && value.trim().is_empty() {
                continue;
            }
            let said = said(&name, value);
            for notice in &said {
                let is_line = notice.chars().all(|c| !c.is_control() && c != '\u{202e}');
                assert!(is_line && notice.len() < 600, "{name}: {notice:?}");
            }
            let is_free = FREE.contains(&&*name);
            if value.trim().is_empty() {
                assert_eq!(said, [""; 0], "{name}={value:?}");
            } else if value == long {
                let is_flag = ["NO_COLOR", "REQUEST_METHOD"].contains(&&*name);
                assert_eq!(said.len(), usize::from(!is_flag), "{name}: {said:?}");
                assert!(said.iter().all(|said| said.starts_with(&name)), "{said:?}");
            } else if value == nonsense && !is_free {
                assert!(
                    said.iter().any(|said| said.contains(&name)),
                    "{name}: {said:?}"
                );
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn values_that_are_not_utf_8_are_ignored_and_reported_without_a_subscriber() {
    use std::os::unix::ffi::OsStrExt as _;

    let test = "values_that_are_not_utf_8_are_ignored_and_reported_without_a_subscriber";
    if mode().is_some() {
        drop(builder().without_subscriber().start().unwrap());
        eprintln!("{WELL}");
        return;
    }
    let names = all();
    let value = OsStr::from_bytes(b"\xff secret \xfe");
    let variables: Vec<_> = names.iter().map(|name| (&**name, value)).collect();
    let lines = look(test, "child", &variables);
    for name in &names {
        // HTTP_PROXY is not looked up in a CGI program, which has a REQUEST_METHOD.
        if ["NO_COLOR", "REQUEST_METHOD", "HTTP_PROXY"].contains(&&**name) {
            continue;
        }
        let notice = format!("barograph: {name} is ignored, expected text in UTF-8");
        let count = lines.iter().filter(|line| **line == notice).count();
        assert_eq!(count, 1, "{name}: {lines:#?}");
    }
    assert!(
        lines.iter().all(|line| !line.contains("secret")),
        "{lines:#?}"
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let test = "control_characters_do_not_reach_the_terminal";
    if mode().is_some() {
        drop(builder().without_subscriber().start().unwrap());
        eprintln!("{WELL}");
        return;
    }
    let names = all();
    let value = "\u{1b}]0;owned\u{7}\r\u{202e}\nbarograph: forged: all is well";
    let variables: Vec<_> = names.iter().map(|name| (&**name, value)).collect();
    let lines = look(test, "child", &variables);
    for line in &lines {
        let is_clean = line.chars().all(|c| !c.is_control() && c != '\u{202e}');
        assert!(is_clean, "{line:?}");
        assert!(!line.starts_with("barograph: forged"), "{line:?}");
    }
    assert!(lines.len() > 40, "{lines:#?}");
}
