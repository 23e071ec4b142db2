//! OTLP: what is pushed, in protobuf and in JSON. Nothing here sends anything; see `push`.
//!
//! A [`MetricReader`] walks the snapshot of its sources and writes requests straight in the wire's
//! form, one at a time, with no object for any point in between.
//!
//! A [`SpanWriter`] and a [`LogWriter`] write records, which are told once only, the same way.
//!
//! **Invariant:** a request is valid whatever the sources show. What cannot be told is left out and
//! named in the reader's [`report`](MetricReader::report).

mod request;
mod temporality;
mod wire;
mod attributes;
mod datum;
mod delta;
mod protobuf;
mod json;
mod sheet;
mod reader;
mod response;
mod value;
mod record;
mod span;
mod log;
mod records;

pub use crate::report::{LeftOut, Reason, Rejection, Report};
pub use reader::MetricReader;
pub use record::{Record, WriteRecords, Written};
pub use records::{LogWriter, RecordWriter, SpanWriter};
pub use request::{Encoding, Request, Signal};
pub use response::{ExportResponse, Malformed, RpcStatus};
pub use temporality::{Temporalities, Temporality};
