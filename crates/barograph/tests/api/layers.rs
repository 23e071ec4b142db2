//! The layer in a subscriber of the service: with other layers, behind a reload, and with other
//! filters.

use std::sync::{Arc, Mutex};

use barograph::Registry;
use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::testing::TestBuilder as _;
use tracing::{Dispatch, Event, Subscriber, debug, debug_span, info, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry as Spans, reload};

use crate::push::LIMIT;
use crate::receiver::{Behavior, Receiver};
use crate::service::builder;

/// Records the levels of all events that it receives.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

impl<S: Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }
}

fn telemetry(receiver: &Receiver) -> Telemetry {
    builder(&Registry::new())
        .with_push(receiver.push_spans())
        .without_subscriber()
        .start()
        .unwrap()
}

fn receiver() -> Receiver {
    Receiver::start(Protocol::HttpProtobuf, Behavior::Takes)
}

#[track_caller]
fn names(telemetry: &Telemetry, receiver: &Receiver) -> Vec<String> {
    assert_eq!(telemetry.flush(LIMIT), Ok(()));
    let mut names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    names
}

#[test]
fn filters_of_ours_are_not_those_of_others() {
    let receiver = receiver();
    let with_spans = telemetry(&receiver);
    let nothing_pushed = builder(&Registry::new())
        .without_subscriber()
        .start()
        .unwrap();
    let disabled = builder(&Registry::new())
        .with_environment(|name| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned()))
        .without_subscriber()
        .start()
        .unwrap();
    for telemetry in [&with_spans, &nothing_pushed, &disabled] {
        let levels = Levels::default();
        let subscriber = Spans::default()
            .with(telemetry.layer())
            .with(levels.clone());
        tracing::subscriber::with_default(subscriber, || {
            info_span!("shown").in_scope(|| {
                debug_span!("hidden").in_scope(|| debug!("said"));
                info!("said");
            });
        });
        let levels = levels.0.lock().unwrap().clone();
        assert_eq!(levels, [tracing::Level::DEBUG, tracing::Level::INFO]);
    }
    assert_eq!(names(&with_spans, &receiver), ["shown"]);
}

#[test]
fn the_layer_is_given_once() {
    let telemetry = builder(&Registry::new())
        .without_subscriber()
        .start()
        .unwrap();
    assert!(telemetry.layer::<Spans>().is_some());
    assert!(telemetry.layer::<Spans>().is_none());
}

#[test]
fn levels_change_while_the_service_runs() {
    let receiver = receiver();
    let telemetry = telemetry(&receiver);
    let subscriber = Dispatch::new(Spans::default().with(telemetry.layer()));
    let record = || {
        tracing::dispatcher::with_default(&subscriber, || {
            info_span!("coarse").in_scope(|| drop(debug_span!("fine")));
        });
    };
    record();
    assert_eq!(names(&telemetry, &receiver), ["coarse"]);
    // With the subscriber of a single thread, levels are evaluated on that thread.
    let set = |directives| {
        tracing::dispatcher::with_default(&subscriber, || telemetry.filters().spans.set(directives))
    };
    set("off").unwrap();
    record();
    assert_eq!(names(&telemetry, &receiver), ["coarse"]);
    set("debug").unwrap();
    record();
    assert_eq!(names(&telemetry, &receiver), ["coarse", "coarse", "fine"]);
    assert!(set("info,=,[").is_err());
    record();
    assert_eq!(names(&telemetry, &receiver).len(), 5);
}

#[test]
fn levels_of_spans_are_not_those_of_records() {
    let receiver = receiver();
    let telemetry = builder(&Registry::new())
        .with_environment(|name| (name == "BAROGRAPH_SPANS").then(|| "debug".to_owned()))
        .with_push(receiver.push_spans())
        .with_push(receiver.push_records())
        .without_subscriber()
        .start()
        .unwrap();
    let subscriber = Spans::default().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        debug_span!("fine").in_scope(|| debug!("said"));
    });
    assert_eq!(names(&telemetry, &receiver), ["fine"]);
    assert_eq!(receiver.records().len(), 0);
}

/// A service that migrates from one to the other.
#[test]
fn ours_works_beside_that_of_opentelemetry() {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    let receiver = receiver();
    let telemetry = telemetry(&receiver);
    let theirs = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(theirs.clone())
        .build();
    let tracer = provider.tracer("shop");
    let other = tracing_opentelemetry::layer().with_tracer(tracer);
    let subscriber = Spans::default().with(other).with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        info_span!("outer", otel.kind = "server").in_scope(|| {
            info_span!("inner").in_scope(|| info!("said"));
        });
    });
    assert_eq!(names(&telemetry, &receiver), ["inner", "outer"]);
    let theirs = theirs.get_finished_spans().unwrap();
    let of_theirs: Vec<_> = theirs.iter().map(|span| &*span.name).collect();
    assert_eq!(of_theirs, ["inner", "outer"]);
    // Each has its own ids, so only one of the two may write them into headers.
    let ours = receiver.spans();
    assert_eq!(ours[0].parent_span_id, ours[1].span_id);
    assert_ne!(
        ours[0].trace_id,
        theirs[0].span_context.trace_id().to_bytes()
    );
}

/// A service whose subscriber is older than its telemetry.
#[test]
fn the_layer_may_come_late() {
    let receiver = receiver();
    let telemetry = telemetry(&receiver);
    let (place, late) = reload::Layer::new(None::<Box<dyn Layer<Spans> + Send + Sync>>);
    let levels = Levels::default();
    let subscriber = Dispatch::new(Spans::default().with(place).with(levels.clone()));
    let record = || {
        tracing::dispatcher::with_default(&subscriber, || {
            info_span!("outer").in_scope(|| {
                debug_span!("fine").in_scope(|| debug!("said"));
                info_span!("inner").in_scope(|| info!("said"));
            });
        });
    };
    record();
    // Interests are evaluated again, on the thread that has the subscriber.
    let late = |layer| tracing::dispatcher::with_default(&subscriber, || late.reload(layer));
    late(telemetry.reload_layer()).unwrap();
    record();
    assert_eq!(names(&telemetry, &receiver), ["inner", "outer"]);
    let spans = receiver.spans();
    let [inner, outer] =
        ["inner", "outer"].map(|name| spans.iter().find(|span| span.name == name).unwrap());
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert_eq!(levels.0.lock().unwrap().len(), 4);
}
