//! OTLP: what is pushed, in protobuf and in JSON. Nothing here sends anything; see `push`.

mod request;

pub use request::{Encoding, Request, Signal};
