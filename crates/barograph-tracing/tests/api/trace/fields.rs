//! The contents of a span record.

use std::fmt;
use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_model::span::{SpanKind, Status};
use barograph_model::value::AnyValue;
use barograph_tracing::redact::Redaction;
use barograph_tracing::trace::{ErrorEvents, Events, SpanExt, SpanLimits};
use tracing::field::{Empty, debug, display};
use tracing::{error, info, info_span};

use super::setup::{attribute, named, spans, spans_of, value};

#[test]
fn fields_keep_their_types() {
    let spans = spans(|| {
        let span = info_span!(
            "typed",
            text = "t",
            yes = true,
            whole = -3_i32,
            large = u64::MAX,
            huge = i128::MIN,
            part = 0.5,
            shown = %"s",
            debugged = ?Some(1),
            later = Empty,
            never = Empty,
        );
        span.record("later", 7);
        span.record("text", "changed");
    });
    let record = &spans[0];
    assert_eq!(
        record.attributes,
        [
            attribute("text", "changed"),
            attribute("yes", true),
            attribute("whole", -3),
            attribute("large", u64::MAX.to_string()),
            attribute("huge", i128::MIN.to_string()),
            attribute("part", 0.5),
            attribute("shown", "s"),
            attribute("debugged", "Some(1)"),
            attribute("later", 7),
        ]
    );
    assert_eq!((&*record.name, &*record.scope), ("typed", module_path!()));
    assert_eq!(record.kind, SpanKind::Internal);
    assert_eq!(record.status, Status::Unset);
}

#[test]
fn fields_of_otel_set_other_properties_of_the_span() {
    let spans = spans(|| {
        let span = info_span!(
            "given",
            otel.name = "GET /orders/{id}",
            otel.kind = "Server",
            otel.status_code = Empty,
            otel.status_description = Empty,
            kept = 1
        );
        span.record("otel.status_code", "error");
        span.record("otel.status_description", display("no such order"));
        let span = info_span!(
            "later",
            otel.name = Empty,
            otel.kind = ?SpanKind::Client,
            otel.status_code = "OK",
            otel.status_message = "nobody reads this",
        );
        span.record("otel.name", "renamed");
        span.in_scope(|| error!("it is well all the same"));
    });
    let (given, later) = (named(&spans, "GET /orders/{id}"), named(&spans, "renamed"));
    assert_eq!(given.kind, SpanKind::Server);
    let description = "no such order".into();
    assert_eq!(given.status, Status::Error { description });
    assert_eq!(given.attributes, [attribute("kept", 1)]);
    assert_eq!((later.kind, &later.status), (SpanKind::Client, &Status::Ok));
}

#[test]
fn events_have_their_time_and_fields() {
    let clock = ManualClock::at(1_000);
    let time = clock.clone();
    let spans = spans_of(
        |builder| builder.with_clock(clock),
        |_| {
            let span = info_span!("a");
            time.advance(Duration::from_nanos(5));
            span.in_scope(|| info!(answer = 42, "asked {}", "twice"));
            time.advance(Duration::from_nanos(5));
            info!(target: "elsewhere", parent: &span, "from outside");
            span.in_scope(|| info!(parent: None, "about nothing"));
        },
    );
    let record = &spans[0];
    assert_eq!(
        (record.start_unix_nano, record.end_unix_nano),
        (1_000, 1_010)
    );
    let [first, second] = &record.events[..] else {
        panic!("two events: {:?}", record.events);
    };
    assert_eq!((&*first.name, first.time_unix_nano), ("asked twice", 1_005));
    assert_eq!(
        first.attributes,
        [
            attribute("answer", 42),
            attribute("level", "INFO"),
            attribute("target", module_path!()),
        ]
    );
    assert_eq!(
        (&*second.name, second.time_unix_nano),
        ("from outside", 1_010)
    );
    assert_eq!(
        value(&second.attributes, "target"),
        Some(&"elsewhere".into())
    );
}

/// An error with an optional cause.
#[derive(Debug)]
struct Failed(&'static str, Option<Box<Failed>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_ref().map(|cause| cause as _)
    }
}

#[test]
fn errors_come_with_what_caused_them() {
    let cause = Failed("no route", Some(Box::new(Failed("cable is out", None))));
    let failed = Failed("cannot reach the store", Some(Box::new(cause)));
    let failed: &(dyn std::error::Error + 'static) = &failed;
    let chain: AnyValue = vec!["no route", "cable is out"].into();
    let spans = spans(|| {
        let span = info_span!("a", error = failed);
        span.in_scope(|| {
            error!(error = failed, "giving up");
            info!(error = failed);
        });
    });
    let record = &spans[0];
    let of = |attributes| {
        let all = ["error", "error.chain", "exception.message"];
        all.map(|key| value(attributes, key).cloned())
    };
    let text = Some(AnyValue::from("cannot reach the store"));
    let expected = [text.clone(), Some(chain.clone()), text.clone()];
    assert_eq!(of(&record.attributes), [text.clone(), Some(chain), None]);
    let names: Vec<_> = record.events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["exception", "giving up", "exception"]);
    assert_eq!(
        value(&record.events[0].attributes, "exception.message"),
        text.as_ref()
    );
    assert_eq!(of(&record.events[1].attributes), expected);
    assert_eq!(of(&record.events[2].attributes), expected);
    // An event of level ERROR sets the status of its span.
    assert!(matches!(record.status, Status::Error { .. }));
}

