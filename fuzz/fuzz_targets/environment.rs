//! For any values of environment variables, telemetry starts, and the log messages about them are
//! single lines without secrets.
#![no_main]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::{Debug, Write};
use std::sync::{Arc, LazyLock, Mutex};

use arbitrary::Arbitrary;
use barograph::testing::TestBuilder as _;
use barograph::Registry;
use barograph::{Telemetry, TelemetryBuilder};
use libfuzzer_sys::fuzz_target;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    protocol: u8,
    endpoint: Url<'a>,
    own_endpoint: Url<'a>,
    proxy: Url<'a>,
    headers: Vec<(&'a str, &'a str, &'a str)>,
    others: Vec<(u8, &'a str)>,
}

/// A text that may be a URL, with a secret in a place for credentials.
#[derive(Arbitrary, Debug)]
enum Url<'a> {
    Text(&'a str),
    Userinfo {
        scheme: u8,
        user: &'a str,
        rest: &'a str,
    },
    Query {
        url: &'a str,
        query: &'a str,
    },
}

const SECRET: &str = "S3CRET";

/// The names of all variables that are read. They are collected at run time, so that the list is
/// complete.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let names = Arc::clone(&asked);
    let lookup = move |name: &str| {
        names
            .lock()
            .expect("nobody panicked")
            .insert(name.to_owned());
        None
    };
    drop(builder().with_environment(lookup).start());
    let all = asked.lock().expect("nobody panicked");
    assert!(all.len() > 60);
    all.iter().cloned().collect()
});

fn builder() -> TelemetryBuilder {
    Telemetry::builder("fuzz")
        .with_registry(Registry::new())
        .without_listener()
        .without_logs()
        .without_start_line()
}

fuzz_target!(|input: Input<'_>| {
    let mut variables: HashMap<&str, String> = HashMap::new();
    for (which, value) in &input.others {
        let name = &NAMES[usize::from(*which) % NAMES.len()];
        variables.insert(name, (*value).to_owned());
    }
    // Messages may quote these values, so the secret must not be in them.
    if variables.values().any(|value| value.contains(SECRET)) {
        return;
    }
    let protocols = ["grpc", "http/protobuf", "http/json", ""];
    let protocol = protocols[usize::from(input.protocol) % protocols.len()];
    let headers = input.headers.iter();
    let headers = headers.map(|(name, before, after)| format!("{name}={before}{SECRET}{after}"));
    let headers: Vec<_> = headers.collect();
    variables.extend([
        // Nothing is exported, but all variables are read.
        ("OTEL_SDK_DISABLED", "true".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", input.endpoint.text()),
        (
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            input.own_endpoint.text(),
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers.join(",")),
        ("HTTPS_PROXY", input.proxy.text()),
    ]);
    let variables: HashMap<String, String> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let builder = builder().with_environment(move |name| variables.get(name).cloned());
    let telemetry = subscriber::with_default(Ears, || builder.start());
    drop(telemetry.expect("nothing is listened on"));
    let said = SAID.take();
    assert!(!said.contains(SECRET), "{said}");
    // Each message is one line.
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(is_control), "{said:?}");
});

impl Url<'_> {
    fn text(&self) -> String {
        match self {
            Url::Text(text) => harmless(text),
            Url::Userinfo { scheme, user, rest } => {
                let schemes = ["http://", "https://", "htp://", ""];
                let scheme = schemes[usize::from(*scheme) % schemes.len()];
                format!("{scheme}{}{SECRET}@{}", harmless(user), harmless(rest))
            }
            Url::Query { url, query } => {
                format!("{}?{}{SECRET}", harmless(url), harmless(query))
            }
        }
    }
}

/// Returns the text without the secret, in case the fuzzer has produced it.
fn harmless(text: &str) -> String {
    text.replace('3', "e")
}

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A subscriber that records all log lines of this thread.
struct Ears;

impl Subscriber for Ears {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        SAID.with_borrow_mut(|said| event.record(&mut Line(said)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0, "{field}: {value:?}");
    }
}
