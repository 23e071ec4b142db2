//! Collects spans for tests.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use barograph_core::record_queue::RecordQueue;
use barograph_model::context::{SpanId, TraceContext};
use barograph_model::span::{SpanRecord, Status};
use barograph_model::value::AnyValue;
use barograph_tracing::trace::TraceLayer;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The spans that have ended, in this order.
#[derive(Debug)]
pub struct Spans {
    queue: RecordQueue<SpanRecord>,
    seen: Mutex<Vec<Seen>>,
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its trace and span id.
    pub context: TraceContext,
    /// The id of its parent.
    pub parent: Option<SpanId>,
    /// The contexts that it has links to.
    pub links: Vec<TraceContext>,
    /// The attributes as text, with the name, kind and status as fields of `tracing`.
    pub fields: BTreeMap<String, String>,
    /// The events in the span.
    pub events: Vec<String>,
}

impl Seen {
    /// Returns a field, or an empty text if it was not recorded.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        self.field("otel.name")
    }

    /// Returns true if `other` is the parent of this span.
    pub fn is_child_of(&self, other: &Seen) -> bool {
        self.parent == Some(other.context.span_id())
            && self.context.trace_id() == other.context.trace_id()
    }
}

impl From<SpanRecord> for Seen {
    fn from(record: SpanRecord) -> Self {
        let mut fields: BTreeMap<_, _> = record
            .attributes
            .iter()
            .map(|attribute| (attribute.key.to_string(), text(&attribute.value)))
            .collect();
        fields.insert("otel.name".into(), record.name.into());
        fields.insert("otel.kind".into(), record.kind.as_str().into());
        if let Status::Error { .. } = record.status {
            fields.insert("otel.status_code".into(), "ERROR".into());
        }
        Seen {
            context: record.context,
            parent: record.parent.map(|parent| parent.span_id),
            links: record.links.iter().map(|link| link.context).collect(),
            fields,
            events: record.events.into_iter().map(|e| e.name.into()).collect(),
        }
    }
}

fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::Str(text) => text.to_string(),
        AnyValue::I64(number) => number.to_string(),
        AnyValue::Bool(value) => value.to_string(),
        other => panic!("{other:?}"),
    }
}

impl Spans {
    /// Collects the spans of this thread until the guard is dropped.
    pub fn collect() -> (Self, DefaultGuard) {
        // While there is only one subscriber, a thread without one may disable callsites for all
        // threads. So there are always two more.
        static OTHERS: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
        LazyLock::force(&OTHERS);
        let queue = RecordQueue::new(2048);
        // The libraries used by the tests have spans too.
        let ours = |target: &str| target.starts_with("barograph") || target.starts_with("api");
        let ours = filter_fn(move |metadata| ours(metadata.target()));
        let layer = TraceLayer::new(queue.clone()).with_filter(ours);
        let subscriber = tracing_subscriber::registry().with(layer);
        let spans = Spans {
            queue,
            seen: Mutex::default(),
        };
        (spans, tracing::subscriber::set_default(subscriber))
    }

    /// Returns all spans that have ended so far.
    pub fn all(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap();
        while let Some(record) = self.queue.pop() {
            seen.push((*record).into());
        }
        seen.clone()
    }

    /// Returns the only span that has ended.
    #[track_caller]
    pub fn one(&self) -> Seen {
        let all = self.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// Returns the only span with this name.
    #[track_caller]
    pub fn named(&self, name: &str) -> Seen {
        let mut all = self.all();
        all.retain(|span| span.name() == name);
        assert_eq!(all.len(), 1, "{name}: {:?}", self.all());
        all.remove(0)
    }
}
