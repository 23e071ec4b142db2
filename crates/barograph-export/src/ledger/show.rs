//! The metrics of ledgers.
//!
//! The `otel.sdk.*` metrics follow OpenTelemetry's conventions. The `barograph.export.*` metrics show
//! the account itself, so that it can be checked in a scrape: produced = exported + queued + dropped.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "SDK metrics" (development).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::{FamilyView, HistogramValue, Point, Source, Value};

use super::by_error_type::{ByErrorType, Durations, ErrorType};
use super::{Account, Ledger, QueueOperation, Reason};
use barograph_encode::otlp::Signal;

/// A metric source that shows ledgers. All ledgers of a process belong in one source, because a family
/// may appear only once in a scrape.
#[derive(Clone, Debug)]
pub struct LedgerSource {
    ledgers: Arc<[Ledger]>,
}

impl LedgerSource {
    /// Creates a source that shows these ledgers.
    pub fn new(ledgers: impl IntoIterator<Item = Ledger>) -> Self {
        LedgerSource {
            ledgers: ledgers.into_iter().collect(),
        }
    }

    fn account(&self, families: &mut Vec<Family>) {
        let family = |name, kind, help| Family::new(name, "{item}", kind, help);
        let mut produced = family(
            "barograph.export.produced",
            Kind::Counter,
            "Data points, spans and log records produced for export. With a persistent queue the count \
             continues after a restart; after a kill, without those that were only in memory.",
        );
        let mut exported = family(
            "barograph.export.exported",
            Kind::Counter,
            "Items that a receiver accepted.",
        );
        let mut queued = family(
            "barograph.export.queued",
            Kind::UpDownCounter,
            "Items that wait in a queue, in memory or in the persistent queue.",
        );
        let mut dropped = family(
            "barograph.export.dropped",
            Kind::Counter,
            "Items that will not be delivered, by reason.",
        );
        let mut restarts = Family::new(
            "barograph.export.restarts",
            "{restart}",
            Kind::Counter,
            "Restarts of a pipeline after a panic.",
        );
        for ledger in &*self.ledgers {
            let labels = pipeline_labels(ledger);
            let Account {
                totals,
                queued: waiting,
                ..
            } = ledger.account();
            let start = known(totals.start_unix_nano);
            produced.count(&labels, totals.produced, start);
            exported.count(&labels, totals.exported, start);
            queued.count(&labels, waiting, None);
            restarts.count(&labels, ledger.restarts(), known(ledger.inner.born));
            for (reason, count) in Reason::ALL.into_iter().zip(totals.dropped) {
                let labels = [labels[0], labels[1], ("reason", reason.as_str())];
                dropped.count(&labels, count, start);
            }
        }
        families.extend([produced, exported, queued, dropped, restarts]);
    }

    fn persistent_queues(&self, families: &mut Vec<Family>) {
        let mut usable = Family::new(
            "barograph.export.persistent_queue.usable",
            "",
            Kind::Gauge,
            "1 if the persistent queue can be used; 0 if requests wait in memory only, because it cannot be \
             opened, read or written, or its directory was removed and cannot be created again.",
        );
        let mut failures = Family::new(
            "barograph.export.persistent_queue.failures",
            "{failure}",
            Kind::Counter,
            "Failed attempts to open, read or write the persistent queue.",
        );
        for ledger in &*self.ledgers {
            let Some(queue) = ledger.inner.queue.get() else {
                continue;
            };
            let labels = pipeline_labels(ledger);
            let is_usable = queue.is_usable.load(Ordering::Relaxed);
            usable.count(&labels, is_usable.into(), None);
            let start = known(ledger.inner.born);
            for (operation, kinds) in QueueOperation::ALL.iter().zip(&queue.failures) {
                kinds.read(|kind, count| {
                    let labels = [
                        labels[0],
                        labels[1],
                        ("operation", operation.as_str()),
                        ("error.type", kind.as_deref().unwrap_or_default()),
                    ];
                    failures.count(&labels, *count, start);
                });
            }
        }
        families.extend([usable, failures]);
    }

