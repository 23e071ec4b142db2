//! The operations that the encodings of metric requests have in common.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::label::Labels;
use bytes::Bytes;

use crate::otlp::attributes::Extra;
use crate::otlp::data_point::{DataPoint, Shape};
use crate::report::Rejection;
use crate::walk::Uniqueness;

/// An encoding of metric requests. Writes one request at a time: scopes in a request, families in a
/// scope, points in a family.
pub(super) trait MetricEncoder: Send {
    /// The encoded parts that all points of a family share.
    type Family: Send;

    /// Encodes the shared parts of a family.
    fn family(
        &self,
        descriptor: &Arc<Descriptor>,
        name: &str,
        shape: Shape,
        uniqueness: Uniqueness,
    ) -> Self::Family;

    fn open_request(&mut self);

    fn open_scope(&mut self, scope: Option<&Scope>);

    fn open_family(&mut self, family: &Self::Family);

    /// Writes a point. Returns false, without writing, if the request would extend past `end`.
    fn point(
        &mut self,
        family: &mut Self::Family,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        data_point: &DataPoint<'_>,
        end: usize,
    ) -> Result<bool, Rejection>;

    fn close_family(&mut self, family: &Self::Family);

    fn close_scope(&mut self, scope: Option<&Scope>);

    /// Closes the request and returns it. The next one may reuse the memory of `used`.
    fn close_request(&mut self, used: Option<Bytes>) -> Bytes;

    /// Discards an unfinished request, and frees its memory.
    fn discard(&mut self);
}
