//! Records, which are exported once, and the trait that encodes them as requests.

use barograph_model::value::Text;

use crate::otlp::request::{Request, Signal};

/// A span or a log record.
///
/// The trait is sealed, since OTLP determines how a record is written.
pub trait Record: sealed::Sealed + Send + 'static {
    /// The signal that the record belongs to.
    const SIGNAL: Signal;

    /// Returns the name of the record's instrumentation scope.
    fn scope(&self) -> &Text;

    /// Writes the record's protobuf fields.
    #[doc(hidden)]
    fn write_protobuf(&self, out: &mut Vec<u8>);

    /// Writes the record as a JSON object.
    #[doc(hidden)]
    fn write_json(&self, out: &mut String);
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// An encoder of records as requests, in one format.
pub trait WriteRecords<T>: Send {
    /// Returns the signal of the records.
    fn signal(&self) -> Signal;

    /// Returns the maximum number of records in a request.
    fn max_records(&self) -> usize;

    /// Encodes a request that holds as many of the first records as fit. If there are no records,
    /// returns `None` and frees the memory kept for requests.
    fn write(&mut self, records: &[Box<T>]) -> Option<Written>;
}

/// The result of encoding the first of several records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The records are in this request.
    Request(Request),
    /// The first record alone exceeds the maximum size of a request, and was left out.
    TooLarge {
        /// The size that a request with this record would have.
        bytes: usize,
    },
}

impl Written {
    /// Returns the number of records that this result covers.
    pub fn records(&self) -> usize {
        match self {
            Written::Request(request) => usize::try_from(request.items).unwrap_or(usize::MAX),
            Written::TooLarge { .. } => 1,
        }
    }

    /// Returns the size of the request, or the size that it would have had.
    pub fn bytes(&self) -> usize {
        match self {
            Written::Request(request) => request.body.len(),
            Written::TooLarge { bytes } => *bytes,
        }
    }
}
