//! The events and spans that a subscriber sees, as lines.

use std::fmt::{self, Write as _};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{self, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Writes down spans when they close, and events with the span they are in.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<String>>>);

impl Capture {
    /// Runs `f` with this as the subscriber. Returns the lines.
    pub(crate) fn of<T>(f: impl FnOnce() -> T) -> (T, Vec<String>) {
        // While there is only one subscriber, a thread without one may disable callsites for all
        // threads. So there are always two more.
        static OTHERS: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
        LazyLock::force(&OTHERS);
        let capture = Capture::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone());
        let given = tracing::subscriber::with_default(subscriber, f);
        let lines = std::mem::take(&mut *capture.0.lock().unwrap());
        (given, lines)
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: layer::Context<'_, S>) {
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        ctx.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: layer::Context<'_, S>) {
        // Formatted first: a panic must not poison the lock of the extensions.
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        let span = ctx.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        extensions.get_mut::<Fields>().unwrap().0 += &fields.0;
    }

    fn on_event(&self, event: &Event<'_>, ctx: layer::Context<'_, S>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let span = ctx.event_span(event).map_or("-", |span| span.name());
        let level = event.metadata().level();
        self.push(format!("{level} in {span}:{}", fields.0));
    }

    fn on_close(&self, id: Id, ctx: layer::Context<'_, S>) {
        let span = ctx.span(&id).unwrap();
        let parent = span.parent().map_or("-", |parent| parent.name());
        let (level, name) = (span.metadata().level(), span.name());
        let fields = &span.extensions().get::<Fields>().unwrap().0.clone();
        self.push(format!("{level} span {name} < {parent}:{fields}"));
    }
}

/// Returns the output of a future that needs no runtime.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// Polls a future once, and drops it.
pub(crate) fn once<F: Future>(future: F) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_pending());
}

/// Is pending at the first poll.
pub(crate) fn pause() -> impl Future<Output = ()> {
    struct Pause(bool);
    impl Future for Pause {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }
    Pause(false)
}
