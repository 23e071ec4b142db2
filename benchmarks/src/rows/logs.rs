//! An event with three fields and a message, inside a span with two fields: as a JSON log line, and as
//! a log record for export.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use barograph_core::current;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_tracing::log::{ConsoleLog, Format, LogLayer};
use opentelemetry::trace::{self as otel, TraceContextExt as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter as OtelLogExporter,
    SdkLoggerProvider,
};
use oxtel_sdk::logs::{
    BatchConfig, ExportError, LocalFormat, LocalLayer, LogExporter, LogRecord, LoggerProvider,
};
use oxtel_sdk::trace::TracerProvider;
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, OneThread, Subject, Work, expect};
use crate::row::{Contender, Row};
use crate::rows::oxtel::resource;
use crate::rows::sink::{BATCH, CAPACITY, RecordSink};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "log_line_json",
        "ns",
        "an event of 3 fields in a span of 2, to a writer that discards; ours with ids",
        || {
            vec![
                Contender::ours(line(Format::Json)),
                Contender::peer("oxtel", oxtel_line()),
                Contender::peer("tracing-subscriber", tracing_line()),
            ]
        },
    ),
    Row::new(
        "log_record",
        "ns",
        "the same event as a record with ids and source location, to a sink that discards",
        || {
            vec![
                Contender::ours(record()),
                Contender::peer("oxtel", oxtel_record(Location::On)),
                Contender::peer("opentelemetry-appender-tracing", otel_record()),
                Contender::shown("oxtel, as it comes", oxtel_record(Location::Off)),
            ]
        },
    ),
];

/// Lines of barograph go through a buffer to another thread; the figure is the cost on the thread
/// that logs.
fn line(format: Format) -> Box<dyn Subject> {
    let (terminal, writer) = ConsoleLog::builder()
        .with_format(format)
        // Large enough for all lines that arrive while the other thread is not scheduled.
        .with_capacity(16 << 20)
        .build();
    std::thread::spawn(|| writer.run(io::sink()));
    let subscriber = tracing_subscriber::registry().with(terminal.layer());
    events(Dispatch::new(subscriber), entered, move |lines| {
        let flushed = terminal.flush(Duration::from_secs(10));
        flushed.map_err(|error| error.to_string())?;
        let counts = terminal.counts();
        expect("lines", lines as f64, counts.offered as f64)?;
        expect("lines written", lines as f64, counts.written as f64)
    })
}

/// The line has the trace ids, which the layer of the spans provides.
fn oxtel_line() -> Box<dyn Subject> {
    let spans = TracerProvider::builder().with_span_events(false).build();
    let written = Arc::new(AtomicU64::new(0));
    let lines = LocalLayer::new(LocalFormat::Json).with_writer(CountLines {
        lines: 0,
        written: written.clone(),
    });
    let subscriber = tracing_subscriber::registry()
        .with(spans.layer())
        .with(lines);
    events(
        Dispatch::new(subscriber),
        || (),
        move |lines| {
            let written = written.load(Ordering::Relaxed);
            expect("lines written", lines as f64, written as f64)
        },
    )
}

fn tracing_line() -> Box<dyn Subject> {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(io::sink);
    let subscriber = tracing_subscriber::registry().with(lines);
    events(Dispatch::new(subscriber), || (), |_| Ok(()))
}

fn record() -> Box<dyn Subject> {
    let sink = RecordSink::new();
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(sink.queue()));
    events(Dispatch::new(subscriber), entered, move |records| {
        sink.expect(records)
    })
}

/// The source location in the records of oxtel. barograph always adds it; oxtel does not by default.
#[derive(Clone, Copy, PartialEq)]
enum Location {
    On,
    Off,
}

