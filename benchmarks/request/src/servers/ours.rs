//! The service with barograph, as in `examples/hello`.

use std::error::Error;

use axum::{Router, extract::Path, routing::get};
use barograph::{HttpServerLayer, counter};
use tokio::net::TcpListener;

async fn order(Path(id): Path<u64>) -> String {
    counter!("orders", kind = "web").inc();
    tracing::info!(id, "order read");
    format!("order {id}")
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let telemetry = barograph::init("shop")?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(HttpServerLayer::new());
    telemetry.server(app).serve(listener).await?;
    Ok(())
}
