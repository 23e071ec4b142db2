//! Zipkin encoding: spans as JSON lists, version 2 of the API. Nothing here sends anything; see
//! `push`.
//!
//! Attributes, including those of the resource, become tags; events become annotations; the peer of
//! a client span becomes its remote endpoint. Zipkin cannot represent links and tracestate: they
//! are left out.
//!
//! Source: OpenTelemetry 1.60, "OpenTelemetry to Zipkin Transformation".

mod text;
mod remote;
mod span;

use barograph_model::resource::Resource;
use barograph_model::span::SpanRecord;

use crate::otlp::{Encoding, Request, Signal, WriteRecords, Written};

use span::Process;

/// The default URL to which spans are sent.
///
/// Source: OpenTelemetry 1.60, `OTEL_EXPORTER_ZIPKIN_ENDPOINT`.
pub const DEFAULT_ENDPOINT: &str = "http://localhost:9411/api/v2/spans";

/// An encoder of spans as Zipkin requests.
///
/// ```
/// use barograph_encode::otlp::WriteRecords;
/// use barograph_encode::zipkin::ZipkinWriter;
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

/// The default batch size of OpenTelemetry's batch processor, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
const RECORDS: usize = 512;
/// A size that every known Zipkin server accepts.
const BYTES: usize = 4 << 20;

impl ZipkinWriter {
    /// Creates an encoder with at most 512 spans and 4 MiB per request. The resource's
    /// `service.name` names the local endpoint.
    pub fn new(resource: &Resource) -> Self {
        ZipkinWriter {
            process: Process::new(resource),
            records: RECORDS,
            bytes: BYTES,
        }
    }

    /// Sets the maximum number of spans in a request, at least one.
    #[must_use]
    pub fn with_records_per_request(mut self, max: usize) -> Self {
        self.records = max.max(1);
        self
    }

    /// Sets the maximum size of an uncompressed request in bytes. A span that alone exceeds it is
    /// left out.
    #[must_use]
    pub fn with_bytes_per_request(mut self, max: usize) -> Self {
        self.bytes = max;
        self
    }
}

impl WriteRecords<SpanRecord> for ZipkinWriter {
    fn signal(&self) -> Signal {
        Signal::Traces
    }

    fn max_records(&self) -> usize {
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
