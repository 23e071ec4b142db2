//! A gRPC server: `cargo run --release -p grpc --bin grpc-server`, then
//! `cargo run --release -p grpc --bin grpc-client -- 7` and `curl 127.0.0.1:9464/metrics`.

use std::error::Error;

use barograph::{GrpcServerLayer, counter};
use grpc::stock_server::{Stock, StockServer};
use grpc::{Article, Quantity};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

struct Shelves;

#[async_trait]
impl Stock for Shelves {
    async fn quantity(&self, request: Request<Article>) -> Result<Response<Quantity>, Status> {
        let Article { id } = request.into_inner();
        if id == 0 {
            return Err(Status::not_found("no article has the number 0"));
        }
        counter!("stock.lookups").inc();
        tracing::info!(id, "quantity looked up");
        let pieces = u32::try_from(id % 10).unwrap_or_default();
        Ok(Response::new(Quantity { pieces }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = barograph::init("stock")?;
    let address = std::env::var("STOCK_ADDR").unwrap_or("127.0.0.1:50051".into());
    let listener = TcpListener::bind(&address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    // The names of its services make the labels known from the first call on.
    let layer = GrpcServerLayer::builder()
        .with_services(["shop.Stock"])
        .build();
    Server::builder()
        .layer(layer)
        .add_service(StockServer::new(Shelves))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), telemetry.shutdown_signal())
        .await?;
    telemetry.shutdown().await;
    Ok(())
}
