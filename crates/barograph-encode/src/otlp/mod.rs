//! OTLP encoding, in protobuf and in JSON. Nothing here sends anything; see
//! `barograph-export`.
//!
//! A [`MetricReader`] walks the snapshot of its sources and writes requests directly in the wire
//! format, one at a time, without intermediate objects for points.
//!
//! A [`SpanWriter`] and a [`LogWriter`] do the same for records, each of which is exported once.
//!
//! **Invariant:** a request is valid whatever the sources supply. Data that OTLP cannot represent
//! is left out and listed in the reader's [`report`](MetricReader::report).

mod request;
mod temporality;
mod wire;
mod attributes;
mod data_point;
mod delta_state;
mod metric_encoder;
mod fast_point;
mod protobuf;
mod json;
mod family;
mod request_builder;
mod point_writer;
mod export_cycle;
mod metric_reader;
mod fields;
mod response;
#[cfg(feature = "parse")]
mod newest_time;
mod value;
mod record;
mod span;
mod log;
mod record_writer;

pub use crate::report::{LeftOut, Reason, Rejection, Report};
pub use fields::Malformed;
pub use metric_reader::MetricReader;
pub use record::{Record, WriteRecords, Written};
pub use record_writer::{LogWriter, RecordWriter, SpanWriter};
pub use request::{Encoding, Request, Signal};
pub use response::{ExportResponse, RpcStatus};
pub use temporality::{Temporalities, Temporality};
