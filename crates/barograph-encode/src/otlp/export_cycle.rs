//! An export cycle: the walk over the families of a snapshot, which are written into requests.

use std::iter::Enumerate;
use std::vec;

use barograph_model::resource::Resource;
use bytes::Bytes;

use crate::otlp::delta_state::DeltaState;
use crate::otlp::family::Family;
use crate::otlp::json::JsonEncoder;
use crate::otlp::metric_encoder::MetricEncoder;
use crate::otlp::point_writer::PointWriter;
use crate::otlp::protobuf::ProtobufEncoder;
use crate::otlp::request::Encoding;
use crate::otlp::request_builder::{EncodedRequest, Limits, RequestBuilder};
use crate::otlp::temporality::Temporalities;
use crate::report::Report;
use crate::walk::{FamilyReader, Progress};

/// One export cycle after the other, in one encoding.
///
/// This is called once for each request, so everything below it is compiled for its encoding.
pub(super) trait ExportCycle: Send {
    /// Begins a cycle. Requests that remain from the previous one are discarded.
    fn begin(&mut self, families: Vec<FamilyReader>, time: u64, limits: Limits);

    /// Returns the next request, or `None` at the end of the cycle. Reads only as many points as one
    /// request takes. The request may reuse the memory of `used`.
    fn next_request(
        &mut self,
        used: Option<Bytes>,
        temporalities: Temporalities,
        deltas: &mut DeltaState,
        report: &mut Report,
    ) -> Option<EncodedRequest>;
}

/// Creates export cycles in this encoding.
pub(super) fn new(encoding: Encoding, resource: &Resource) -> Box<dyn ExportCycle> {
    match encoding {
        Encoding::Protobuf => Box::new(Cycle::new(ProtobufEncoder::new(resource))),
        Encoding::Json => Box::new(Cycle::new(JsonEncoder::new(resource))),
    }
}

struct Cycle<E: MetricEncoder> {
    requests: RequestBuilder<E>,
    /// The families that follow the current one.
    families: Enumerate<vec::IntoIter<FamilyReader>>,
    current: Option<(FamilyReader, Family<E::Family>)>,
    /// A buffer that is reused.
    buckets: Vec<u64>,
}

impl<E: MetricEncoder> Cycle<E> {
    fn new(encoder: E) -> Self {
        Cycle {
            requests: RequestBuilder::new(encoder),
            families: Vec::new().into_iter().enumerate(),
            current: None,
            buckets: Vec::new(),
        }
    }

    /// Begins the next family. Returns false, after it has finished the last request, if there is
    /// none.
    fn begin_family(&mut self, temporalities: Temporalities) -> bool {
        let Some((index, reader)) = self.families.next() else {
            self.requests.finish();
            return false;
        };
        let temporality = temporalities.of(reader.descriptor());
        let family = Family::new(&self.requests.encoder, &reader, temporality, index);
        self.current = Some((reader, family));
        true
    }

    /// Reads one batch of points of the current family, if there is one.
    fn read_batch(&mut self, deltas: &mut DeltaState, report: &mut Report) {
        let Some((reader, family)) = &mut self.current else {
            return;
        };
        let mut writer = PointWriter {
            requests: &mut self.requests,
            deltas,
            buckets: &mut self.buckets,
        };
        let progress = reader.read_batch(report, |report, point| {
            if let Err(rejection) = writer.point(family, point) {
                report.reject(rejection, &family.descriptor.name);
            }
        });
        if progress == Progress::End {
            self.requests.close_family(family);
            if family.written > 0 {
                report.count_family();
                report.count_series(family.written);
            }
            self.current = None;
        }
    }
}

impl<E: MetricEncoder> ExportCycle for Cycle<E> {
    fn begin(&mut self, families: Vec<FamilyReader>, time: u64, limits: Limits) {
        self.families = families.into_iter().enumerate();
        self.current = None;
        self.requests.begin(time, limits);
    }

    fn next_request(
        &mut self,
        used: Option<Bytes>,
        temporalities: Temporalities,
        deltas: &mut DeltaState,
        report: &mut Report,
    ) -> Option<EncodedRequest> {
        self.requests.reuse(used);
        while self.requests.ready.is_empty()
            && (self.current.is_some() || self.begin_family(temporalities))
        {
            self.read_batch(deltas, report);
        }
        let request = self.requests.ready.pop_front();
        if request.is_none() {
            self.requests.encoder.discard();
        }
        request
    }
}
