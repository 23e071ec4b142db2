//! A layer that disables what none of several filters enables.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{self, Context, Layer};

use super::Filter;

/// A layer that disables the spans and events that none of its filters enables, for the whole
/// subscriber. With layers that have filters of their own, disabled callsites cost nothing.
///
/// ```
/// use barograph_core::record_queue::RecordQueue;
/// use barograph_tracing::filter::{AnyFilter, Filter};
/// use barograph_tracing::log::LogLayer;
/// use barograph_tracing::trace::TraceLayer;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let (spans, records): (Filter, Filter) = ("info".parse()?, "warn".parse()?);
/// let (span_queue, record_queue) = (RecordQueue::new(2048), RecordQueue::new(2048));
/// let subscriber = tracing_subscriber::registry()
///     .with(AnyFilter::new([spans.clone(), records.clone()]))
///     .with(TraceLayer::new(span_queue.clone()).with_own_filter(spans))
///     .with(LogLayer::new(record_queue.clone()).with_own_filter(records));
/// tracing::subscriber::with_default(subscriber, || {
///     let _charge = tracing::info_span!("charge").entered();
///     tracing::info!("left out");
///     tracing::warn!("recorded");
///     assert!(!tracing::enabled!(tracing::Level::DEBUG));
/// });
/// assert!(span_queue.pop().is_some_and(|span| span.name == "charge"));
/// assert!(record_queue.pop().is_some() && record_queue.pop().is_none());
/// # Ok::<(), barograph_tracing::filter::InvalidFilter>(())
/// ```
#[derive(Debug)]
pub struct AnyFilter {
    filters: Vec<Filter>,
}

impl AnyFilter {
    /// Creates a layer of these filters. Without any, everything is disabled.
    pub fn new(filters: impl IntoIterator<Item = Filter>) -> Self {
        AnyFilter {
            filters: filters.into_iter().collect(),
        }
    }
}

impl<S: Subscriber> Layer<S> for AnyFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Each layer asks its own filter, so one that enables the callsite is enough.
        match self.filters.iter().any(|it| it.enables_once(metadata)) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.filters.iter().any(|it| it.enables_once(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hints = self.filters.iter().map(layer::Filter::<S>::max_level_hint);
        hints.max().unwrap_or(Some(LevelFilter::OFF))
    }
}
