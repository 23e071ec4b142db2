//! Fetches URLs with reqwest: `cargo run --release -p client --bin with-reqwest --
//! http://127.0.0.1:8080/orders/7`, while `hello` runs.
//!
//! `OTEL_TRACES_EXPORTER=console` prints its spans; the log line of `hello` has the same trace id.

use std::error::Error;
use std::io::{self, Write as _};

use barograph::{HttpClientLayer, HttpClientMiddleware, Telemetry};
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A program that ends by itself opens no port for its metrics: it can push them.
    let telemetry = Telemetry::builder("client").without_listener().start()?;
    let fetched = fetch(std::env::args().skip(1)).await;
    // Also after an error, so that its spans are exported.
    telemetry.shutdown().await;
    fetched
}

async fn fetch(urls: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(HttpClientMiddleware::from(HttpClientLayer::new()))
        .build();
    for url in urls {
        let response = client.get(&url).send().await?;
        let status = response.status();
        let body = response.text().await?;
        writeln!(io::stdout(), "{url}: {status}: {body}")?;
    }
    Ok(())
}
