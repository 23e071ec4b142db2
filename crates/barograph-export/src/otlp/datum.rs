//! A point as it is told to one receiver.

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::{HistogramValue, Value};

use crate::otlp::temporality::Temporality;
use crate::report::Rejection;

/// How a family is told: what stands around its points.
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
    /// Infos and state sets are sums that do not only grow, as OpenTelemetry translates them.
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

/// What is told of one series.
#[derive(Clone, Copy)]
pub(super) struct Datum<'a> {
    /// When it began to count, in nanoseconds since the Unix epoch; 0 where nobody knows.
    pub(super) start: u64,
    /// The moment it stands for.
    pub(super) time: u64,
    pub(super) number: Number<'a>,
    pub(super) exemplars: &'a [Exemplar],
    /// Exemplars up to this moment were told before.
    pub(super) told_until: u64,
}

impl<'a> Datum<'a> {
    /// The exemplars that are new.
    pub(super) fn exemplars(&self) -> impl Iterator<Item = &'a Exemplar> + use<'a> {
        let until = self.told_until;
        let is_new = move |exemplar: &&Exemplar| {
            exemplar.value.is_finite() && exemplar.time_unix_nano.is_none_or(|time| time > until)
        };
        self.exemplars.iter().filter(is_new)
    }
}

/// The value of a point.
#[derive(Clone, Copy)]
pub(super) enum Number<'a> {
    Whole(i64),
    Float(f64),
    Histogram(Distribution<'a>),
}

impl Number<'_> {
    /// OTLP's whole numbers are signed; one that is too large goes as a float.
    #[inline(always)]
    pub(super) fn unsigned(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Number::Whole(value),
            Err(_) => Number::Float(value as f64),
        }
    }
}

/// Buckets and sum.
#[derive(Clone, Copy)]
pub(super) struct Distribution<'a> {
    pub(super) bounds: &'a Bounds,
    pub(super) buckets: &'a [u64],
    pub(super) count: u64,
    /// None where observations may be negative: it could then go down.
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

/// Checks that a value is one that a family of this kind can have.
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
