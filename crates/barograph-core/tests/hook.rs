//! A report hook that records. The hook belongs to the process, so this test has its own process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_core::{Counter, Family};

static FAMILY: OnceLock<Family<Counter, [&str; 1]>> = OnceLock::new();
static REPORTS: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_report_hook_may_record_into_the_family_that_it_is_told_of() {
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        let registry = Registry::builder()
            .with_series_limit("c", 20)
            .with_longest_value(300)
            .build()
            .unwrap();
        let family =
            FAMILY.get_or_init(|| registry.counter("c").build_with_label_names(["k"]).unwrap());
        report::set_hook(|report| {
            REPORTS.fetch_add(1, Ordering::Relaxed);
            FAMILY.get().unwrap().with(&[&report.message]).inc();
        });
        family.with(&[&"x".repeat(301)]).inc();
        for i in 0..30 {
            family.with(&[&i.to_string()]).inc();
        }
        done.send(()).unwrap();
    });
    let result = is_done.recv_timeout(Duration::from_secs(120));
    result.expect("it panicked, or waits for itself");
    // A value too long, 80 %, 95 %, and full.
    assert_eq!(REPORTS.load(Ordering::Relaxed), 4);
}
