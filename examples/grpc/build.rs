//! Generates the server and the client of `shop.Stock`. A service with a `.proto` file calls
//! `tonic_prost_build::compile_protos` instead, which needs `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let quantity = Method::builder()
        .name("quantity")
        .route_name("Quantity")
        .input_type("crate::Article")
        .output_type("crate::Quantity")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let stock = Service::builder()
        .package("shop")
        .name("Stock")
        .method(quantity)
        .build();
    Builder::new().compile(&[stock]);
}
