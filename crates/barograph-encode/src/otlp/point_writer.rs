//! Converts the points of a snapshot to data points, and writes them.

use std::sync::Arc;

use barograph_model::snapshot::{HistogramValue, Point, Value};

use crate::otlp::attributes::Extra;
use crate::otlp::data_point::{self, DataPoint, Distribution, Number};
use crate::otlp::delta_state::DeltaState;
use crate::otlp::family::Family;
use crate::otlp::metric_encoder::MetricEncoder;
use crate::otlp::request_builder::RequestBuilder;
use crate::otlp::temporality::Temporality;
use crate::report::Rejection;

/// A writer of points into the requests of a builder.
pub(super) struct PointWriter<'a, E> {
    pub(super) requests: &'a mut RequestBuilder<E>,
    pub(super) deltas: &'a mut DeltaState,
    /// A buffer that is reused.
    pub(super) buckets: &'a mut Vec<u64>,
}

impl<E: MetricEncoder> PointWriter<'_, E> {
    /// Writes a point, or returns the reason why it is left out.
    #[inline]
    pub(super) fn point(
        &mut self,
        family: &mut Family<E::Family>,
        point: &Point<'_>,
    ) -> Result<(), Rejection> {
        data_point::check(family.descriptor.kind, &point.value)?;
        let time = self.requests.time;
        let start = point.start_unix_nano.unwrap_or(0);
        // A series that began during the cycle gets its own start as its time: an earlier time now,
        // and the right start a cycle later, would look like a reset.
        let one = DataPoint {
            start,
            time: time.max(start),
            number: Number::Int(1),
            exemplars: point.exemplars,
            exported_until: 0,
        };
        match (point.value, family.temporality) {
            (Value::Info, _) => self.write(family, point, extra(point), one),
            (Value::StateSet(on), _) => self.states(family, point, on, one),
            (Value::Histogram(value), Temporality::Cumulative) => {
                let number = Number::Histogram(Distribution::new(&value)?);
                self.write(family, point, extra(point), DataPoint { number, ..one })
            }
            (Value::Histogram(value), Temporality::Delta) => {
                self.histogram_delta(family, point, &value, one)
            }
            (value, Temporality::Cumulative) => {
                let number = Number::new(value)?;
                self.write(family, point, extra(point), DataPoint { number, ..one })
            }
            (_, Temporality::Delta) => {
                let pending = &mut self.requests.pending;
                let Some(delta) = self.deltas.number(family.index, point, pending)? else {
                    return Ok(());
                };
                let data_point = DataPoint {
                    start: delta.start.min(time),
                    number: Number::new(delta.value)?,
                    exported_until: delta.exported,
                    ..one
                };
                self.write_pending(family, point, data_point)
            }
        }
    }

    #[inline(never)]
    fn histogram_delta(
        &mut self,
        family: &mut Family<E::Family>,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
        one: DataPoint<'_>,
    ) -> Result<(), Rejection> {
        // Checks the buckets before they are used.
        Distribution::new(value)?;
        let mut buckets = std::mem::take(self.buckets);
        let pending = &mut self.requests.pending;
        let delta = self
            .deltas
            .histogram(family.index, point, value, pending, &mut buckets)?;
        let Some(delta) = delta else {
            *self.buckets = buckets;
            return Ok(());
        };
        let value = HistogramValue {
            bounds: value.bounds,
            buckets: &buckets,
            sum: delta.value,
            has_negative: value.has_negative,
        };
        let data_point = Distribution::new(&value).map(|distribution| DataPoint {
            start: delta.start.min(one.time),
            number: Number::Histogram(distribution),
            exported_until: delta.exported,
            ..one
        });
        let written =
            data_point.and_then(|data_point| self.write_pending(family, point, data_point));
        *self.buckets = buckets;
        written
    }

    /// Writes a point for each state of a state set.
    #[inline(never)]
    fn states(
        &mut self,
        family: &mut Family<E::Family>,
        point: &Point<'_>,
        on: u64,
        one: DataPoint<'_>,
    ) -> Result<(), Rejection> {
        let descriptor = Arc::clone(&family.descriptor);
        for (bit, state) in descriptor.states.iter().enumerate() {
            if descriptor.states[..bit].contains(state) {
                continue;
            }
            let is_on = on.checked_shr(bit as u32).unwrap_or(0) & 1;
            let extra = Extra {
                state: Some((&descriptor.name, state)),
                ..extra(point)
            };
            let number = Number::Int(is_on.cast_signed());
            self.write(family, point, extra, DataPoint { number, ..one })?;
        }
        Ok(())
    }

    /// Writes a delta, whose new value is the last pending one.
    fn write_pending(
        &mut self,
        family: &mut Family<E::Family>,
        point: &Point<'_>,
        data_point: DataPoint<'_>,
    ) -> Result<(), Rejection> {
        let requests = &mut *self.requests;
        let mut written = requests.point(family, &point.labels, extra(point), &data_point);
        if written == Ok(false) {
            // The full request is finished with the earlier pending values, but without this one.
            let value = requests.pending.take_last();
            requests.split(family);
            requests.pending.put_last(value);
            written = requests.point(family, &point.labels, extra(point), &data_point);
        }
        if written.is_err() {
            requests.pending.take_last();
        }
        written.map(|_| ())
    }

    #[inline]
    fn write(
        &mut self,
        family: &mut Family<E::Family>,
        point: &Point<'_>,
        extra: Extra<'_>,
        data_point: DataPoint<'_>,
    ) -> Result<(), Rejection> {
        let requests = &mut *self.requests;
        if !requests.point(family, &point.labels, extra, &data_point)? {
            requests.split(family);
            requests.point(family, &point.labels, extra, &data_point)?;
        }
        Ok(())
    }
}

fn extra(point: &Point<'_>) -> Extra<'static> {
    Extra {
        is_overflow: point.is_overflow,
        state: None,
    }
}
