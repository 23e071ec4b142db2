//! Encoding of spans and log records as requests.
//!
//! Each record is encoded once, one after the other regardless of scope. The request is assembled
//! from them once it is known which records it holds, and with that every length.

use std::marker::PhantomData;
use std::ops::Range;

use barograph_model::log::LogRecord;
use barograph_model::resource::Resource;
use barograph_model::span::SpanRecord;
use barograph_model::value::Text;
use bytes::Bytes;

use crate::json;
use crate::otlp::json::open_request;
use crate::otlp::protobuf::resource_field;
use crate::otlp::record::{Record, WriteRecords, Written};
use crate::otlp::request::{Encoding, Request, Signal};
use crate::otlp::wire::{self, len_key};

/// An encoder of spans as OTLP requests.
pub type SpanWriter = RecordWriter<SpanRecord>;

/// An encoder of log records as OTLP requests.
pub type LogWriter = RecordWriter<LogRecord>;

/// An encoder of records of one kind as OTLP requests, grouped by scope.
///
/// ```
/// use barograph_encode::otlp::{Encoding, LogWriter, WriteRecords, Written};
/// use barograph_model::log::{LogRecord, Severity};
/// use barograph_model::resource::Resource;
///
/// let records = [Box::new(LogRecord {
///     time_unix_nano: 1,
///     observed_unix_nano: 2,
///     severity: Severity::Warn,
///     event_name: None,
///     body: Some("the disk is nearly full".into()),
///     scope: "shop::orders".into(),
///     attributes: Vec::new(),
///     dropped_attributes: 0,
///     context: None,
/// })];
/// let resource = Resource::new().with("service.name", "shop");
/// let mut writer = LogWriter::new(&resource).with_encoding(Encoding::Json);
/// let Some(Written::Request(request)) = writer.write(&records) else {
///     panic!("there is a record");
/// };
/// assert_eq!(request.items, 1);
/// assert!(request.body.starts_with(br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name""#));
/// ```
#[derive(Debug)]
pub struct RecordWriter<T> {
    resource: Resource,
    encoding: Encoding,
    records: usize,
    bytes: usize,
    /// The encoded resource, with which every request begins.
    head: Vec<u8>,
    encoded: EncodedRecords,
    record: PhantomData<fn(T)>,
}

/// The encoded parts of a request.
#[derive(Debug, Default)]
struct EncodedRecords {
    /// The encoded records, one after the other, in protobuf or in JSON.
    protobuf: Vec<u8>,
    json: String,
    /// For each record the index of its scope and its range in the text.
    records: Vec<(usize, Range<usize>)>,
    scopes: Vec<(Text, Vec<u8>)>,
}

/// The default batch size of OpenTelemetry's batch processors, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` and
/// `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE`.
const RECORDS: usize = 512;
/// The maximum size of a request: gRPC servers accept messages of 4 MiB by default.
const BYTES: usize = 4 << 20;
/// The maximum number of bytes around the whole request, and around each scope.
const AROUND: usize = 64;

impl<T: Record> RecordWriter<T> {
    /// Creates a protobuf encoder with at most 512 records and 4 MiB per request.
    pub fn new(resource: &Resource) -> Self {
        RecordWriter {
            resource: resource.clone(),
            encoding: Encoding::Protobuf,
            records: RECORDS,
            bytes: BYTES,
            head: resource_field(resource),
            encoded: EncodedRecords::default(),
            record: PhantomData,
        }
    }

    /// Sets the encoding of requests.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self.head = match encoding {
            Encoding::Protobuf => resource_field(&self.resource),
            Encoding::Json => open_request(T::SIGNAL, &self.resource).into(),
        };
        self
    }

    /// Sets the maximum number of records in a request, at least one.
    #[must_use]
    pub fn with_records_per_request(mut self, max: usize) -> Self {
        self.records = max.max(1);
        self
    }

    /// Sets the maximum size of an uncompressed request in bytes. A record that alone exceeds it is
    /// left out.
    #[must_use]
    pub fn with_bytes_per_request(mut self, max: usize) -> Self {
        self.bytes = max;
        self
    }
}

impl<T: Record> WriteRecords<T> for RecordWriter<T> {
    fn signal(&self) -> Signal {
        T::SIGNAL
    }

    fn max_records(&self) -> usize {
        self.records
    }

    fn write(&mut self, records: &[Box<T>]) -> Option<Written> {
        if records.is_empty() {
            self.encoded = EncodedRecords::default();
            return None;
        }
        self.encoded.clear();
        let mut size = self.head.len() + AROUND;
        for record in records.iter().take(self.records) {
            let with_it = size + self.encoded.add(&**record, self.encoding);
            if with_it > self.bytes {
                self.encoded.remove_last();
                if self.encoded.records.is_empty() {
                    return Some(Written::TooLarge { bytes: with_it });
                }
                break;
            }
            size = with_it;
        }
        self.encoded.group();
        let body = match self.encoding {
            Encoding::Protobuf => self.encoded.to_protobuf(&self.head),
            Encoding::Json => self.encoded.to_json(&self.head, T::SIGNAL),
        };
        Some(Written::Request(Request {
            signal: T::SIGNAL,
            encoding: self.encoding,
            body,
            items: self.encoded.records.len() as u64,
        }))
    }
}

