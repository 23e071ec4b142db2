//! The lines and log records of failed operations.

use barograph_core::record_queue::RecordQueue;
use barograph_model::log::LogRecord;
use barograph_model::value::AnyValue;
use barograph_tracing::log::{Colors, Format, LogLayer, RateLimit};
use barograph_tracing::observe::{Failure, begin, observe};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::sheet::{terminal, written};

const LOAD_LINE: u32 = line!() + 1;
#[observe(crate = "barograph_tracing", service = "Limited")]
fn load(name: &str) -> Result<u8, std::num::ParseIntError> {
    name.parse()
}

fn fail(name: &str, error_type: &'static str) {
    begin("Limited", name).fail(&Failure::new(error_type));
}

/// Fails the same operations in different numbers.
fn fail_often() {
    for _ in 0..5 {
        fail("noisy", "timeout");
    }
    fail("noisy", "refused");
    fail("quiet", "timeout");
    for _ in 0..3 {
        let _ = load("x");
    }
}

fn records(limit: Option<RateLimit>, f: impl FnOnce()) -> Vec<LogRecord> {
    let queue = RecordQueue::new(100);
    let mut builder = LogLayer::builder(queue.clone());
    if let Some(limit) = limit {
        builder = builder.with_rate_limit(limit);
    }
    let subscriber = tracing_subscriber::registry().with(builder.build());
    tracing::subscriber::with_default(subscriber, f);
    std::iter::from_fn(|| queue.pop()).map(|it| *it).collect()
}

fn attribute<'a>(record: &'a LogRecord, key: &str) -> Option<&'a AnyValue> {
    let mut all = record.attributes.iter();
    all.find(|it| it.key == key).map(|it| &it.value)
}

#[test]
fn each_error_type_of_an_operation_has_a_rate_limit_of_its_own() {
    let builder = terminal(Format::Pretty(Colors::Off)).with_rate_limit(RateLimit::per_second(1));
    let output = written(builder, fail_often);
    let count = |text: &str| output.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("Limited/noisy failed"), 2, "{output}");
    assert_eq!(count("Limited/quiet failed"), 1, "{output}");
    assert_eq!(count("Limited/load failed"), 1, "{output}");
    assert_eq!(
        count("4 more like the line of \"Limited/noisy\""),
        1,
        "{output}"
    );
    let of_load = format!("2 more like the line of {}:", file!());
    assert_eq!(count(&of_load), 1, "{output}");

    let limited = records(Some(RateLimit::per_second(1)), fail_often);
    let bodies: Vec<_> = limited.iter().filter_map(|it| it.body.clone()).collect();
    let expected = [
        "Limited/noisy failed",
        "Limited/noisy failed",
        "Limited/quiet failed",
        "Limited/load failed",
    ];
    assert_eq!(bodies, expected.map(AnyValue::from));
}

#[test]
fn the_record_of_a_failure_has_the_location_of_the_observed_function_or_none() {
    let records = records(None, || {
        let _ = load("x");
        fail("elsewhere", "timeout");
    });
    let [of_function, of_call] = &records[..] else {
        panic!("expected two records, got {records:?}");
    };
    let file = attribute(of_function, "code.file.path");
    assert_eq!(file, Some(&AnyValue::from(file!())));
    let line = attribute(of_function, "code.line.number");
    let near = [LOAD_LINE, LOAD_LINE + 1].map(AnyValue::from);
    assert!(line.is_some_and(|line| near.contains(line)), "{line:?}");
    assert_eq!(attribute(of_call, "code.file.path"), None);
    assert_eq!(attribute(of_call, "code.line.number"), None);
    let error_type = attribute(of_call, "error.type");
    assert_eq!(error_type, Some(&AnyValue::from("timeout")));
}
