//! The smallest service: `cargo run --release -p hello`, then
//! `curl 127.0.0.1:8080/orders/7` and `curl 127.0.0.1:9464/metrics`.

use axum::{Router, extract::Path, routing::get};
use barograph::{HttpServerLayer, counter};

async fn order(Path(id): Path<u64>) -> String {
    counter!("orders", kind = "web").inc();
    tracing::info!(id, "order read");
    format!("order {id}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = barograph::init("shop")?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(HttpServerLayer::new());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:8080".into());
    telemetry.serve(app, address).await?;
    Ok(())
}
