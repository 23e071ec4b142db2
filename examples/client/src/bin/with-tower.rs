//! Fetches URLs with a stack of tower layers: `cargo run --release -p client --bin with-tower --
//! http://127.0.0.1:8080/orders/7`, while `hello` runs.

use std::error::Error;
use std::io::{self, Write as _};
use std::time::Duration;

use barograph::{HttpClientLayer, Telemetry};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // A program that ends by itself opens no port for its metrics: it can push them.
    let telemetry = Telemetry::builder("client").without_listener().start()?;
    let fetched = fetch(std::env::args().skip(1)).await;
    // Also after an error, so that its spans are exported.
    telemetry.shutdown().await;
    fetched
}

async fn fetch(urls: impl Iterator<Item = String>) -> Result<(), Box<dyn Error + Send + Sync>> {
    // A layer that retries belongs above the layer of barograph, so that each attempt has a span.
    let mut client = ServiceBuilder::new()
        .timeout(Duration::from_secs(5))
        .layer(HttpClientLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());
    for url in urls {
        let request = Request::get(&url).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect();
        let body = body.await?.to_bytes();
        writeln!(
            io::stdout(),
            "{url}: {status}: {}",
            String::from_utf8_lossy(&body)
        )?;
    }
    Ok(())
}

/// The most bytes of a body that are read.
const LONGEST_BODY: usize = 1 << 20;