impl EncodedRecords {
    fn clear(&mut self) {
        self.protobuf.clear();
        self.json.clear();
        self.records.clear();
        self.scopes.clear();
    }

    /// Encodes a record. Returns the maximum number of bytes that it adds to the request.
    fn add<T: Record>(&mut self, record: &T, encoding: Encoding) -> usize {
        let (scope, head) = self.scope(record.scope(), encoding);
        let place = match encoding {
            Encoding::Protobuf => {
                let from = self.protobuf.len();
                wire::message(&mut self.protobuf, len_key(2), |out| {
                    record.write_protobuf(out)
                });
                from..self.protobuf.len()
            }
            Encoding::Json => {
                let from = self.json.len();
                record.write_json(&mut self.json);
                from..self.json.len()
            }
        };
        // One more byte for the comma in JSON.
        let len = head + place.len() + 1;
        self.records.push((scope, place));
        len
    }

    /// Removes the record that was encoded last.
    fn remove_last(&mut self) {
        if let Some((_, place)) = self.records.pop() {
            self.protobuf.truncate(place.start);
            self.json.truncate(place.start);
        }
        // Its scope may remain, without records; it is not written.
    }

    /// Returns the index of a scope, and the length of its head if the scope is new, otherwise 0.
    fn scope(&mut self, name: &Text, encoding: Encoding) -> (usize, usize) {
        let is_it = |(scope, _): &(Text, Vec<u8>)| scope == name;
        // Usually that of the previous record.
        let last = self.records.last().map(|(scope, _)| *scope);
        if let Some(last) = last.filter(|last| is_it(&self.scopes[*last])) {
            return (last, 0);
        }
        if let Some(place) = self.scopes.iter().position(is_it) {
            return (place, 0);
        }
        let head = scope_head(name, encoding);
        let len = head.len() + AROUND;
        self.scopes.push((name.clone(), head));
        (self.scopes.len() - 1, len)
    }

    /// Sorts the records by scope, and keeps the order within each scope.
    fn group(&mut self) {
        self.records.sort_by_key(|(scope, _)| *scope);
    }

    fn to_protobuf(&self, head: &[u8]) -> Bytes {
        let len_of = |records: &[(usize, Range<usize>)]| -> usize {
            let (scope, _) = records[0];
            let records = records.iter().map(|(_, place)| place.len());
            self.scopes[scope].1.len() + records.sum::<usize>()
        };
        let around = |len: usize| 1 + wire::varint_len(len) + len;
        let scopes = || self.records.chunk_by(|(one, _), (next, _)| one == next);
        let len = head.len() + scopes().map(|scope| around(len_of(scope))).sum::<usize>();
        let mut body = Vec::with_capacity(around(len));
        body.push(len_key(1));
        wire::varint(&mut body, len as u64);
        body.extend_from_slice(head);
        for scope in scopes() {
            body.push(len_key(2));
            wire::varint(&mut body, len_of(scope) as u64);
            body.extend_from_slice(&self.scopes[scope[0].0].1);
            for (_, place) in scope {
                body.extend_from_slice(&self.protobuf[place.clone()]);
            }
        }
        body.into()
    }

    fn to_json(&self, head: &[u8], signal: Signal) -> Bytes {
        let records = match signal {
            Signal::Metrics => "metrics",
            Signal::Traces => "spans",
            Signal::Logs => "logRecords",
        };
        let mut body = Vec::with_capacity(head.len() + self.json.len() + self.records.len());
        body.extend_from_slice(head);
        let scopes = self.records.chunk_by(|(one, _), (next, _)| one == next);
        for (nth, scope) in scopes.enumerate() {
            body.extend_from_slice(if nth == 0 { b"{" } else { b",{" });
            body.extend_from_slice(&self.scopes[scope[0].0].1);
            body.extend_from_slice(format!("\"{records}\":[").as_bytes());
            for (nth, (_, place)) in scope.iter().enumerate() {
                body.extend_from_slice(if nth == 0 { b"" } else { b"," });
                body.extend_from_slice(&self.json.as_bytes()[place.clone()]);
            }
            body.extend_from_slice(b"]}");
        }
        body.extend_from_slice(b"]}]}");
        body.into()
    }
}

/// Encodes the head of a scope: its name, if it has one.
fn scope_head(name: &str, encoding: Encoding) -> Vec<u8> {
    let mut head = Vec::new();
    match encoding {
        _ if name.is_empty() => {}
        Encoding::Protobuf => wire::message(&mut head, len_key(1), |out| {
            wire::text(out, len_key(1), name);
        }),
        Encoding::Json => {
            let mut text = String::from("\"scope\":{\"name\":");
            json::text(&mut text, name);
            text.push_str("},");
            head = text.into();
        }
    }
    head
}
