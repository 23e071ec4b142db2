//! What can be told of once only, and what turns it into requests.

use barograph_model::value::Text;

use crate::otlp::request::{Request, Signal};

/// A span or a log record.
///
/// Nobody else can implement it: how it is written is OTLP's word.
pub trait Record: sealed::Sealed + Send + 'static {
    /// What it is.
    const SIGNAL: Signal;

    /// The name of its instrumentation scope.
    fn scope(&self) -> &Text;

    /// Writes its fields.
    #[doc(hidden)]
    fn write_protobuf(&self, out: &mut Vec<u8>);

    /// Writes it as an object.
    #[doc(hidden)]
    fn write_json(&self, out: &mut String);
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// Turns records into requests, in one format.
pub trait WriteRecords<T>: Send {
    /// What they are.
    fn signal(&self) -> Signal;

    /// How many records a request holds at most.
    fn at_most(&self) -> usize;

    /// Writes a request of the first records: of all, or of as many as fit. None where there are none,
    /// when memory for requests is given back, too.
    fn write(&mut self, records: &[Box<T>]) -> Option<Written>;
}

/// What became of the first records of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// They are in a request.
    Request(Request),
    /// The first of them is larger by itself than a request may be, and is in none.
    TooLarge {
        /// The size of a request that would hold it.
        bytes: usize,
    },
}

impl Written {
    /// How many records these are.
    pub fn records(&self) -> usize {
        match self {
            Written::Request(request) => usize::try_from(request.items).unwrap_or(usize::MAX),
            Written::TooLarge { .. } => 1,
        }
    }

    /// The size of the request, or what it would be.
    pub fn bytes(&self) -> usize {
        match self {
            Written::Request(request) => request.body.len(),
            Written::TooLarge { bytes } => *bytes,
        }
    }
}
