//! The lines of a histogram.

use barograph_model::bounds::Bounds;
use barograph_model::snapshot::{HistogramValue, Point};

use crate::block_copy::Literal;
use crate::prometheus::fast_bucket;
use crate::prometheus::line::{LineWriter, Sample};
use crate::prometheus::number::{self, Dialect, Number};
use crate::report::Rejection;

/// A writer for the points of a histogram family.
pub(super) struct HistogramLines {
    pub(super) bucket: Sample,
    pub(super) sum: Sample,
    pub(super) count: Sample,
    pub(super) created: Option<Sample>,
    formatted: Option<FormattedBounds>,
    /// The beginning of the bucket lines of a point; a buffer that is reused.
    prefix: Literal,
}

/// Bucket bounds, each formatted as the end of the labels of its line.
struct FormattedBounds {
    bounds: Bounds,
    ends: Vec<Literal>,
}

impl HistogramLines {
    /// Creates the writer; `sample` makes the name of a sample from its suffix.
    pub(super) fn new(sample: impl Fn(&str) -> Sample, created: Option<Sample>) -> Self {
        HistogramLines {
            bucket: sample("_bucket"),
            sum: sample("_sum"),
            count: sample("_count"),
            created,
            formatted: None,
            prefix: Literal::default(),
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
        let known = self.formatted.as_ref();
        if !known.is_some_and(|known| known.are(value.bounds)) {
            self.formatted = Some(FormattedBounds::new(value.bounds, dialect));
        }
        Ok(())
    }

    /// Writes a point that passed [`HistogramLines::prepare`].
    pub(super) fn write(
        &mut self,
        mut line: LineWriter<'_>,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
    ) {
        let mut exemplars = Vec::new();
        if line.style.dialect == Dialect::OpenMetrics && !point.exemplars.is_empty() {
            exemplars.resize(value.buckets.len(), None);
            for exemplar in point.exemplars {
                exemplars[value.bounds.bucket_of(exemplar.value)] = Some(exemplar);
            }
        }
        let fits = self.prefix.set(line.prefix(&self.bucket, b"le=\""));
        let formatted = self.formatted.as_ref();
        let ends = formatted.map_or(&[][..], |formatted| &formatted.ends);
        let mut count = 0;
        for (i, (end, in_bucket)) in ends.iter().zip(value.buckets).enumerate() {
            count += in_bucket;
            let exemplar = exemplars.get(i).copied().flatten();
            let fast = exemplar.is_none() && fits.is_some();
            if fast && fast_bucket::write(line.out, &self.prefix, end, count).is_some() {
                continue;
            }
            line.write_prefix(&self.bucket, b"le=\"");
            line.out.text(&end.to_vec());
            Number::U64(count).write(line.out);
            line.end(exemplar);
        }
        // OpenMetrics 1.0 has the count if and only if it has the sum, and the sum only if it
        // cannot decrease. Without them the +Inf bucket holds the count.
        if line.style.dialect == Dialect::Text || value.growing_sum().is_some() {
            line.line(&self.sum, b"", Number::F64(value.sum));
            line.line(&self.count, b"", Number::U64(count));
        }
        line.created(self.created.as_ref(), point);
    }
}

impl FormattedBounds {
    fn new(bounds: &Bounds, dialect: Dialect) -> Self {
        let all = bounds.as_slice().iter().copied().chain([f64::INFINITY]);
        let end = |bound| {
            let text = format!("{}\"}} ", number::bound(bound, dialect));
            Literal::new(text.as_bytes()).expect("a number is shorter than a chunk")
        };
        FormattedBounds {
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
