//! Tests that a year without a receiver needs little memory, and that the accounting stays correct.
//!
//! This is a separate binary, since it counts the allocations of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use barograph_encode::otlp::{MetricReader, Request, Signal, Temporalities};
use barograph_export::{
    Driver, Ledger, Outcome, Pipeline, Reason, Retryable, Schedule, Target, Transport,
};
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::PackedLabels;
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, Point, Source, Value};
use tokio::time::sleep;

#[global_allocator]
static COUNTING: Counting = Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: each call is forwarded to the system's allocator with the layout it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller upholds the conditions that the system's allocator requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A counter with some series.
struct Series(Arc<Descriptor>);

const SERIES: u64 = 20;

impl Source for Series {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        vec![Arc::new(Series(Arc::clone(&self.0)))]
    }
}

impl FamilyView for Series {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.0)
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        for index in 0..SERIES {
            let text = index.to_string();
            let labels: PackedLabels = [("number", &*text)].into_iter().collect();
            show(&Point::new(
                index as usize,
                labels.inline(),
                Value::U64(index + 1),
            ));
        }
        None
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}

/// A transport that never reaches a receiver. With `may_have_arrived`, whether a receiver got the
/// request is unknown.
struct Nobody {
    target: Target,
    may_have_arrived: bool,
    attempts: Arc<AtomicUsize>,
}

impl Transport for Nobody {
    fn send<'a>(
        &'a mut self,
        _request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        self.attempts.fetch_add(1, Relaxed);
        let may_have_arrived = self.may_have_arrived;
        Box::pin(async move {
            Outcome::Retryable(Retryable {
                error_type: "connect".into(),
                message: "nobody is there".to_owned(),
                retry_after: None,
                may_have_arrived,
            })
        })
    }

    fn target(&self) -> &Target {
        &self.target
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_year_without_a_receiver_takes_no_more_than_a_day() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let readers = [
        ("sums", Temporalities::CUMULATIVE, true),
        ("differences", Temporalities::DELTA, false),
        ("kept", Temporalities::DELTA, true),
    ];
    let source: Arc<dyn Source> =
        Arc::new(Series(Arc::new(Descriptor::new("orders", Kind::Counter))));
    let mut ledgers = Vec::new();
    let pipelines: Vec<_> = readers
        .into_iter()
        .map(|(name, temporalities, may_have_arrived)| {
            let target = Target::default();
            let ledger = Ledger::new(Signal::Metrics, name, &target);
            ledgers.push(ledger.clone());
            let source = MetricReader::new(&Resource::new(), [Arc::clone(&source)])
                .with_temporalities(temporalities);
            let attempts = Arc::clone(&attempts);
            let transport = Nobody {
                target,
                may_have_arrived,
                attempts,
            };
            // Export cycles that are rare enough for a year to pass quickly. With one every minute,
            // there is an attempt every five minutes.
            let schedule = Schedule::new().with_interval(Duration::from_secs(900));
            Pipeline::new(ledger, Box::new(source), Box::new(transport)).with_schedule(schedule)
        })
        .collect();
    let (mut driver, handle) = Driver::new(pipelines);
    let running = tokio::spawn(async move { driver.run().await });
    sleep(DAY).await;
    let (held, most) = (HELD.load(Relaxed), MOST.load(Relaxed));
    for _ in 0..364 {
        sleep(DAY).await;
    }
    let grown = HELD.load(Relaxed).saturating_sub(held);
    assert!(grown < 64 << 10, "{grown} bytes more than after a day");
    let peak = MOST.load(Relaxed) - most;
    assert!(
        peak < 256 << 10,
        "a peak {peak} bytes higher than that of the first day"
    );
    // One attempt for each cycle of each of the three pipelines.
    let attempts = attempts.load(Relaxed);
    let expected = 3 * 365 * 24 * 4;
    assert!(attempts.abs_diff(expected) < 200, "{attempts} attempts");
    for ledger in &ledgers {
        let totals = ledger.snapshot();
        assert_eq!(ledger.queued(), SERIES, "{}", ledger.reader());
        assert_eq!(totals.produced, totals.settled() + ledger.queued());
        assert_eq!(totals.exported, 0);
    }
    let _ = handle.shutdown_async(Duration::from_secs(1)).await;
    let _ = running.await;
    for ledger in &ledgers {
        let totals = ledger.snapshot();
        assert_eq!(ledger.queued(), 0);
        assert_eq!(totals.produced, totals.settled());
        assert_eq!(totals.dropped[Reason::Shutdown as usize], SERIES);
    }
    let kept = &ledgers[2].snapshot();
    assert_eq!(kept.produced, SERIES, "one request, sent again and again");
}
