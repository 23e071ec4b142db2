//! OTLP: what is pushed, in protobuf and in JSON. Nothing here sends anything; see `push`.

mod request;
mod response;

pub use request::{Encoding, Request, Signal};
pub use response::{ExportResponse, Malformed, RpcStatus};
