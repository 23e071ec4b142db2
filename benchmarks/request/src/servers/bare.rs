//! axum without telemetry, the baseline.

use std::error::Error;

use axum::{Router, extract::Path, routing::get};
use tokio::net::TcpListener;

async fn order(Path(id): Path<u64>) -> String {
    format!("order {id}")
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/orders/{id}", get(order));
    axum::serve(listener, app)
        .with_graceful_shutdown(super::stopped())
        .await?;
    Ok(())
}
