//! A service whose requests have child spans and whose orders fail now and then. With the arguments
//! `keep` and a number, tail sampling keeps up to that number of unsampled traces per second.
//!
//! The results of tail sampling are on its page, as `keep.*`.

use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use barograph::{
    Telemetry, counter, histogram, http,
    registry::Registry,
    sampling::{
        Rule,
        tail::{TailSampling, TailSamplingConfig, TailSamplingCounts},
    },
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
async fn main() -> barograph::Result {
    let mut builder = Telemetry::builder("keeping");
    let mut arguments = std::env::args().skip(1);
    if let (Some("keep"), Some(rate)) = (arguments.next().as_deref(), arguments.next()) {
        let rate = rate.parse().expect("`keep` takes a number");
        let config = TailSamplingConfig::new(rate).expect("`keep` takes a rate that is possible");
        let keep = TailSampling::new(config.with_slow(Rule::new(), LONG));
        tell(&keep, Registry::global())?;
        builder = builder.with_tail_sampling(keep);
    }
    let telemetry = builder.start()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(http::layer());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    telemetry.serve(app, address).await
}

fn tell(keep: &TailSampling, registry: &Registry) -> barograph::Result {
    type Count = fn(TailSamplingCounts) -> u64;
    let counts: [(&str, Count); 4] = [
        ("tail_sampling.error", |counts| counts.sampled_error),
        ("tail_sampling.slow", |counts| counts.sampled_slow),
        ("tail_sampling.exemplar", |counts| counts.sampled_exemplar),
        ("tail_sampling.refused", |counts| counts.refused_exemplars),
    ];
    for (name, count) in counts {
        let keep = keep.clone();
        let tell = registry.observable_counter(name).with_unit("{trace}");
        tell.observe(move |observer| observer.observe(count(keep.counts()), &[]))?;
    }
    Ok(())
}
