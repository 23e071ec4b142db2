//! A service whose messages are plain text, in the form of generated code.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use barograph_core::current;
use barograph_tower::grpc::{GrpcClient, GrpcClientLayer, GrpcServerLayer};
use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::{self as stream, Stream, StreamExt};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tower::Layer;

/// Serves on the loopback interface, until the test's runtime is dropped.
pub(crate) async fn serve(layer: GrpcServerLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Server::builder().layer(layer).add_service(Shop);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// A client of the service.
pub(crate) struct Orders {
    inner: tonic::client::Grpc<GrpcClient<Channel>>,
}

impl Orders {
    pub(super) async fn connect(address: SocketAddr, layer: &GrpcClientLayer) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Orders {
            inner: tonic::client::Grpc::new(layer.layer(channel)),
        }
    }

    /// Creates a client that connects on its first call.
    pub(crate) fn lazy(endpoint: Endpoint, layer: &GrpcClientLayer) -> Self {
        Orders {
            inner: tonic::client::Grpc::new(layer.layer(endpoint.connect_lazy())),
        }
    }

    pub(super) async fn call(&mut self, path: &'static str, text: &str) -> Result<String, Status> {
        self.inner.ready().await.unwrap();
        let path = PathAndQuery::from_static(path);
        let answer = self.inner.unary(Request::new(text.to_owned()), path, Text);
        Ok(answer.await?.into_inner())
    }

    pub(crate) async fn get(&mut self, text: &str) -> Result<String, Status> {
        self.call("/shop.Orders/Get", text).await
    }

    /// Returns the number of messages.
    pub(super) async fn list(&mut self, text: &str) -> Result<usize, Status> {
        let mut stream = self.stream(text).await?;
        let mut count = 0;
        while stream.message().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Reads one message and drops the stream.
    pub(super) async fn list_first(&mut self, text: &str) {
        let mut stream = self.stream(text).await.unwrap();
        assert!(stream.message().await.unwrap().is_some());
    }

    pub(crate) async fn stream(&mut self, text: &str) -> Result<tonic::Streaming<String>, Status> {
        self.inner.ready().await.unwrap();
        let path = PathAndQuery::from_static("/shop.Orders/List");
        let request = Request::new(text.to_owned());
        let answer = self.inner.server_streaming(request, path, Text).await?;
        Ok(answer.into_inner())
    }
}

#[derive(Clone)]
pub(super) struct Shop;

/// The service inside a wrapper.
#[derive(Clone)]
pub(super) struct Twice<S>(pub(super) S);

impl<S> NamedService for Twice<S> {
    const NAME: &'static str = Shop::NAME;
}

impl<S> Service<http::Request<Body>> for Twice<S>
where
    S: Service<http::Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        self.0.call(request)
    }
}

impl NamedService for Shop {
    const NAME: &'static str = "shop.Orders";
}

impl Service<http::Request<Body>> for Shop {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/shop.Orders/Get" => Grpc::new(Text).unary(Get, request).await,
                "/shop.Orders/List" => Grpc::new(Text).server_streaming(List, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

struct Get;

impl UnaryService<String> for Get {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Response::new(match request.into_inner().as_str() {
                "missing" => return Err(Status::not_found("no such order")),
                "broken" => return Err(Status::internal("broken")),
                "hang" => std::future::pending().await,
                "panic" => panic!("on purpose"),
                "baggage" => current::propagation().baggage().as_str().to_owned(),
                text => format!("{text} at last"),
            }))
        })
    }
}

struct List;

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl ServerStreamingService<String> for List {
    type Response = String;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let text = request.into_inner();
        let count = text.split(' ').next().unwrap().parse().unwrap_or(1);
        let messages = stream::iter((0..count).map(|at: usize| Ok(at.to_string())));
        let messages: Messages = if text.ends_with("broken") {
            Box::pin(messages.chain(stream::once(Err(Status::internal("broken")))))
        } else if text == "endless" {
            Box::pin(messages.chain(stream::pending()))
        } else {
            Box::pin(messages)
        };
        Box::pin(std::future::ready(Ok(Response::new(messages))))
    }
}

/// A codec for messages that are text.
#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Text;
    type Decoder = Text;

    fn encoder(&mut self) -> Text {
        Text
    }

    fn decoder(&mut self) -> Text {
        Text
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(String::from_utf8(bytes.into()).unwrap()))
    }
}
