use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_tracing::log::{Colors, ConsoleLog, Format, RateLimit};
use barograph_tracing::observe::Operation;
use tracing::info;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::sheet::{NOW, Sheet, TIME, terminal, written};

#[test]
fn each_callsite_has_a_limit_of_its_own() {
    let limit = RateLimit::per_second(2).with_burst(3);
    let clock = ManualClock::at(NOW);
    let builder = ConsoleLog::builder()
        .with_format(Format::Json)
        .with_clock(clock.clone())
        .with_rate_limit(limit);
    let output = written(builder, || {
        let talk = |n: u32| {
            for n in 0..n {
                info!(n, "much");
            }
        };
        talk(10);
        info!("little");
        clock.advance(Duration::from_millis(500));
        talk(10);
        clock.advance(Duration::from_secs(10));
        talk(1);
    });
    let of = |message: &str| {
        let message = format!("\"message\":\"{message}\"");
        output
            .lines()
            .filter(|line| line.contains(&message))
            .count()
    };
    assert_eq!((of("much"), of("little")), (5, 1), "{output}");
    let suppressed: Vec<_> = output
        .lines()
        .filter_map(|line| line.split_once("\"suppressed\":"))
        .map(|(_, number)| number)
        .collect();
    assert_eq!(suppressed, ["7}", "9}"], "{output}");
}

#[test]
fn suppressed_lines_are_reported_after_silence_too() {
    let builder = terminal(Format::Pretty(Colors::Off)).with_rate_limit(RateLimit::per_second(1));
    let mut line = 0;
    let output = written(builder, || {
        for _ in 0..5 {
            line = line!() + 1;
            info!(target: "shop", "much");
        }
    });
    let notice = format!("4 more like the line of {}:{line}", file!());
    assert_eq!(
        output,
        format!("{TIME}  INFO shop: much\n{TIME}  WARN shop: {notice}\n")
    );
}

#[test]
fn a_flush_writes_the_number_of_suppressed_lines() {
    let limit = RateLimit::per_second(1);
    let (console, writer) = terminal(Format::Pretty(Colors::Off))
        .with_rate_limit(limit)
        .build();
    let output = Sheet::default();
    let writes = std::thread::spawn({
        let output = output.clone();
        move || writer.run(output)
    });
    let subscriber = tracing_subscriber::registry().with(console.layer());
    let line = line!() + 3;
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..5 {
            info!(target: "shop", "much");
        }
    });
    console.flush(Duration::from_secs(10)).unwrap();
    // The process may end now, without a shutdown of the writer.
    let flushed = output.text();
    let notice = format!("4 more like the line of {}:{line}", file!());
    assert_eq!(
        flushed,
        format!("{TIME}  INFO shop: much\n{TIME}  WARN shop: {notice}\n")
    );
    console.shutdown(Duration::from_secs(10)).unwrap();
    writes.join().unwrap();
    assert_eq!(output.text(), flushed, "it is written once");
}

#[test]
fn a_noisy_operation_does_not_hide_another_one() {
    let fail = |name: &'static str, error: &'static str| {
        let failed: Result<(), _> = Err(std::io::Error::other(error));
        let _ = Operation::new("Store", name).run_sync(|| failed);
    };
    let builder = terminal(Format::Pretty(Colors::Off)).with_rate_limit(RateLimit::per_second(1));
    let output = written(builder, || {
        (0..5).for_each(|_| fail("SELECT", "busy"));
        fail("INSERT", "full");
    });
    let failures: Vec<_> = output
        .lines()
        .filter(|line| line.contains("failed"))
        .collect();
    assert_eq!(failures.len(), 2, "{output}");
    assert!(
        failures[0].contains("busy") && failures[1].contains("full"),
        "{output}"
    );
    assert!(!output.contains("src/observe"), "{output}");
}

#[test]
fn each_of_many_flushes_writes_the_number_of_its_suppressed_lines_concurrently() {
    let (console, writer) = terminal(Format::Pretty(Colors::Off))
        .with_rate_limit(RateLimit::per_second(1))
        .build();
    let output = Sheet::default();
    let out = output.clone();
    let thread = std::thread::spawn(move || writer.run(out));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(console.layer()));
    let reported = |text: &str| -> u64 {
        let notices = text
            .lines()
            .filter_map(|line| line.split_once(" more like "));
        let counts = notices.filter_map(|(start, _)| start.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..50 {
                    tracing::dispatcher::with_default(&dispatch, || info!("much"));
                    let dropped = console.counts().dropped_rate;
                    console.flush(Duration::from_secs(20)).unwrap();
                    assert!(reported(&output.text()) >= dropped);
                }
            });
        }
    });
    console.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
    assert_eq!(reported(&output.text()), console.counts().dropped_rate);
}
