//! A service whose requests have child spans and whose orders fail now and then. With a number as its
//! argument, tail sampling exports up to that number of unsampled traces per second.
//!
//! The counts of tail sampling are on its page, as `tail_sampling.*`.

use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use barograph::{
    HttpServerLayer, Registry, TailSampling, Telemetry, counter, histogram,
    sampling::{Rule, TailSamplingConfig, TailSamplingCounts},
};

/// One in `FAILING` orders fails.
const FAILING: u64 = 100;
/// One in `SLOW` orders is slow.
const SLOW: u64 = 150;
const LONG: Duration = Duration::from_millis(60);

async fn order(Path(id): Path<u64>) -> String {
    counter!("orders", kind = "web").inc();
    look_up(id).await;
    format!("order {id}")
}

#[tracing::instrument]
async fn look_up(id: u64) {
    histogram!("lookup.size").observe((id % 64) as f64);
    tracing::info!("order looked up");
    if id.is_multiple_of(SLOW) {
        tokio::time::sleep(LONG).await;
    }
    if id.is_multiple_of(FAILING) {
        tracing::error!(code = 17, "order is gone");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Telemetry::builder("tail-sampling");
    if let Some(rate) = std::env::args().nth(1) {
        let rate = rate.parse().expect("the argument is a number");
        let config = TailSamplingConfig::new(rate).expect("the rate is possible");
        let tail_sampling = TailSampling::new(config.with_slow(Rule::new(), LONG));
        observe_counts(&tail_sampling, Registry::global())?;
        builder = builder.with_tail_sampling(tail_sampling);
    }
    let telemetry = builder.start()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(HttpServerLayer::new());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    telemetry.serve(app, address).await?;
    Ok(())
}

fn observe_counts(
    tail_sampling: &TailSampling,
    registry: &Registry,
) -> Result<(), Box<dyn std::error::Error>> {
    type Count = fn(TailSamplingCounts) -> u64;
    let counts: [(&str, Count); 4] = [
        ("tail_sampling.error", |counts| counts.sampled_error),
        ("tail_sampling.slow", |counts| counts.sampled_slow),
        ("tail_sampling.exemplar", |counts| counts.sampled_exemplar),
        ("tail_sampling.refused", |counts| counts.refused_exemplars),
    ];
    for (name, count) in counts {
        let tail_sampling = tail_sampling.clone();
        let counter = registry.observable_counter(name).with_unit("{trace}");
        counter.observe(move |observer| observer.observe(count(tail_sampling.counts()), &[]))?;
    }
    Ok(())
}