/// The two layers, as its documentation shows: the one of the spans provides the trace ids.
fn oxtel_record(location: Location) -> Box<dyn Subject> {
    let spans = TracerProvider::builder().with_span_events(false).build();
    let config = BatchConfig {
        max_queue_size: CAPACITY,
        max_export_batch_size: BATCH,
        ..BatchConfig::logs()
    };
    let records = LoggerProvider::builder()
        .with_resource(resource())
        .with_code_attributes(location == Location::On)
        .with_batch_exporter_config(Discard, config)
        .build();
    let subscriber = tracing_subscriber::registry()
        .with(spans.layer())
        .with(records.layer());
    events(
        Dispatch::new(subscriber),
        || (),
        move |made| {
            records.force_flush().map_err(|error| error.to_string())?;
            let stats = records.stats();
            expect("records dropped", 0.0, stats.dropped as f64)?;
            expect("records exported", made as f64, stats.exported as f64)
        },
    )
}

/// It takes the trace ids from the current context. Without its experimental features it has no source
/// location.
fn otel_record() -> Box<dyn Subject> {
    let exported = Arc::new(AtomicU64::new(0));
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(CAPACITY)
        .with_max_export_batch_size(BATCH)
        .build();
    let processor = BatchLogProcessor::builder(Count(exported.clone()))
        .with_batch_config(batches)
        .build();
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(processor)
        .build();
    let bridge = OpenTelemetryTracingBridge::new(&provider);
    let subscriber = tracing_subscriber::registry().with(bridge);
    let context = otel::SpanContext::new(
        otel::TraceId::from(TRACE),
        otel::SpanId::from(SPAN),
        otel::TraceFlags::SAMPLED,
        false,
        otel::TraceState::NONE,
    );
    let enter = move || {
        let context = opentelemetry::Context::new().with_remote_span_context(context.clone());
        context.attach()
    };
    events(Dispatch::new(subscriber), enter, move |records| {
        provider.force_flush().map_err(|error| error.to_string())?;
        let exported = exported.load(Ordering::Relaxed);
        expect("records exported", records as f64, exported as f64)
    })
}

/// Makes events under a subscriber, while the guard is held that `enter` returns.
fn events<G, E, C>(dispatch: Dispatch, enter: E, check: C) -> Box<dyn Subject>
where
    G: 'static,
    E: Fn() -> G + Send + Sync + 'static,
    C: Fn(u64) -> Result<(), String> + Send + Sync + 'static,
{
    Box::new(OneThread::new(Events {
        dispatch,
        enter,
        check,
    }))
}

struct Events<E, C> {
    dispatch: Dispatch,
    enter: E,
    check: C,
}

impl<G, E, C> Work for Events<E, C>
where
    E: Fn() -> G + Send + Sync,
    C: Fn(u64) -> Result<(), String> + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            let _context = (self.enter)();
            let _span = info_span!("request", method = "GET", route = "/orders/{id}").entered();
            for id in range {
                info!(id, price = 12.5, customer = "ACME Ltd.", "order taken");
            }
        });
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        (self.check)(done.operations())
    }
}

/// A writer that counts lines and discards them.
struct CountLines {
    lines: u64,
    /// The same count, for the thread that checks it.
    written: Arc<AtomicU64>,
}

impl Write for CountLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The layer writes each line in one piece.
        self.lines += u64::from(line.ends_with(b"\n"));
        self.written.store(self.lines, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An exporter that discards records; the processor counts them.
struct Discard;

impl LogExporter for Discard {
    fn export(
        &self,
        _batch: &[LogRecord],
        _resource: &oxtel_sdk::Resource,
    ) -> Result<(), ExportError> {
        Ok(())
    }
}

/// An exporter that counts records and discards them.
#[derive(Debug)]
struct Count(Arc<AtomicU64>);

impl OtelLogExporter for Count {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count() as u64;
        self.0.fetch_add(records, Ordering::Relaxed);
        Ok(())
    }
}

/// Enters a trace context of barograph.
fn entered() -> Option<current::ContextGuard> {
    TraceContext::new(TRACE, SPAN, TraceFlags::SAMPLED).map(current::enter)
}

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;
