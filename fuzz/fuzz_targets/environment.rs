//! Whatever variables about pushing hold, they are read, and no secret in them is told.
#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Write};

use arbitrary::Arbitrary;
use barograph::Telemetry;
use barograph::registry::Registry;
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
    others: [&'a str; OTHERS.len()],
}

/// A text that may be a URL, with a secret where one has it.
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

const OTHERS: [&str; 11] = [
    "OTEL_METRICS_EXPORTER",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "BAROGRAPH_PUSH_JOURNAL_MAX_BYTES",
    "BAROGRAPH_PUSH_JOURNAL_REQUIRED",
    "OTEL_RESOURCE_ATTRIBUTES",
];

fuzz_target!(|input: Input<'_>| {
    let mut variables: HashMap<_, _> = OTHERS
        .into_iter()
        .zip(input.others.map(str::to_owned))
        .collect();
    let protocols = ["grpc", "http/protobuf", "http/json", ""];
    let protocol = protocols[usize::from(input.protocol) % protocols.len()];
    let headers = input.headers.iter();
    let headers = headers.map(|(name, before, after)| format!("{name}={before}{SECRET}{after}"));
    let headers: Vec<_> = headers.collect();
    variables.extend([
        // Nothing is to be sent anywhere; everything is read all the same.
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
    let holds_secret = |name: &str| {
        let value = variables.get(name);
        value.is_some_and(|value| value.contains(SECRET))
    };
    // There it would be the text itself that says it.
    if OTHERS.into_iter().any(holds_secret) {
        return;
    }
    let builder = Telemetry::builder("fuzz")
        .with_registry(Registry::new())
        .with_environment(move |name| variables.get(name).cloned())
        .without_listener()
        .without_logs()
        .without_start_line();
    let telemetry = subscriber::with_default(Ears, || builder.start());
    drop(telemetry.expect("nothing is listened on"));
    let said = SAID.take();
    assert!(!said.contains(SECRET), "{said}");
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

/// Text without the secret, also where the fuzzer has put it together.
fn harmless(text: &str) -> String {
    text.replace('3', "e")
}

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Hears all log lines of this thread.
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
