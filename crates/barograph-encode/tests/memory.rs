//! Tests that pages and requests with many series need little memory, however many series there
//! are.
//!
//! This is a separate binary, since it counts the allocations of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use barograph_encode::otlp::{Encoding, MetricReader, Temporalities};
use barograph_encode::prometheus::{Compression, Config, Escaping, Exposition, Format, Negotiated};
use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::PackedLabels;
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, HistogramValue, Point, Source, Value};

#[global_allocator]
static COUNTING: Counting = Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static TIMES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn grow(bytes: usize) {
    TIMES.fetch_add(1, Relaxed);
    MOST.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: each call is forwarded to the system's allocator with the layout it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller upholds the conditions that the system's allocator requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A family whose series exist only while they are read.
struct Series {
    descriptor: Arc<Descriptor>,
    count: usize,
}

impl Series {
    fn source(kind: Kind, count: usize) -> Arc<dyn Source> {
        let mut descriptor = Descriptor::new("series", kind);
        descriptor.label_names = ["number".into(), "text".into()].into();
        descriptor.bounds = Some(Bounds::http_seconds());
        Arc::new(Series {
            descriptor: Arc::new(descriptor),
            count,
        })
    }
}

impl Source for Series {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        vec![Arc::new(Series {
            descriptor: Arc::clone(&self.descriptor),
            count: self.count,
        })]
    }
}

impl FamilyView for Series {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let end = (from + 256).min(self.count);
        for i in from..end {
            let mut values = PackedLabels::default();
            values.push(&i.to_string());
            values.push(if i % 50 == 0 {
                "to be \"escaped\"\n"
            } else {
                "plain"
            });
            let labels = values.fixed(&self.descriptor.label_names);
            let buckets = [i as u64; 15];
            let value = match (self.descriptor.kind, &self.descriptor.bounds) {
                (Kind::Histogram, Some(bounds)) => Value::Histogram(HistogramValue {
                    bounds,
                    buckets: &buckets,
                    sum: i as f64,
                    has_negative: false,
                }),
                _ => Value::U64(i as u64),
            };
            show(&Point::new(i, labels, value));
        }
        (end < self.count).then_some(end)
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}

/// Returns the maximum memory held while a page is read, without its chunks; the chunks are kept if
/// `keep` is set, like a body in memory.
fn peak_beyond_chunks(source: &Arc<dyn Source>, compression: Compression, keep: bool) -> usize {
    let exposition = Exposition::new(Config::new(), &Resource::new(), [Arc::clone(source)]);
    let negotiated =
        Negotiated::new(Format::Text0_0_4, Escaping::Underscores).with_compression(compression);
    let mut kept = Vec::with_capacity(if keep { 100_000 } else { 0 });
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let mut page = exposition.page(negotiated);
    let mut handed_out = 0;
    for chunk in &mut page {
        if keep {
            handed_out += chunk.len();
            kept.push(chunk);
        }
    }
    assert!(page.report().is_clean() && page.report().series() > 0);
    MOST.load(Relaxed) - before - handed_out
}

/// One test, since both parts count the allocations of the whole process.
#[test]
fn pages_and_requests_need_little_memory() {
    a_page_of_a_million_series_holds_less_than_a_mebibyte();
    requests_are_written_without_an_allocation_for_a_point();
}

fn requests_are_written_without_an_allocation_for_a_point() {
    const POINTS: usize = 50_000;
    for kind in [Kind::Counter, Kind::Histogram] {
        let source = Series::source(kind, POINTS);
        let before = TIMES.load(Relaxed);
        let view = &source.collect()[0];
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = view.read(from, &mut |_| {});
        }
        let by_the_source = TIMES.load(Relaxed) - before;
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            for temporalities in [Temporalities::CUMULATIVE, Temporalities::DELTA] {
                let mut reader = MetricReader::new(&Resource::new(), [Arc::clone(&source)])
                    .with_encoding(encoding)
                    .with_temporalities(temporalities);
                let before = TIMES.load(Relaxed);
                reader.begin(SystemTime::now());
                let mut points = 0;
                while let Some(request) = reader.next_request() {
                    points += request.items as usize;
                    reader.ack();
                }
                // The series at zero has not changed, so it has no delta.
                assert!(points >= POINTS - 1, "{points}");
                let times = TIMES.load(Relaxed) - before - by_the_source;
                assert!(
                    times < POINTS / 50,
                    "{times} allocations, {kind:?}, {encoding:?}, {temporalities:?}"
                );
            }
        }
    }
}

fn a_page_of_a_million_series_holds_less_than_a_mebibyte() {
    const MIB: usize = 1 << 20;
    let counters = Series::source(Kind::Counter, 1_000_000);
    let few_counters = Series::source(Kind::Counter, 50_000);
    let histograms = Series::source(Kind::Histogram, 5_000);
    for (source, compression, keep) in [
        (&counters, Compression::Identity, true),
        (&few_counters, Compression::Gzip, false),
        (&histograms, Compression::Identity, true),
        (&histograms, Compression::Gzip, true),
    ] {
        let most = peak_beyond_chunks(source, compression, keep);
        assert!(most < MIB, "{most} bytes, {compression:?}, kept: {keep}");
    }
}