#[test]
fn events_can_be_left_to_the_logs() {
    for (error_events, is_failed) in [
        (ErrorEvents::FailSpan, true),
        (ErrorEvents::SayNothing, false),
    ] {
        let spans = spans_of(
            |builder| {
                builder
                    .with_events(Events::AsLogs)
                    .with_error_events(error_events)
            },
            |_| info_span!("a").in_scope(|| error!("once")),
        );
        assert!(spans[0].events.is_empty());
        assert_eq!(spans[0].status != Status::Unset, is_failed);
    }
}

#[test]
fn data_beyond_a_limit_is_counted() {
    let mut limits = SpanLimits::default();
    (limits.attributes, limits.events, limits.event_attributes) = (2, 1, 1);
    limits.value_length = 3;
    let spans = spans_of(
        |builder| builder.with_limits(limits),
        |_| {
            let span = info_span!("a", one = "12345", two = 2, three = 3, four = Empty);
            span.record("four", 4);
            span.record("one", "abcdef");
            span.in_scope(|| {
                info!(x = 1, "first");
                info!("second");
            });
        },
    );
    let record = &spans[0];
    assert_eq!(
        record.attributes,
        [attribute("one", "abc"), attribute("two", 2)]
    );
    assert_eq!(record.dropped_attributes, 2);
    assert_eq!((record.events.len(), record.dropped_events), (1, 1));
    assert_eq!(record.events[0].attributes, [attribute("x", 1)]);
    assert_eq!(record.events[0].dropped_attributes, 2);
}

#[test]
fn locations_and_times_are_recorded_if_configured() {
    let clock = ManualClock::at(0);
    let time = clock.clone();
    let spans = spans_of(
        |builder| {
            builder
                .with_clock(clock)
                .with_code_location()
                .with_busy_and_idle()
        },
        |_| {
            let span = info_span!("a");
            time.advance(Duration::from_nanos(3));
            span.in_scope(|| time.advance(Duration::from_nanos(40)));
            time.advance(Duration::from_nanos(500));
            span.in_scope(|| {
                time.advance(Duration::from_nanos(7_000));
                info!("here");
            });
        },
    );
    let record = &spans[0];
    assert_eq!(value(&record.attributes, "busy_ns"), Some(&7_040.into()));
    assert_eq!(value(&record.attributes, "idle_ns"), Some(&503.into()));
    for attributes in [&record.attributes, &record.events[0].attributes] {
        assert_eq!(value(attributes, "code.file.path"), Some(&file!().into()));
        assert_eq!(
            value(attributes, "code.module.name"),
            Some(&module_path!().into())
        );
        let line = value(attributes, "code.line.number");
        assert!(
            matches!(line, Some(AnyValue::I64(line)) if *line > 200),
            "{line:?}"
        );
    }
}

#[test]
fn a_value_may_log_while_it_is_formatted() {
    struct Talks;
    impl fmt::Debug for Talks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("said while it is shown");
            f.write_str("shown")
        }
    }
    let spans = spans(|| {
        let span = info_span!("a", later = Empty);
        let _guard = span.enter();
        span.record("later", debug(Talks));
        info!(value = ?Talks, "outer");
    });
    assert_eq!(value(&spans[0].attributes, "later"), Some(&"shown".into()));
    assert!(spans[0].events.iter().any(|event| event.name == "outer"));
}

#[test]
fn secrets_are_hidden() {
    let failed = Failed("cannot log in to postgres://app:hunter2@db/orders", None);
    let failed: &(dyn std::error::Error + 'static) = &failed;
    let show = || {
        let span = info_span!(
            "a",
            db.password = "hunter2",
            url.query = "page=2&token=hunter2",
            token = 7,
            kept = "hunter1",
            error = failed,
            otel.status_description = "bad token=hunter2",
            login = ?std::collections::BTreeMap::from([("db_password", Some("hunter2"))]),
            url.full = "http:\\/\\/u:hunter2@h?a=1%26jwt=hunter2",
        );
        span.set_attribute("http.request.header.authorization", "hunter2");
        span.in_scope(|| info!(api_key = ?"hunter2", "asked with secret=hunter2"));
    };
    let record = &spans(show)[0];
    assert!(!format!("{record:?}").contains("hunter2"), "{record:?}");
    assert_eq!(value(&record.attributes, "token"), Some(&"REDACTED".into()));
    assert_eq!(value(&record.attributes, "kept"), Some(&"hunter1".into()));
    let open = spans_of(
        |builder| builder.with_redaction(Redaction::none()),
        |_| show(),
    );
    assert_eq!(format!("{open:?}").matches("hunter2").count(), 11);
}

#[test]
fn each_key_is_in_a_span_and_in_an_event_once() {
    let spans = spans(|| {
        let span = info_span!("s", a = 1, a = 2).entered();
        span.record("a", 3);
        info!(b = 1, message = "a field", b = 2, "the message");
    });
    assert_eq!(spans[0].attributes, [attribute("a", 3)]);
    let event = &spans[0].events[0];
    assert_eq!(event.name, "the message");
    assert_eq!(value(&event.attributes, "b"), Some(&2.into()));
    assert_eq!(value(&event.attributes, "message"), Some(&"a field".into()));
}
