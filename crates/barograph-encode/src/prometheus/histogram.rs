//! The lines of a histogram.

use barograph_model::bounds::Bounds;
use barograph_model::snapshot::{HistogramValue, Point};

use crate::prometheus::line::{Pen, Sample};
use crate::prometheus::number::{self, Dialect, Number};
use crate::report::Rejection;
use crate::steps::{Block, Fragment, put};

/// A writer for the points of a histogram family.
pub(super) struct HistogramLines {
    pub(super) bucket: Sample,
    pub(super) sum: Sample,
    pub(super) count: Sample,
    pub(super) created: Option<Sample>,
    spelled: Option<Spelled>,
    block: Block,
}

/// Bucket bounds, each formatted as the end of the labels of its line.
struct Spelled {
    bounds: Bounds,
    ends: Vec<Fragment>,
}

impl HistogramLines {
    /// Creates the writer; `sample` makes the name of a sample from its suffix.
    pub(super) fn new(sample: impl Fn(&str) -> Sample, created: Option<Sample>) -> Self {
        HistogramLines {
            bucket: sample("_bucket"),
            sum: sample("_sum"),
            count: sample("_count"),
            created,
            spelled: None,
            block: Block::default(),
        }
    }

    /// Checks a value, and formats its bounds if they differ from those of the previous point.
    pub(super) fn prepare(
        &mut self,
        value: &HistogramValue<'_>,
        dialect: Dialect,
    ) -> Result<(), Rejection> {
        let mut buckets = value.buckets.iter();
        let count = buckets.try_fold(0_u64, |count, n| count.checked_add(*n));
        if value.buckets.len() != value.bounds.buckets() || count.is_none() {
            return Err(Rejection::WrongBuckets);
        }
        let known = self.spelled.as_ref();
        if !known.is_some_and(|known| known.are(value.bounds)) {
            self.spelled = Some(Spelled::new(value.bounds, dialect));
        }
        Ok(())
    }

    /// Writes a point that passed [`HistogramLines::prepare`].
    pub(super) fn write(
        &mut self,
        mut pen: Pen<'_>,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
    ) {
        let mut exemplars = Vec::new();
        if pen.style.dialect == Dialect::OpenMetrics && !point.exemplars.is_empty() {
            exemplars.resize(value.buckets.len(), None);
            for exemplar in point.exemplars {
                exemplars[value.bounds.bucket_of(exemplar.value)] = Some(exemplar);
            }
        }
        let fits = self.block.set(pen.stem(&self.bucket, b"le=\""));
        let ends = self
            .spelled
            .as_ref()
            .map_or(&[][..], |spelled| &spelled.ends);
        let mut count = 0;
        for (i, (end, in_bucket)) in ends.iter().zip(value.buckets).enumerate() {
            count += in_bucket;
            let exemplar = exemplars.get(i).copied().flatten();
            let room = self.block.len() + end.len() + number::MAX;
            if let (None, Some(()), Some((buf, at))) = (exemplar, fits, pen.out.reserve(room)) {
                let at = self.block.put(buf, at);
                let at = end.put(buf, at);
                let at = number::put_u64(buf, at, count);
                put(buf, at, b"\n");
                pen.out.advance(at + 1);
            } else {
                pen.write_stem(&self.bucket, b"le=\"");
                pen.out.text(&end.to_vec());
                Number::U64(count).write(pen.out);
                pen.end(exemplar);
            }
        }
        // OpenMetrics 1.0 has the count if and only if it has the sum, and the sum only if it
        // cannot decrease. Without them the +Inf bucket holds the count.
        if pen.style.dialect == Dialect::Text || value.growing_sum().is_some() {
            pen.line(&self.sum, b"", Number::F64(value.sum));
            pen.line(&self.count, b"", Number::U64(count));
        }
        pen.created(self.created.as_ref(), point);
    }
}

impl Spelled {
    fn new(bounds: &Bounds, dialect: Dialect) -> Self {
        let all = bounds.as_slice().iter().copied().chain([f64::INFINITY]);
        let end = |bound| {
            let text = format!("{}\"}} ", number::bound(bound, dialect));
            Fragment::new(text.as_bytes()).expect("a number is shorter than a chunk")
        };
        Spelled {
            ends: all.map(end).collect(),
            bounds: bounds.clone(),
        }
    }

    fn are(&self, bounds: &Bounds) -> bool {
        let (known, given) = (self.bounds.as_slice(), bounds.as_slice());
        // The bounds are kept alive here, so the same address means the same bounds.
        std::ptr::eq(known, given) || known == given
    }
}