    /// Adds the exporter families of one signal.
    fn exporter(&self, signal: Signal, item: &str, unit: &str, families: &mut Vec<Family>) {
        let family = |name: &str, kind, help| {
            Family::new(
                &format!("otel.sdk.exporter.{item}.{name}"),
                unit,
                kind,
                help,
            )
        };
        let mut exported = family(
            "exported",
            Kind::Counter,
            "Items whose export has ended; with error.type, those whose export failed.",
        );
        let mut inflight = family(
            "inflight",
            Kind::UpDownCounter,
            "Items whose export is in progress.",
        );
        for ledger in self.of(signal) {
            let totals = ledger.snapshot();
            let start = known(totals.start_unix_nano);
            let labels = exporter_labels(ledger, &None);
            exported.count(&refs(&labels), totals.exported, start);
            inflight.count(&refs(&labels), ledger.inflight(), None);
            ledger.inner.failed.read(|kind, count| {
                let labels = exporter_labels(ledger, kind);
                exported.count(&refs(&labels), *count, start);
            });
        }
        if !exported.rows.is_empty() {
            families.extend([exported, inflight]);
        }
    }

    /// Adds the queue families of one signal.
    fn processor(&self, signal: Signal, item: &str, unit: &str, families: &mut Vec<Family>) {
        let family = |name: &str, kind, help| {
            Family::new(
                &format!("otel.sdk.processor.{item}.{name}"),
                unit,
                kind,
                help,
            )
        };
        let mut size = family("queue.size", Kind::UpDownCounter, "Items in the queue.");
        let mut capacity = family(
            "queue.capacity",
            Kind::UpDownCounter,
            "Items that the queue can hold.",
        );
        let mut processed = family(
            "processed",
            Kind::Counter,
            "Items that were passed to the exporter; with error.type, those that were not.",
        );
        let component = format!("batching_{item}_processor");
        for ledger in self.of(signal) {
            let Some(records) = ledger.inner.records.get() else {
                continue;
            };
            let account = ledger.account();
            let start = known(ledger.inner.born);
            let name = format!("{component}/{}", ledger.reader());
            let labels = [
                ("otel.component.type", &*component),
                ("otel.component.name", &name),
            ];
            size.count(&labels, account.waiting, None);
            capacity.count(&labels, records.capacity() as u64, None);
            processed.count(&labels, account.taken, start);
            for (error, count) in [
                ("queue_full", account.refused),
                ("already_shutdown", account.too_late),
            ] {
                let labels = [labels[0], labels[1], ("error.type", error)];
                processed.count(&labels, count, start);
            }
        }
        families.extend([size, capacity, processed]);
    }

    fn durations(&self, families: &mut Vec<Family>) {
        let mut operations = Family::new(
            "otel.sdk.exporter.operation.duration",
            "s",
            Kind::Histogram,
            "Duration of the export of a request, including all its attempts.",
        );
        let mut collections = Family::new(
            "otel.sdk.metric_reader.collection.duration",
            "s",
            Kind::Histogram,
            "Duration of collecting and encoding all metrics for a reader.",
        );
        for ledger in &*self.ledgers {
            let inner = &ledger.inner;
            operations.durations(&inner.operations, ledger, |kind| {
                exporter_labels(ledger, kind)
            });
            if ledger.signal() != Signal::Metrics {
                continue;
            }
            let name = format!("periodic_metric_reader/{}", ledger.reader());
            collections.durations(&inner.collections, ledger, |kind| {
                let mut labels = vec![
                    ("otel.component.type", "periodic_metric_reader".to_owned()),
                    ("otel.component.name", name.clone()),
                ];
                labels.extend(error_label(kind));
                labels
            });
        }
        families.extend([operations, collections]);
    }

    fn of(&self, signal: Signal) -> impl Iterator<Item = &Ledger> {
        let ledgers = self.ledgers.iter();
        ledgers.filter(move |ledger| ledger.signal() == signal)
    }
}

