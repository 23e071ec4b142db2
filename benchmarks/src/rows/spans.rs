//! A span through `tracing`: create it, enter it, one event, leave and close it.
//!
//! Both sides put their spans into a queue that another thread empties and discards; the figure is
//! the cost on the thread that makes the spans. The queues are large enough that no span is
//! dropped.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use barograph_core::record_queue::RecordQueue;
use barograph_model::span::SpanRecord;
use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};
use barograph_tracing::sampling::{AlwaysOff, Decision, ParentBased};
use barograph_tracing::trace::{TraceHandle, TraceLayer};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, OneThread, Subject, Work, expect};
use crate::row::{Contender, Row};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "span_sampled",
        "ns",
        "create, enter, one event, close; exported to a sink that discards",
        || {
            vec![
                Contender::ours(ours(Sampled::Yes, one)),
                Contender::peer(
                    "tracing-opentelemetry",
                    theirs(Sampled::Yes, Extras::Off, one),
                ),
                Contender::shown(
                    "tracing-opentelemetry, as it comes",
                    theirs(Sampled::Yes, Extras::On, one),
                ),
                Contender::shown("the registry alone", bare(one)),
            ]
        },
    ),
    Row::new(
        "span_unsampled",
        "ns",
        "the same, the root of a trace that is not sampled",
        || {
            vec![
                Contender::ours(ours(Sampled::No, one)),
                Contender::peer(
                    "tracing-opentelemetry",
                    theirs(Sampled::No, Extras::Off, one),
                ),
                Contender::shown(
                    "tracing-opentelemetry, as it comes",
                    theirs(Sampled::No, Extras::On, one),
                ),
                Contender::shown("the registry alone", bare(one)),
            ]
        },
    ),
    Row::new(
        "span_unsampled_keep",
        "ns",
        "the same, recorded until it is known that nothing failed",
        || {
            vec![
                Contender::ours(ours(Sampled::Perhaps, one)),
                Contender::shown(
                    "tracing-opentelemetry",
                    theirs(Sampled::No, Extras::Off, one),
                ),
            ]
        },
    ),
    Row::new(
        "span_2_fields",
        "ns",
        "a sampled span of a text and a number, no event",
        || {
            vec![
                Contender::ours(ours(Sampled::Yes, two_fields)),
                Contender::peer(
                    "tracing-opentelemetry",
                    theirs(Sampled::Yes, Extras::Off, two_fields),
                ),
                Contender::shown("the registry alone", bare(two_fields)),
            ]
        },
    ),
];

fn one(_: u64) {
    let span = info_span!("request");
    let _entered = span.enter();
    info!("order taken");
}

fn two_fields(id: u64) {
    let span = info_span!("request", method = "GET", id);
    let _entered = span.enter();
}

#[derive(Clone, Copy, PartialEq)]
enum Sampled {
    Yes,
    No,
    /// Kept only on failure, and nothing fails.
    Perhaps,
}

/// Configures whether the peer adds thread, source location and busy time to each span, which is
/// its default.
#[derive(Clone, Copy, PartialEq)]
enum Extras {
    On,
    Off,
}

const ROOM: usize = 1 << 18;
const BATCH: usize = 512;
/// The encoded size of one of these spans in bytes.
const WRITTEN: usize = 150;

/// Makes spans under a subscriber.
struct Spans<C> {
    dispatch: Dispatch,
    one: fn(u64),
    check: C,
}

impl<C> Work for Spans<C>
where
    C: Fn(u64) -> Result<(), String> + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            for at in range {
                (self.one)(at);
            }
        });
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        (self.check)(done.operations())
    }
}

fn bare(one: fn(u64)) -> Box<dyn Subject> {
    Box::new(OneThread::new(Spans {
        dispatch: Dispatch::new(tracing_subscriber::registry()),
        one,
        check: |_| Ok(()),
    }))
}

fn ours(sampled: Sampled, one: fn(u64)) -> Box<dyn Subject> {
    let sink = Sink::new();
    let mut builder = TraceLayer::builder(sink.queue.clone());
    if sampled != Sampled::Yes {
        builder = builder.with_sampler(ParentBased::new(AlwaysOff));
    }
    if sampled == Sampled::Perhaps {
        let config = TailSamplingConfig::new(10.0).expect("a rate that can be kept to");
        builder = builder.with_tail_sampling(TailSampling::new(config));
    }
    let layer = builder.build();
    let handle = layer.handle();
    Box::new(OneThread::new(Spans {
        dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
        one,
        check: move |spans| sink.check(&handle, sampled, spans),
    }))
}

