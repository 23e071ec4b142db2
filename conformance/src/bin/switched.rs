//! `examples/hello` with options that it leaves at their defaults, one per argument.
//!
//! `utf8` keeps UTF-8 names, `created` adds start times to the page.

use axum::{Router, extract::Path, routing::get};
use barograph::{
    HttpServerLayer, Telemetry, counter,
    exposition::{Config, Switch, Translation},
};

async fn order(Path(id): Path<u64>) -> String {
    counter!("orders", kind = "web").inc();
    format!("order {id}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::new();
    for argument in std::env::args().skip(1) {
        config = match argument.as_str() {
            "utf8" => config.with_translation(Translation::NoUtf8EscapingWithSuffixes),
            "created" => config.with_created_lines(Switch::On),
            other => panic!("there is no switch {other}"),
        };
    }
    let telemetry = Telemetry::builder("shop")
        .with_prometheus_config(config)
        .start()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(HttpServerLayer::new());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    telemetry.serve(app, address).await?;
    Ok(())
}
