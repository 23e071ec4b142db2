//! A worker without HTTP of its own: it takes jobs until SIGTERM or Ctrl-C, finishes the one that it
//! has, and sends what was recorded. `cargo run --release -p worker`, then `kill` it.
//!
//! A second one on the same machine starts all the same: it says that its port is taken, and has it as
//! soon as the first one ends.

use std::time::Duration;

use barograph::{counter, observe};

/// Waits for a job, which is a number here.
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
async fn main() -> barograph::Result {
    let telemetry = barograph::init("worker")?;
    let mut job = 0;
    loop {
        job = tokio::select! {
            () = telemetry.shutdown_signal() => break,
            job = next(job) => job,
        };
        // Not in the `select!`: a signal does not stop it.
        work(job).await?;
    }
    telemetry.shutdown().await;
    Ok(())
}
