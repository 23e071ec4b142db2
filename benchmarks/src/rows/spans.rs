//! A span through `tracing`: create it, enter it, one event, leave and close it.
//!
//! Both sides put their spans into a queue that another thread empties and discards; the figure is
//! the cost on the thread that makes the spans. The queues are large enough that no span is
//! dropped.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};
use barograph_tracing::sampling::{AlwaysOff, Decision, ParentBased};
use barograph_tracing::trace::TraceLayer;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use oxtel_sdk::trace as oxtel_trace;
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, OneThread, Subject, Work, expect};
use crate::row::{Contender, Row};
use crate::rows::oxtel::resource;
use crate::rows::sink::{BATCH, CAPACITY, RecordSink};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "span_sampled",
        "ns",
        "create, enter, one event, close; exported to a sink that discards",
        || {
            vec![
                Contender::ours(ours(Sampled::Yes, one)),
                Contender::peer("oxtel", oxtel(Sampled::Yes, one)),
                Contender::peer(
                    "tracing-opentelemetry",
                    theirs(Sampled::Yes, Extras::Off, one),
                ),
                Contender::shown("oxtel, as it comes", oxtel_as_it_comes(Sampled::Yes, one)),
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
                Contender::peer("oxtel", oxtel(Sampled::No, one)),
                Contender::peer(
                    "tracing-opentelemetry",
                    theirs(Sampled::No, Extras::Off, one),
                ),
                Contender::shown("oxtel, as it comes", oxtel_as_it_comes(Sampled::No, one)),
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
                Contender::peer("oxtel", oxtel(Sampled::Yes, two_fields)),
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
    let sink = RecordSink::new();
    let mut builder = TraceLayer::builder(sink.queue());
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
        check: move |spans| {
            let (decision, exported) = match sampled {
                Sampled::Yes => (Decision::RecordAndSample, spans),
                Sampled::No | Sampled::Perhaps => (Decision::Drop, 0),
            };
            let started = handle.metrics().started(decision);
            expect("spans started", spans as f64, started as f64)?;
            sink.expect(exported)
        },
    }))
}

fn theirs(sampled: Sampled, extras: Extras, one: fn(u64)) -> Box<dyn Subject> {
    let exported = Arc::new(AtomicU64::new(0));
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(CAPACITY)
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

/// The layer alone, as its documentation shows.
fn oxtel(sampled: Sampled, one: fn(u64)) -> Box<dyn Subject> {
    let provider = oxtel_spans(oxtel_trace::TracerProvider::builder(), sampled).build();
    Box::new(OneThread::new(Spans {
        dispatch: Dispatch::new(tracing_subscriber::registry().with(provider.layer())),
        one,
        check: move |spans| {
            provider.force_flush().map_err(|error| error.to_string())?;
            expect_exported(provider.stats(), sampled, spans)
        },
    }))
}

/// The subscriber that its `init` installs, without log lines: the layer has a filter, which the
/// directives `info` make, and makes spans from events of some libraries.
fn oxtel_as_it_comes(sampled: Sampled, one: fn(u64)) -> Box<dyn Subject> {
    let telemetry = oxtel::builder()
        .with_resource(resource())
        .without_env_exporters()
        .without_local_logs()
        .with_traces_filter("info")
        .with_traces(move |builder| oxtel_spans(builder, sampled))
        .build()
        .expect("no configuration file is set");
    Box::new(OneThread::new(Spans {
        dispatch: telemetry.dispatch().clone(),
        one,
        check: move |spans| {
            let provider = telemetry.guard().tracer_provider();
            let provider = provider.ok_or("spans are not exported")?;
            provider.force_flush().map_err(|error| error.to_string())?;
            expect_exported(provider.stats(), sampled, spans)
        },
    }))
}

fn oxtel_spans(
    builder: oxtel_trace::TracerProviderBuilder,
    sampled: Sampled,
) -> oxtel_trace::TracerProviderBuilder {
    let sampler = match sampled {
        Sampled::Yes => oxtel_trace::Sampler::AlwaysOn,
        Sampled::No | Sampled::Perhaps => oxtel_trace::Sampler::AlwaysOff,
    };
    let config = oxtel_trace::BatchConfig {
        max_queue_size: CAPACITY,
        max_export_batch_size: BATCH,
        ..oxtel_trace::BatchConfig::default()
    };
    builder
        .with_resource(resource())
        .with_sampler(oxtel_trace::Sampler::ParentBased(Box::new(sampler)))
        .with_batch_exporter_config(DiscardBorrowed, config)
}

fn expect_exported(
    stats: oxtel_trace::ProcessorStats,
    sampled: Sampled,
    spans: u64,
) -> Result<(), String> {
    let expected = if sampled == Sampled::Yes { spans } else { 0 };
    expect("spans dropped", 0.0, stats.dropped as f64)?;
    expect("spans exported", expected as f64, stats.exported as f64)
}

/// An exporter that discards spans; the processor counts them.
struct DiscardBorrowed;

impl oxtel_trace::SpanExporter for DiscardBorrowed {
    fn export(
        &self,
        _batch: &[oxtel_trace::SpanData],
        _resource: &oxtel_sdk::Resource,
    ) -> Result<(), oxtel_trace::ExportError> {
        Ok(())
    }
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
    use barograph_core::record_queue::RecordQueue;
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
