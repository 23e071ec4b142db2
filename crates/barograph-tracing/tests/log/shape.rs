//! Our lines compared with those of the `fmt` layer of `tracing-subscriber`, byte by byte.

use std::error::Error;
use std::time::Duration;

use barograph_core::current;
use barograph_tracing::log::Format;
use barograph_tracing::redact::Redaction;
use tracing::{debug, error, info, info_span, trace, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::sheet::{Sheet, TIME, context, terminal};

struct Now;

impl FormatTime for Now {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(TIME)
    }
}

/// Returns the output of both layers for the same events.
fn both(f: impl FnOnce()) -> (String, String) {
    let theirs = Sheet::default();
    let out = theirs.clone();
    let fmt = tracing_subscriber::fmt::layer()
        .json()
        .with_timer(Now)
        .with_writer(move || out.clone());
    let (terminal, writer) = terminal(Format::SubscriberJson)
        .with_redaction(Redaction::none())
        .build();
    let ours = Sheet::default();
    let out = ours.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    let subscriber = tracing_subscriber::registry()
        .with(terminal.layer())
        .with(fmt);
    tracing::subscriber::with_default(subscriber, f);
    terminal.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
    (ours.text(), theirs.text())
}

fn talk() {
    info!("plain");
    info!(target: "t\"\n", a = 1, "quotes \" and \\ and \u{1b} and \u{7f} and ä\u{2028}");
    let outer = info_span!(
        "outer",
        zebra = 1,
        ant = "a\"b",
        f = 1.0,
        late = tracing::field::Empty
    );
    let _outer = outer.enter();
    outer.record("late", true);
    outer.record("zebra", 2.5e-9);
    debug!(
        yes = true,
        no = false,
        i = -5,
        u = u64::MAX,
        f = 1e21,
        nan = f64::NAN,
        inf = f64::INFINITY
    );
    let inner = info_span!(
        "inner",
        big = u128::MAX,
        small = i128::MIN,
        bytes = &b"abc"[..],
        nan = f64::NAN
    );
    trace!(parent: &inner, big = u128::MAX, small = i128::MIN, bytes = &b"abc"[..], none = Option::<i32>::None);
    let _inner = inner.enter();
    let error = std::io::Error::other("broken");
    error!(error = &error as &dyn Error, d = ?Some("x"), e = %"y", message = 5);
    warn!(parent: None, float = 0.1_f32, neg = -0.0, whole = 100.0, tiny = 1e-7, "root");
    info!(password = "p", url.query = "token=x", "token=x");
    let _empty = info_span!("empty").entered();
    info!("");
}

#[test]
fn lines_are_the_same_to_the_byte() {
    let (ours, theirs) = both(talk);
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours, theirs);
    assert_eq!(ours.lines().count(), 8);
}

#[test]
fn the_ids_stand_behind_the_rest() {
    let (ours, theirs) = both(|| {
        let _guard = current::enter(context());
        let _span = info_span!("s", a = 1).entered();
        info!(b = 2, "m");
    });
    let ids = r#","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}"#;
    assert_eq!(ours, theirs.replace("}]}\n", "}]") + ids + "\n");
}

#[test]
fn of_a_name_that_is_there_twice_the_last_one_stays() {
    let (ours, theirs) = both(|| {
        let _span = info_span!("s", a = 1, a = 2, name = "n").entered();
        info!(b = 1, message = "m", b = 2, "n");
    });
    let doubled = r#"{"message":"n","b":1,"message":"m","b":2}"#;
    assert!(theirs.contains(doubled), "{theirs}");
    let theirs = theirs.replace(doubled, r#"{"message":"m","b":2}"#);
    let doubled = r#"{"a":2,"name":"n","name":"s"}"#;
    assert!(theirs.contains(doubled), "{theirs}");
    assert_eq!(ours, theirs.replace(doubled, r#"{"a":2,"name":"s"}"#));
}
