//! A worker without an HTTP server: it processes jobs until SIGTERM or Ctrl-C, finishes the current
//! one, and exports what was recorded. Run `cargo run --release -p worker`, then `kill` it.
//!
//! A second worker on the same machine starts, too: it logs that its port is taken, and gets the port
//! as soon as the first one ends.

use std::time::Duration;

use barograph::{counter, observe};

/// Waits for a job; a job is a number in this example.
async fn next(job: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(100)).await;
    job + 1
}

#[observe(service = "worker")]
async fn work(job: u64) -> Result<(), std::io::Error> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    counter!("jobs").inc();
    tracing::info!(job, "job done");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = barograph::init("worker")?;
    let mut job = 0;
    loop {
        job = tokio::select! {
            () = telemetry.shutdown_signal() => break,
            job = next(job) => job,
        };
        // Outside of the `select!`, so that a signal does not cancel it.
        work(job).await?;
    }
    telemetry.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use barograph::assert_telemetry;
    use barograph::testing::Capture;

    #[tokio::test]
    async fn a_job_is_an_operation_that_is_counted_and_logged() {
        let capture = Capture::new();
        let work = capture.run_async(super::work(7));
        assert!(work.await.is_ok());
        assert_telemetry!(
            capture,
            r#"
                counter jobs{} 1
                histogram operation.duration{operation.name="work", operation.service="worker"} count=1 sum=0 unit=s
                span worker/work internal {..}
                  log INFO worker "job done" {job=7}
            "#
        );
        capture.assert_conventions();
    }
}
