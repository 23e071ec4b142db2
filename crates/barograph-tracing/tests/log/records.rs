use std::error::Error;
use std::sync::atomic::Ordering;

use barograph_core::clock::ManualClock;
use barograph_core::current;
use barograph_core::record_queue::RecordQueue;
use barograph_model::log::{LogRecord, Severity};
use barograph_model::value::{AnyValue, Attribute};
use barograph_tracing::log::{LogLayer, LogLayerBuilder, LogLimits, RateLimit};
use barograph_tracing::redact::REDACTED;
use tracing::{error, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::failed::Failed;
use crate::sheet::{NOW, context};

fn records_with(
    set: impl FnOnce(LogLayerBuilder) -> LogLayerBuilder,
    f: impl FnOnce(),
) -> (Vec<LogRecord>, u64) {
    let queue = RecordQueue::new(1000);
    let builder = LogLayer::builder(queue.clone()).with_clock(ManualClock::at(NOW));
    let layer = set(builder).build();
    let suppressed = layer.suppressed();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, f);
    assert_eq!(queue.counts().refused(), 0);
    let records = std::iter::from_fn(|| queue.pop()).map(|record| *record);
    (records.collect(), suppressed.load(Ordering::Relaxed))
}

fn record(f: impl FnOnce()) -> LogRecord {
    let (mut records, _) = records_with(|builder| builder, f);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// Returns the attributes except the source location, which comes last.
fn attributes(record: &LogRecord) -> &[Attribute] {
    let place = record.attributes.len() - 2;
    &record.attributes[..place]
}

#[test]
fn an_event_is_a_record_with_typed_attributes() {
    let line = line!() + 3;
    let record = record(|| {
        let _guard = current::enter(context());
        warn!(target: "shop", id = 7, large = u64::MAX, half = 0.5, yes = true, word = "w", shape = ?Some(1), bytes = &b"ab"[..], "taken {}", 7);
    });
    assert_eq!(
        record,
        LogRecord {
            time_unix_nano: NOW,
            observed_unix_nano: NOW,
            severity: Severity::Warn,
            event_name: None,
            body: Some("taken 7".into()),
            scope: "shop".into(),
            attributes: vec![
                Attribute::new("id", 7),
                Attribute::new("large", "18446744073709551615"),
                Attribute::new("half", 0.5),
                Attribute::new("yes", true),
                Attribute::new("word", "w"),
                Attribute::new("shape", "Some(1)"),
                Attribute::new("bytes", AnyValue::Bytes(b"ab"[..].into())),
                Attribute::new("code.file.path", file!()),
                Attribute::new("code.line.number", line),
            ],
            dropped_attributes: 0,
            context: Some(context()),
        }
    );
}

#[test]
fn outside_of_a_span_there_are_no_ids() {
    let record = record(|| info!(event.name = "order.taken", r#type = 1));
    assert_eq!((record.context, record.body.clone()), (None, None));
    assert_eq!(record.event_name.as_deref(), Some("order.taken"));
    assert_eq!(attributes(&record), [Attribute::new("type", 1)]);
}

#[test]
fn a_root_event_has_no_ids_and_the_span_of_the_thread_others() {
    let (records, _) = records_with(
        |builder| builder,
        || {
            let _guard = current::enter(context());
            let _span = info_span!("s").entered();
            info!("inside");
            info!(parent: None, "outside");
        },
    );
    let contexts: Vec<_> = records.iter().map(|record| record.context).collect();
    assert_eq!(contexts, [Some(context()), None]);
}

#[test]
fn an_error_is_an_exception_with_its_causes() {
    let cause = Failed("refused: postgres://me:hunter2@db", None);
    let failed = Failed("cannot save", Some(Box::new(cause)));
    let record = record(|| error!(target: "shop", error = &failed as &dyn Error, "m"));
    assert_eq!(
        attributes(&record),
        [
            Attribute::new("error", "cannot save"),
            Attribute::new("exception.message", "cannot save"),
            Attribute::new(
                "exception.stacktrace",
                "cannot save\ncaused by: refused: postgres://REDACTED:REDACTED@db"
            ),
        ]
    );
}

#[test]
fn secrets_are_hidden() {
    let failed = Failed("token=abc", None);
    let record = record(|| {
        info!(
            password = 42,
            db.token = ?Some(1),
            url.query = "a=1&token=abc",
            cookie = &failed as &dyn Error,
            plain = "token=abc",
            "password=hunter2"
        );
    });
    assert_eq!(
        attributes(&record),
        [
            Attribute::new("password", REDACTED),
            Attribute::new("db.token", REDACTED),
            Attribute::new("url.query", "a=1&token=REDACTED"),
            Attribute::new("cookie", REDACTED),
            Attribute::new("plain", "token=abc"),
        ]
    );
    assert_eq!(record.body, Some("password=REDACTED".into()));
}

#[test]
fn secrets_in_structures_are_hidden() {
    let map = std::collections::BTreeMap::from([("authorization", "Bearer abc")]);
    let record = record(|| info!(headers = ?map, r#"{{"token":["abc"],"n":1}}"#));
    assert_eq!(
        attributes(&record),
        [Attribute::new(
            "headers",
            r#"{"authorization": "REDACTED"}"#
        )]
    );
    assert_eq!(record.body, Some(r#"{"token":["REDACTED"],"n":1}"#.into()));
}

#[test]
fn a_record_has_limits() {
    let mut limits = LogLimits::default();
    limits.attributes = 3;
    limits.value_length = 4;
    limits.body = 10;
    let long = "äöüäöüäöü";
    let (records, _) = records_with(
        |builder| builder.with_limits(limits),
        || info!(a = long, b = ?long, c = 1, d = 2, "{long}"),
    );
    let [record] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(
        record.attributes,
        [
            Attribute::new("a", "äöüä"),
            Attribute::new("b", "\"äöü"),
            Attribute::new("c", 1),
        ]
    );
    // One field, file and line.
    assert_eq!(record.dropped_attributes, 3);
    assert_eq!(record.body, Some("äöüäö".into()));
}

#[test]
fn a_rate_limit_counts_what_it_leaves_out() {
    let limit = RateLimit::per_second(1).with_burst(2);
    let (records, suppressed) = records_with(
        |builder| builder.with_rate_limit(limit),
        || (0..10).for_each(|n| info!(n)),
    );
    assert_eq!((records.len(), suppressed), (2, 8));
}

#[test]
fn each_key_is_in_a_record_once() {
    let record = record(|| info!(a = 1, message = "a field", a = 2, r#type = 3, "the message"));
    assert_eq!(record.body, Some("the message".into()));
    assert_eq!(
        attributes(&record),
        [
            Attribute::new("a", 2),
            Attribute::new("message", "a field"),
            Attribute::new("type", 3),
        ]
    );
}
