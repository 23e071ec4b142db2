//! Sizes and times at the ends of their range, for every builder that takes one.

use std::time::Duration;

use barograph::Registry;
use barograph::Telemetry;
use barograph::sampling::TailSamplingConfig;
use barograph::testing::TestBuilder as _;
use barograph_core::record_queue::RecordQueue;
use barograph_tracing::log::{ConsoleLog, RateLimit};

use crate::service::builder;

const TIMES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(60),
    Duration::from_secs(u32::MAX as u64),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];
const SIZES: [usize; 5] = [0, 1, 1000, u32::MAX as usize, usize::MAX];

#[test]
fn no_size_or_time_given_to_a_registry_makes_it_panic() {
    for time in TIMES {
        for size in SIZES {
            let registry = Registry::builder()
                .with_family_limit(size)
                .with_total_limit(size)
                .with_series_limit("orders", size)
                .with_most_labels(size)
                .with_longest_value(size)
                .with_idle_time_to_live(time)
                .build()
                .unwrap();
            let family = registry
                .counter("orders")
                .with_series_limit(size)
                .with_idle_time_to_live(time)
                .build_with_label_names(["kind"]);
            // An empty list of labels is allowed, too.
            let Ok(family) = family else {
                assert_eq!(size, 0);
                continue;
            };
            for kind in ["web", "shop", ""] {
                family.bind(&[kind]).inc();
            }
            let telemetry = builder(&registry)
                .without_listener()
                .with_series_limit("orders", size)
                .with_thread_cell_budget(64 << 20)
                .start()
                .unwrap();
            for _ in 0..2 {
                assert!(telemetry.render(None).body.contains("barograph_series"));
            }
            telemetry.shutdown_blocking();
        }
    }
}

#[test]
fn no_size_or_time_given_to_what_makes_lines_and_spans_makes_it_panic() {
    for size in SIZES {
        let (terminal, _writer) = ConsoleLog::builder()
            .with_capacity(size)
            .with_rate_limit(
                RateLimit::per_second(u32::try_from(size).unwrap_or(u32::MAX))
                    .with_burst(u32::try_from(size).unwrap_or(u32::MAX)),
            )
            .build();
        drop(terminal);
        let _ = TailSamplingConfig::default()
            .with_max_bytes(size)
            .with_max_spans(size);
        let queue = RecordQueue::new(size.min(1 << 20));
        queue.on_batch(size, || {});
        assert!(queue.push(Box::new(1)).is_ok());
    }
}

/// Times and sizes of all parts of a push, all of them at once.
#[cfg(feature = "otlp")]
#[test]
fn no_size_or_time_given_to_a_push_makes_it_panic_or_ends_it() {
    use barograph::export::{RetryPolicy, Schedule};

    use crate::receiver::{Behavior, PROTOCOLS, Receiver};

    for time in TIMES {
        for size in SIZES {
            let receiver = Receiver::start(PROTOCOLS[0], Behavior::Takes);
            let schedule = Schedule::new()
                .with_interval(time)
                .with_timeout(time.max(Duration::from_secs(10)))
                .with_request_timeout(time.max(Duration::from_secs(10)));
            let retry = RetryPolicy::new()
                .with_initial_interval(time)
                .with_max_interval(time)
                .with_max_open(time)
                .with_multiplier(size as f64);
            let registry = Registry::new();
            registry.counter("orders").build().unwrap().add(7);
            let push = receiver
                .push()
                .with_schedule(schedule.clone())
                .with_retry(retry.clone());
            let spans = receiver
                .push_spans()
                .with_schedule(schedule)
                .with_retry(retry)
                .with_queue(size, size);
            let telemetry = builder(&registry)
                .without_listener()
                .with_push(push)
                .with_push(spans)
                .start()
                .unwrap();
            // Also a flush with an unlimited time.
            let limit = time.max(Duration::from_secs(10));
            assert_eq!(telemetry.flush(limit), Ok(()), "{time:?}, {size}");
            assert_eq!(receiver.value("orders"), Some(7));
            let page = telemetry.render(None).body;
            let restarts = page
                .lines()
                .filter(|line| line.starts_with("barograph_export_restarts_total{"));
            let restarts: Vec<_> = restarts.collect();
            assert_eq!(restarts.len(), 2, "{page}");
            assert!(restarts.iter().all(|line| line.ends_with(" 0")), "{page}");
            telemetry.shutdown_blocking();
        }
    }
}

/// The same values from the environment.
#[test]
fn no_number_in_a_variable_keeps_a_service_from_starting() {
    let variables = [
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BLRP_SCHEDULE_DELAY",
        "OTEL_BLRP_EXPORT_TIMEOUT",
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "BAROGRAPH_PERSISTENT_QUEUE_MAX_BYTES",
    ];
    for value in [
        "0",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "1e400",
        "NaN",
    ] {
        let telemetry = Telemetry::builder("shop")
            .with_environment(move |name| match name {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:9".into()),
                name if variables.contains(&name) => Some(value.into()),
                _ => None,
            })
            .with_registry(Registry::new())
            .without_listener()
            .without_logs()
            .without_start_line()
            .without_subscriber()
            .start()
            .unwrap();
        let _ = telemetry.flush(Duration::from_millis(50));
    }
}
