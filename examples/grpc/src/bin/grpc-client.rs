//! A gRPC client, which prints the quantities of the given articles: see `grpc-server`.

use std::error::Error;
use std::io::{self, Write as _};

use barograph::{GrpcClientLayer, observe};
use grpc::Article;
use grpc::stock_client::StockClient;
use tonic::Status;
use tonic::transport::Channel;
use tower::Layer as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let articles: Result<Vec<u64>, _> = std::env::args().skip(1).map(|id| id.parse()).collect();
    let articles = articles.map_err(|_| "usage: grpc-client ARTICLE..., a number each")?;
    // A program that ends by itself opens no port for its metrics: it can push them.
    let telemetry = barograph::Telemetry::builder("orders")
        .without_listener()
        .start()?;
    let printed = print(&articles).await;
    // Also after an error, so that its spans are exported.
    telemetry.shutdown().await;
    printed
}

async fn print(articles: &[u64]) -> Result<(), Box<dyn Error>> {
    let host = std::env::var("STOCK_HOST").unwrap_or("127.0.0.1".into());
    let port = std::env::var("STOCK_PORT")
        .unwrap_or("50051".into())
        .parse()?;
    let channel = Channel::from_shared(format!("http://{host}:{port}"))?
        .connect()
        .await?;
    // A channel does not tell the layer where it is connected to.
    let layer = GrpcClientLayer::builder().with_server(&*host, port).build();
    let mut stock = StockClient::new(layer.layer(channel));
    for id in articles {
        // One trace for each article, in which the call and its answer are.
        let call =
            async { Ok::<_, Status>(stock.quantity(Article { id: *id }).await?.into_inner()) };
        let quantity = observe("orders", "look_up", call).await?;
        writeln!(io::stdout(), "{id}: {} pieces", quantity.pieces)?;
    }
    Ok(())
}
