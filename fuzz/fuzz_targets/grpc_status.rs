//! For any response to a gRPC call, both sides record an existing status code, and only gRPC
//! responses make a path an RPC method.
#![no_main]

use std::convert::Infallible;
use std::future::ready;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use barograph::{GrpcClientLayer, GrpcServerLayer};
use barograph_model::grpc::Code;
use barograph::source::Source;
use barograph::Registry;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, Service, service_fn};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    status: u16,
    head: Vec<(u8, &'a [u8])>,
    trailers: Option<Vec<(u8, &'a [u8])>>,
    data: Option<&'a [u8]>,
    stays: bool,
}

fuzz_target!(|input: Input<'_>| {
    for bytes in input.head.iter().map(|(_, bytes)| *bytes) {
        let number = str::from_utf8(bytes).map(|text| text.trim().parse::<u8>());
        let known = matches!(number, Ok(Ok(0..=16)));
        assert!(known || Code::parse(bytes) == Code::Unknown);
    }
    let registry = Registry::new();
    let server = GrpcServerLayer::builder().with_registry(&registry).build();
    let client = GrpcClientLayer::builder().with_registry(&registry).build();
    let answer = |_: Request<()>| {
        let mut response = Response::new(Script {
            data: input.data.map(Bytes::copy_from_slice),
            trailers: input.trailers.as_deref().map(headers),
            stays: input.stays,
        });
        if let Ok(status) = input.status.try_into() {
            *response.status_mut() = status;
        }
        *response.headers_mut() = headers(&input.head);
        ready(Ok::<_, Infallible>(response))
    };
    let request = Request::post("/shop.Orders/Get").header("content-type", "application/grpc");
    let request = request.body(()).expect("it is a request");
    let mut service = client.layer(server.layer(service_fn(answer)));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut cx) else {
        panic!("the service answers at once");
    };
    let is_grpc = |(name, value): &(u8, &[u8])| {
        usize::from(*name) % NAMES.len() == 0 && value.starts_with(b"application/grpc")
    };
    let is_grpc = input.head.iter().any(is_grpc);
    let has_status = input.head.iter().chain(input.trailers.iter().flatten());
    let has_status = has_status
        .into_iter()
        .any(|(name, _)| usize::from(*name) % NAMES.len() == 1);
    {
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut cx) {}
    }
    for family in registry.collect() {
        let mut from = Some(0);
        while let Some(cursor) = from {
            from = family.read(cursor, &mut |point| {
                for (name, value) in point.labels.iter() {
                    match name {
                        "rpc.response.status_code" => assert!(is_a_status(value), "{value}"),
                        "rpc.method"
                            if *family.descriptor().name == *"rpc.server.call.duration" =>
                        {
                            let learnt = value == "shop.Orders/Get";
                            assert!(learnt || value == "_OTHER");
                            assert!(!learnt || is_grpc || has_status);
                        }
                        _ => {}
                    }
                }
            });
        }
    }
});

fn is_a_status(name: &str) -> bool {
    (0..=16).any(|number: u8| Code::parse(number.to_string().as_bytes()).as_str() == name)
}

const NAMES: [&str; 5] = [
    "content-type",
    "grpc-status",
    "grpc-message",
    "content-length",
    "other",
];

fn headers(list: &[(u8, &[u8])]) -> HeaderMap {
    let pairs = list.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        Some((name, HeaderValue::from_bytes(value).ok()?))
    });
    pairs.collect()
}

/// A body that returns its parts, and then ends or stays pending.
struct Script {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    stays: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match self.stays {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }
}
