//! Zipkin: spans as lists in JSON, version 2 of its API. Nothing here sends anything; see `push`.
//!
//! Attributes, of the resource too, become tags, events annotations, and the peer of a client its
//! remote endpoint. Zipkin has no place for links and for tracestate: they are left out.
//!
//! Source: OpenTelemetry 1.60, "OpenTelemetry to Zipkin Transformation".

mod text;
mod remote;
mod span;

use barograph_model::resource::Resource;
use barograph_model::span::SpanRecord;

use crate::otlp::{Encoding, Request, Signal, WriteRecords, Written};

use span::Process;

/// Where a Zipkin takes spans, if nothing else is said.
///
/// Source: OpenTelemetry 1.60, `OTEL_EXPORTER_ZIPKIN_ENDPOINT`.
pub const DEFAULT_ENDPOINT: &str = "http://localhost:9411/api/v2/spans";

/// Writes spans as Zipkin takes them.
///
/// ```
/// use barograph_export::otlp::WriteRecords;
/// use barograph_export::zipkin::ZipkinWriter;
/// use barograph_model::resource::Resource;
///
/// let resource = Resource::new().with("service.name", "shop");
/// let mut writer = ZipkinWriter::new(&resource).with_records_per_request(100);
/// assert_eq!(writer.write(&[]), None);
/// ```
#[derive(Debug)]
pub struct ZipkinWriter {
    process: Process,
    records: usize,
    bytes: usize,
}

/// As many as OpenTelemetry's batch processor takes, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
const RECORDS: usize = 512;
/// Less than any Zipkin is known to refuse.
const BYTES: usize = 4 << 20;

impl ZipkinWriter {
    /// A writer of 512 spans and 4 MiB a request. The resource's `service.name` is the local endpoint.
    pub fn new(resource: &Resource) -> Self {
        ZipkinWriter {
            process: Process::new(resource),
            records: RECORDS,
            bytes: BYTES,
        }
    }

    /// With at most so many spans in a request, one at the least.
    #[must_use]
    pub fn with_records_per_request(mut self, most: usize) -> Self {
        self.records = most.max(1);
        self
    }

    /// With requests of at most so many bytes, not compressed. A span that is larger by itself is left
    /// out.
    #[must_use]
    pub fn with_bytes_per_request(mut self, most: usize) -> Self {
        self.bytes = most;
        self
    }
}

impl WriteRecords<SpanRecord> for ZipkinWriter {
    fn signal(&self) -> Signal {
        Signal::Traces
    }

    fn at_most(&self) -> usize {
        self.records
    }

    fn write(&mut self, records: &[Box<SpanRecord>]) -> Option<Written> {
        let mut body = String::from("[");
        let mut items = 0;
        for record in records.iter().take(self.records) {
            let before = body.len();
            if items > 0 {
                body.push(',');
            }
            self.process.write(&mut body, record);
            let bytes = body.len() + 1;
            if bytes > self.bytes {
                if items == 0 {
                    return Some(Written::TooLarge { bytes });
                }
                body.truncate(before);
                break;
            }
            items += 1;
        }
        if items == 0 {
            return None;
        }
        body.push(']');
        Some(Written::Request(Request {
            signal: Signal::Traces,
            encoding: Encoding::Json,
            body: body.into(),
            items: items as u64,
        }))
    }
}
