//! Data points as they are exported to one receiver.

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::{HistogramValue, Value};

use crate::otlp::temporality::Temporality;
use crate::report::Rejection;

/// The OTLP data type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Gauge,
    Sum {
        temporality: Temporality,
        is_monotonic: bool,
    },
    Histogram(Temporality),
}

impl Shape {
    /// Returns the data type of a family. Infos and state sets become non-monotonic sums, as
    /// OpenTelemetry maps them.
    ///
    /// Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility".
    pub(super) fn new(descriptor: &Descriptor, temporality: Temporality) -> Self {
        match descriptor.kind {
            Kind::Counter => Shape::Sum {
                temporality,
                is_monotonic: true,
            },
            Kind::UpDownCounter | Kind::Info | Kind::StateSet => Shape::Sum {
                temporality,
                is_monotonic: false,
            },
            Kind::Histogram => Shape::Histogram(temporality),
            _ => Shape::Gauge,
        }
    }
}

/// A data point of one series.
#[derive(Clone, Copy)]
pub(super) struct DataPoint<'a> {
    /// The start time, in nanoseconds since the Unix epoch; 0 if unknown.
    pub(super) start: u64,
    /// The time of the point, in nanoseconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) number: Number<'a>,
    pub(super) exemplars: &'a [Exemplar],
    /// The time of the previous export: exemplars up to it were already exported.
    pub(super) exported_until: u64,
}

impl<'a> DataPoint<'a> {
    /// Returns the finite exemplars that were not exported yet.
    pub(super) fn exemplars(&self) -> impl Iterator<Item = &'a Exemplar> + use<'a> {
        let until = self.exported_until;
        let is_new = move |exemplar: &&Exemplar| {
            exemplar.value.is_finite() && exemplar.time_unix_nano.is_none_or(|time| time > until)
        };
        self.exemplars.iter().filter(is_new)
    }
}

/// The value of a point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number<'a> {
    Int(i64),
    Double(f64),
    Histogram(Distribution<'a>),
}

impl Number<'_> {
    /// Converts a value that is one number.
    #[inline(always)]
    pub(super) fn new(value: Value<'_>) -> Result<Self, Rejection> {
        match value {
            Value::U64(value) => Ok(Number::unsigned(value)),
            Value::I64(value) => Ok(Number::Int(value)),
            Value::F64(value) => Ok(Number::Double(value)),
            _ => Err(Rejection::WrongValue),
        }
    }

    /// Converts an unsigned integer. OTLP's integers are signed, so a value that is too large
    /// becomes a float.
    #[inline(always)]
    fn unsigned(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Number::Int(value),
            Err(_) => Number::Double(value as f64),
        }
    }

    /// Returns the value of an exemplar of this number as an integer, if both are integers.
    pub(super) fn integer_exemplar(&self, exemplar: &Exemplar) -> Option<i64> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        let is_integer = exemplar.value.fract() == 0.0 && exemplar.value.abs() < EXACT;
        (matches!(self, Number::Int(_)) && is_integer).then_some(exemplar.value as i64)
    }
}

/// The buckets and the sum of a histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution<'a> {
    pub(super) bounds: &'a Bounds,
    pub(super) buckets: &'a [u64],
    pub(super) count: u64,
    /// `None` if observations may be negative, since the sum could then decrease.
    pub(super) sum: Option<f64>,
}

impl<'a> Distribution<'a> {
    pub(super) fn new(value: &HistogramValue<'a>) -> Result<Self, Rejection> {
        let mut buckets = value.buckets.iter();
        let count = buckets.try_fold(0_u64, |count, n| count.checked_add(*n));
        match count {
            Some(count) if value.buckets.len() == value.bounds.buckets() => Ok(Distribution {
                bounds: value.bounds,
                buckets: value.buckets,
                count,
                sum: value.growing_sum(),
            }),
            _ => Err(Rejection::WrongBuckets),
        }
    }
}

/// Checks that a value is valid for a family of this kind.
#[inline]
pub(super) fn check(kind: Kind, value: &Value<'_>) -> Result<(), Rejection> {
    let is_count = match (kind, value) {
        (Kind::Histogram, Value::Histogram(_))
        | (Kind::Info, Value::Info)
        | (Kind::StateSet, Value::StateSet(_)) => return Ok(()),
        (Kind::Histogram | Kind::Info | Kind::StateSet, _) => return Err(Rejection::WrongValue),
        (_, Value::U64(_)) => return Ok(()),
        (_, Value::I64(value)) => *value >= 0,
        (_, Value::F64(value)) => *value >= 0.0,
        _ => return Err(Rejection::WrongValue),
    };
    match kind == Kind::Counter && !is_count {
        true => Err(Rejection::NotACount),
        false => Ok(()),
    }
}
