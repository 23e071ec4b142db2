//! The service with oxtel, as in its README. The signals and where they go come from the environment, as
//! for barograph. Its layer writes no access log, so that there is one line for each request.

use std::error::Error;

use axum::{Router, extract::Path, routing::get};
use oxtel_tower::HttpServerLayer;
use tokio::net::TcpListener;

async fn order(Path(id): Path<u64>) -> String {
    metrics::counter!("orders", "kind" => "web").increment(1);
    tracing::info!(id, "order read");
    format!("order {id}")
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let telemetry = oxtel::builder()
        .with_default_service_name("shop")
        .install()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(HttpServerLayer::new().with_access_log(false));
    axum::serve(listener, app)
        .with_graceful_shutdown(super::stopped())
        .await?;
    // So that the receiver gets everything.
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await??;
    Ok(())
}