impl Source for LedgerSource {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        let mut families = Vec::new();
        self.account(&mut families);
        self.persistent_queues(&mut families);
        let metrics = (Signal::Metrics, "metric_data_point", "{data_point}");
        let spans = (Signal::Traces, "span", "{span}");
        let logs = (Signal::Logs, "log", "{log_record}");
        for (signal, item, unit) in [metrics, spans, logs] {
            self.exporter(signal, item, unit, &mut families);
        }
        for (signal, item, unit) in [spans, logs] {
            self.processor(signal, item, unit, &mut families);
        }
        self.durations(&mut families);
        let filled = families
            .into_iter()
            .filter(|family| !family.rows.is_empty());
        filled
            .map(|family| Arc::new(family) as Arc<dyn FamilyView>)
            .collect()
    }
}

/// Returns the time at which counts begin, if it is known.
fn known(start_unix_nano: u64) -> Option<u64> {
    (start_unix_nano > 0).then_some(start_unix_nano)
}

fn pipeline_labels(ledger: &Ledger) -> [(&str, &str); 2] {
    [
        ("signal", ledger.signal().as_str()),
        ("reader", ledger.reader()),
    ]
}

fn exporter_labels(ledger: &Ledger, kind: &ErrorType) -> Vec<(&'static str, String)> {
    let target = &ledger.inner.target;
    let mut labels = vec![
        ("otel.component.type", target.component_type.to_owned()),
        (
            "otel.component.name",
            format!("{}/{}", target.component_type, ledger.reader()),
        ),
        ("server.address", target.host.clone()),
    ];
    labels.extend(target.port.map(|port| ("server.port", port.to_string())));
    labels.extend(error_label(kind));
    labels
}

fn error_label(kind: &ErrorType) -> Option<(&'static str, String)> {
    kind.as_ref().map(|kind| ("error.type", kind.to_string()))
}

fn refs<'a>(labels: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    labels
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect()
}

/// A family at the moment it was collected.
struct Family {
    descriptor: Arc<Descriptor>,
    rows: Vec<Row>,
}

struct Row {
    labels: PackedLabels,
    cells: Cells,
    start_unix_nano: Option<u64>,
}

enum Cells {
    Count(u64),
    Durations(Durations),
}

impl Family {
    fn new(name: &str, unit: &str, kind: Kind, help: &str) -> Self {
        let mut descriptor = Descriptor::new(name, kind);
        descriptor.unit = unit.into();
        descriptor.help = help.into();
        descriptor.bounds = (kind == Kind::Histogram).then(Bounds::http_seconds);
        Family {
            descriptor: Arc::new(descriptor),
            rows: Vec::new(),
        }
    }

    fn count(&mut self, labels: &[(&str, &str)], count: u64, start_unix_nano: Option<u64>) {
        self.rows.push(Row {
            labels: labels.iter().copied().collect(),
            cells: Cells::Count(count),
            start_unix_nano,
        });
    }

    fn durations(
        &mut self,
        kinds: &ByErrorType<Durations>,
        ledger: &Ledger,
        labels: impl Fn(&ErrorType) -> Vec<(&'static str, String)>,
    ) {
        let start = known(ledger.snapshot().start_unix_nano);
        kinds.read(|kind, durations| {
            self.rows.push(Row {
                labels: refs(&labels(kind)).into_iter().collect(),
                cells: Cells::Durations(durations.clone()),
                start_unix_nano: start,
            });
        });
    }
}

impl FamilyView for Family {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        // There is a row for each pipeline and reason or kind of error: few enough to show at once.
        for (index, row) in self.rows.iter().enumerate().skip(from) {
            let value = match (&row.cells, &self.descriptor.bounds) {
                (Cells::Count(count), _) => Value::U64(*count),
                (Cells::Durations(durations), Some(bounds)) => Value::Histogram(HistogramValue {
                    bounds,
                    buckets: &durations.buckets,
                    sum: durations.sum,
                    has_negative: false,
                }),
                (Cells::Durations(_), None) => continue,
            };
            let mut point = Point::new(index, row.labels.inline(), value);
            point.start_unix_nano = row.start_unix_nano;
            show(&point);
        }
        None
    }
}
