//! Builds the requests of an export cycle, and splits them at the limits.

use std::collections::VecDeque;
use std::sync::Arc;

use barograph_model::descriptor::Scope;
use barograph_model::label::Labels;
use bytes::Bytes;

use crate::otlp::attributes::Extra;
use crate::otlp::data_point::DataPoint;
use crate::otlp::delta_state::Pending;
use crate::otlp::family::Family;
use crate::otlp::metric_encoder::MetricEncoder;
use crate::report::Rejection;

/// A builder of the requests of one export cycle after the other.
pub(super) struct RequestBuilder<E> {
    pub(super) encoder: E,
    /// Finished requests, oldest first.
    pub(super) ready: VecDeque<EncodedRequest>,
    /// The time of the points, in nanoseconds since the Unix epoch.
    pub(super) time: u64,
    /// The values to commit when the current request is acknowledged.
    pub(super) pending: Pending,
    limits: Limits,
    /// The number of points in the current request.
    points: u64,
    /// The scope that is open, if any.
    scope: Option<Option<Arc<Scope>>>,
    used: Option<Bytes>,
}

/// The limits of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) points: u64,
    pub(super) bytes: usize,
}

impl Default for Limits {
    /// Returns the batch size that OTLP receivers are known to accept, and the size of messages that
    /// gRPC servers accept by default.
    fn default() -> Self {
        Limits {
            points: 10_000,
            bytes: 4 << 20,
        }
    }
}

/// The maximum number of bytes needed to close a full request.
const CLOSING: usize = 512;

/// A finished request, and the values to commit when it is acknowledged.
pub(super) struct EncodedRequest {
    pub(super) body: Bytes,
    pub(super) points: u64,
    pub(super) pending: Pending,
}

impl<E: MetricEncoder> RequestBuilder<E> {
    pub(super) fn new(encoder: E) -> Self {
        RequestBuilder {
            encoder,
            ready: VecDeque::new(),
            time: 0,
            pending: Pending::new(0),
            limits: Limits::default(),
            points: 0,
            scope: None,
            used: None,
        }
    }

    /// Begins a cycle whose points have this time. Unfinished requests are discarded.
    pub(super) fn begin(&mut self, time: u64, limits: Limits) {
        self.encoder.discard();
        self.ready.clear();
        self.time = time;
        self.pending = Pending::new(time);
        self.limits = limits;
        self.points = 0;
        self.scope = None;
        self.used = None;
    }

    /// Takes the memory of an earlier request, to reuse it for the next one.
    pub(super) fn reuse(&mut self, used: Option<Bytes>) {
        self.used = used;
    }

    /// Writes a point. Returns false if the request is full.
    #[inline]
    pub(super) fn point(
        &mut self,
        family: &mut Family<E::Family>,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        data_point: &DataPoint<'_>,
    ) -> Result<bool, Rejection> {
        // The size limit does not apply to the first point of a request.
        let end = match self.points {
            0 => usize::MAX,
            points if points < self.limits.points => self.limits.bytes.saturating_sub(CLOSING),
            _ => return Ok(false),
        };
        if !family.is_open {
            self.open(family);
        }
        let fits = self
            .encoder
            .point(&mut family.encoded, labels, extra, data_point, end)?;
        self.points += u64::from(fits);
        family.written += u64::from(fits);
        Ok(fits)
    }

    /// Finishes the current request, although the family has more points.
    #[cold]
    pub(super) fn split(&mut self, family: &mut Family<E::Family>) {
        self.close_family(family);
        self.finish();
    }

    /// Closes a family if it is open.
    pub(super) fn close_family(&mut self, family: &mut Family<E::Family>) {
        if std::mem::take(&mut family.is_open) {
            self.encoder.close_family(&family.encoded);
        }
    }

    /// Finishes the current request, if there is one.
    pub(super) fn finish(&mut self) {
        let Some(scope) = self.scope.take() else {
            return;
        };
        if self.points == 0 {
            // It was opened for points that were then rejected.
            self.encoder.discard();
            return;
        }
        self.encoder.close_scope(scope.as_deref());
        self.ready.push_back(EncodedRequest {
            body: self.encoder.close_request(self.used.take()),
            points: std::mem::take(&mut self.points),
            pending: std::mem::replace(&mut self.pending, Pending::new(self.time)),
        });
    }

    /// Opens the request, the scope and the family as far as they are not open yet.
    #[cold]
    fn open(&mut self, family: &mut Family<E::Family>) {
        let scope = &family.descriptor.scope;
        if let Some(open) = &self.scope
            && open != scope
        {
            self.encoder.close_scope(open.as_deref());
            self.encoder.open_scope(scope.as_deref());
        } else if self.scope.is_none() {
            self.encoder.open_request();
            self.encoder.open_scope(scope.as_deref());
        }
        self.scope = Some(scope.clone());
        self.encoder.open_family(&family.encoded);
        family.is_open = true;
    }
}
