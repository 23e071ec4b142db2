//! Prints how long a line of a page and a point of an OTLP request take.
//!
//! `cargo run --release -p barograph-encode --example encode_speed -- [SERIES [ROW]]`
//!
//! The families are synthetic: the source costs next to nothing, so only the encoding is timed. Each
//! figure is the best of several rounds, on one thread.
#![expect(
    clippy::print_stdout,
    reason = "it prints a table, and that is all it does"
)]

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use barograph_encode::otlp::{Encoding, MetricReader};
use barograph_encode::prometheus::{Compression, Config, Escaping, Exposition, Format, Negotiated};
use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::Labels;
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, HistogramValue, Point, Source, Value};

fn main() {
    let argument = std::env::args().nth(1).map(|text| text.parse());
    let series = match argument.transpose() {
        Ok(series) => series.unwrap_or(1_000_000),
        Err(error) => return eprintln!("expected a number of series: {error}"),
    };
    let filter = std::env::args().nth(2).unwrap_or_default();
    let counters = Column::new(Kind::Counter, series, |i| Cell::U64(i * 7919 % 1_000_000));
    let floats = Column::new(Kind::Counter, series, |i| {
        Cell::F64(i as f64 * 0.001 + 0.0003)
    });
    let histograms = Column::new(Kind::Histogram, series / 17, Cell::Buckets);
    let text = Negotiated::new(Format::Text0_0_4, Escaping::Underscores);
    let open_metrics = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Underscores);
    for (name, column, negotiated) in [
        ("counters, text", &counters, text),
        ("counters, OpenMetrics", &counters, open_metrics),
        ("counters with fractions, text", &floats, text),
        ("histograms, text", &histograms, text),
        ("histograms, OpenMetrics", &histograms, open_metrics),
        (
            "counters, text, gzip",
            &counters,
            text.with_compression(Compression::Gzip),
        ),
        (
            "histograms, text, gzip",
            &histograms,
            text.with_compression(Compression::Gzip),
        ),
    ] {
        if !name.contains(&filter) {
            continue;
        }
        let source: Arc<dyn Source> = Arc::new(Shown(Arc::clone(column)));
        let exposition = Exposition::new(Config::new(), &Resource::new(), [source]);
        measure(
            name,
            "line",
            negotiated.content_encoding().is_some(),
            || {
                let mut page = exposition.page(negotiated);
                let bytes = page.by_ref().map(|chunk| chunk.len()).sum();
                assert!(page.report().is_clean(), "{:?}", page.report());
                (bytes, page.report().series() * column.lines())
            },
        );
    }
    for (name, column, encoding) in [
        ("counters, OTLP", &counters, Encoding::Protobuf),
        ("histograms, OTLP", &histograms, Encoding::Protobuf),
        ("counters, OTLP JSON", &counters, Encoding::Json),
    ] {
        if !name.contains(&filter) {
            continue;
        }
        let source: Arc<dyn Source> = Arc::new(Shown(Arc::clone(column)));
        let mut reader = MetricReader::new(&Resource::new(), [source]).with_encoding(encoding);
        measure(name, "point", false, || {
            let (mut bytes, mut points) = (0, 0);
            reader.begin(SystemTime::now());
            while let Some(request) = reader.next_request() {
                bytes += request.body.len();
                points += request.items;
                reader.ack();
            }
            (bytes, points)
        });
    }
}

/// Prints the best time of `encode`, which returns the numbers of bytes and of lines or points.
fn measure(name: &str, item: &str, is_slow: bool, mut encode: impl FnMut() -> (usize, u64)) {
    let rounds = if is_slow { 3 } else { 10 };
    let mut best = f64::INFINITY;
    let (mut bytes, mut items) = encode();
    for _ in 0..rounds {
        let began = Instant::now();
        (bytes, items) = encode();
        best = best.min(began.elapsed().as_secs_f64());
    }
    let (ns, mb) = (best * 1e9 / items as f64, bytes as f64 / 1e6);
    println!(
        "{name:<32} {items:>8} {item}s {mb:>7.1} MB {:>7.1} ms {ns:>6.1} ns/{item}",
        best * 1e3
    );
}

/// Series of one family, packed as a registry packs them.
struct Column {
    descriptor: Arc<Descriptor>,
    text: String,
    ends: Vec<[u16; 5]>,
    starts: Vec<usize>,
    cells: Vec<Cell>,
}

enum Cell {
    U64(u64),
    F64(f64),
    Buckets(u64),
}

impl Column {
    fn new(kind: Kind, series: u64, cell: impl Fn(u64) -> Cell) -> Arc<Self> {
        let mut descriptor = Descriptor::new("http.server.requests", kind);
        descriptor.help = "Requests served.".into();
        descriptor.label_names = ["method", "route", "status", "region", "instance"]
            .map(Into::into)
            .into();
        if kind == Kind::Histogram {
            descriptor.bounds = Some(Bounds::http_seconds());
        }
        let mut column = Column {
            descriptor: Arc::new(descriptor),
            text: String::new(),
            ends: Vec::new(),
            starts: vec![0],
            cells: (0..series).map(cell).collect(),
        };
        const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
        const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];
        for i in 0..series as usize {
            let values = [
                METHODS[i % 5].to_owned(),
                format!("/api/v1/item{}", i / 5 % 5000),
                (200 + i % 7).to_string(),
                REGIONS[i % 3].to_owned(),
                format!("pod-{}", i / 25_000),
            ];
            let start = column.text.len();
            column.ends.push(values.map(|value| {
                column.text.push_str(&value);
                u16::try_from(column.text.len() - start).expect("five short values")
            }));
            column.starts.push(column.text.len());
        }
        Arc::new(column)
    }

    fn lines(&self) -> u64 {
        match &self.descriptor.bounds {
            Some(bounds) => bounds.buckets() as u64 + 2,
            None => 1,
        }
    }
}

struct Shown(Arc<Column>);

struct ColumnView(Arc<Column>);

impl Source for Shown {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        vec![Arc::new(ColumnView(Arc::clone(&self.0)))]
    }
}

impl FamilyView for ColumnView {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.0.descriptor)
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        const BATCH: usize = 256;
        let column = &*self.0;
        let end = (from + BATCH).min(column.cells.len());
        let mut buckets = [0; 15];
        for i in from..end {
            let text = &column.text[column.starts[i]..column.starts[i + 1]];
            let names = &column.descriptor.label_names;
            let labels = Labels::fixed(names, &column.ends[i], text, true);
            let value = match column.cells[i] {
                Cell::U64(value) => Value::U64(value),
                Cell::F64(value) => Value::F64(value),
                Cell::Buckets(seed) => {
                    for (bucket, k) in buckets.iter_mut().zip(1..) {
                        *bucket = seed.wrapping_mul(k * 2_654_435_761) % 1000;
                    }
                    Value::Histogram(HistogramValue {
                        bounds: column
                            .descriptor
                            .bounds
                            .as_ref()
                            .expect("a histogram has bounds"),
                        buckets: &buckets,
                        sum: seed as f64 * 0.37,
                        has_negative: false,
                    })
                }
            };
            show(&Point::new(i, labels, value));
        }
        (end < column.cells.len()).then_some(end)
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
