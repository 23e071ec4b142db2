//! A service logs the same lines with and without a push.

use std::fmt;

use barograph::Telemetry;
use tracing::info;

use crate::look;

/// Logs while it is formatted.
struct Logs;

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!("logged while formatted");
        f.write_str("logs")
    }
}

/// Logs when its thread ends.
struct LogsAtTheEnd;

impl Drop for LogsAtTheEnd {
    fn drop(&mut self) {
        info!("logged by a destructor");
    }
}

thread_local! {
    static LOGS_AT_THE_END: LogsAtTheEnd = const { LogsAtTheEnd };
}

#[test]
fn pushing_costs_no_line() {
    let test = "pushing::pushing_costs_no_line";
    let push = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1");
    for variables in [&[][..], &[push]] {
        let Some(seen) = look(test, variables) else {
            let telemetry = Telemetry::builder("shop")
                .without_start_line()
                .start()
                .unwrap();
            info!(logs = %Logs, "outer");
            let thread = std::thread::spawn(|| {
                // Initialized before the thread-locals of `tracing`, so that it is dropped after
                // them.
                LOGS_AT_THE_END.with(|_| ());
                info!("logged by a thread");
            });
            thread.join().unwrap();
            drop(telemetry);
            return;
        };
        for line in [
            "logged while formatted",
            "outer logs=logs",
            "logged by a thread",
            "logged by a destructor",
        ] {
            let lines = seen.err.lines().filter(|written| written.ends_with(line));
            assert_eq!(lines.count(), 1, "{variables:?} {line}: {}", seen.err);
        }
    }
}