/// Our queue of spans, and the thread that empties it.
struct Sink {
    queue: RecordQueue<SpanRecord>,
    is_over: Arc<AtomicBool>,
}

impl Sink {
    fn new() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        let alarm = move || {
            // One notification is enough.
            let _ = wake.try_send(());
        };
        let queue = RecordQueue::new(ROOM);
        queue.on_batch(BATCH, alarm);
        let (taken, over) = (queue.clone(), is_over.clone());
        thread::spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            while !over.load(Ordering::Relaxed) {
                if taken.pop_into(&mut batch, BATCH) == 0 {
                    let _ = woken.recv_timeout(Duration::from_millis(100));
                }
                // As the push loop does.
                let bytes = WRITTEN * batch.len();
                taken.recycle(batch.drain(..), bytes);
            }
        });
        Sink { queue, is_over }
    }

    fn check(&self, handle: &TraceHandle, sampled: Sampled, spans: u64) -> Result<(), String> {
        let counts = self.queue.counts();
        let metrics = handle.metrics();
        let (started, exported) = match sampled {
            Sampled::Yes => (metrics.started(Decision::RecordAndSample), spans),
            Sampled::No | Sampled::Perhaps => (metrics.started(Decision::Drop), 0),
        };
        expect("spans started", spans as f64, started as f64)?;
        expect("spans refused", 0.0, counts.refused_full as f64)?;
        expect(
            "spans in the queue",
            exported as f64,
            counts.accepted as f64,
        )
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn theirs(sampled: Sampled, extras: Extras, one: fn(u64)) -> Box<dyn Subject> {
    let exported = Arc::new(AtomicU64::new(0));
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(ROOM)
        .with_max_export_batch_size(BATCH)
        .build();
    let processor = BatchSpanProcessor::builder(Discard(exported.clone()))
        .with_batch_config(batches)
        .build();
    let sampler = match sampled {
        Sampled::Yes => Sampler::AlwaysOn,
        Sampled::No | Sampled::Perhaps => Sampler::AlwaysOff,
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .build();
    let mut layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("benchmarks"));
    if extras == Extras::Off {
        layer = layer
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
    }
    Box::new(OneThread::new(Spans {
        dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
        one,
        check: move |spans| {
            provider.force_flush().map_err(|error| error.to_string())?;
            let expected = if sampled == Sampled::Yes { spans } else { 0 };
            let exported = exported.load(Ordering::Relaxed);
            expect("spans exported", expected as f64, exported as f64)
        },
    }))
}

/// An exporter that counts spans and discards them.
#[derive(Debug)]
struct Discard(Arc<AtomicU64>);

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::InMemorySpanExporter;
    use tracing_subscriber::Layer;
    use tracing_subscriber::registry::Registry;

    use super::*;

    /// During a migration both layers are installed: neither interferes with the other, in either
    /// order.
    #[test]
    fn our_layer_lives_beside_the_other_one() {
        for is_first in [true, false] {
            let exporter = InMemorySpanExporter::default();
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter.clone())
                .build();
            let theirs = tracing_opentelemetry::layer().with_tracer(provider.tracer("benchmarks"));
            let queue = RecordQueue::new(8);
            let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> =
                vec![theirs.boxed(), TraceLayer::new(queue.clone()).boxed()];
            if is_first {
                layers.reverse();
            }
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
                info_span!("outer").in_scope(|| one(0));
                two_fields(1);
            });
            let names = ["request", "outer", "request"];
            let theirs = exporter.get_finished_spans().expect("it is not shut down");
            assert_eq!(
                theirs.iter().map(|span| &*span.name).collect::<Vec<_>>(),
                names
            );
            let ours: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(
                ours.iter().map(|span| &*span.name).collect::<Vec<_>>(),
                names
            );
            let parent = ours[0].parent.map(|parent| parent.span_id);
            assert_eq!(parent, Some(ours[1].context.span_id()));
        }
    }
}
