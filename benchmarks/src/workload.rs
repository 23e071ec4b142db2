//! The recorded data: label sets, their order, and histogram values.
//!
//! Both tables are longer than a branch predictor remembers and in a shuffled order, like real
//! traffic. A loop over few values would measure the predictor instead of the library.

use std::ops::Range;
use std::sync::LazyLock;

use barograph_core::labels::LabelValue;
use measured::FixedCardinalityLabel;

/// The values of method, route and status.
pub(crate) type Values3 = [&'static str; 3];

/// The values of method, route and status, with the types that a program would use.
pub(crate) type Typed3 = (Method, &'static str, Status);

/// A table of 80 or 10,000 label sets of method, route and status, and a shuffled order of them.
///
/// Strings live as long as the program, so that libraries whose keys must own or outlive their
/// strings (`Family<[(&'static str, &'static str); 3], _>`) may be looked up without a copy.
pub(crate) struct LabelTable {
    /// The routes, 12 to 17 bytes long.
    routes: Vec<&'static str>,
    methods: usize,
    statuses: usize,
    /// The packed route, method and status of each operation, so that the measured loop needs no
    /// division.
    order: Box<[u32; LENGTH]>,
}

impl LabelTable {
    fn new(routes: usize, methods: usize, statuses: usize) -> Self {
        let routes: Vec<&'static str> = (0..routes)
            .map(|at| &*format!("/api/v1/r{at:0>width$}", width = 3 + at * 5 % 6).leak())
            .collect();
        let series = routes.len() * methods * statuses;
        let mut order: Box<[u32; LENGTH]> = (0..LENGTH)
            .map(|at| {
                let (route, rest) = (at % series / (methods * statuses), at % series);
                let (method, status) = (rest / statuses % methods, rest % statuses);
                u32::try_from(route << 8 | method << 4 | status).expect("a small table")
            })
            .collect::<Box<[u32]>>()
            .try_into()
            .expect("collected as many as the array holds");
        let mut random = Random::new();
        for at in (1..LENGTH).rev() {
            order.swap(at, random.below(at + 1));
        }
        Self {
            routes,
            methods,
            statuses,
            order,
        }
    }

    /// The number of label sets.
    pub(crate) fn series(&self) -> usize {
        self.routes.len() * self.methods * self.statuses
    }

    /// The distinct routes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.routes.iter().copied()
    }

    /// Returns each label set once.
    pub(crate) fn all(&self) -> impl Iterator<Item = Values3> + '_ {
        self.entries().map(|entry| self.values(entry))
    }

    /// Returns each label set once, with types, in the same order.
    pub(crate) fn all_typed(&self) -> impl Iterator<Item = Typed3> + '_ {
        self.entries().map(|entry| self.typed(entry))
    }

    /// Returns the label set of one operation.
    #[inline(always)]
    pub(crate) fn at(&self, operation: u64) -> Values3 {
        self.values(self.order[operation as usize % LENGTH] as usize)
    }

    /// Returns the label set of one operation, with types.
    #[inline(always)]
    pub(crate) fn typed_at(&self, operation: u64) -> Typed3 {
        self.typed(self.order[operation as usize % LENGTH] as usize)
    }

    /// Returns the number of uses of each label set, in the order of [`LabelTable::all`].
    pub(crate) fn counts(&self, done: &[Range<u64>]) -> Vec<u64> {
        let mut counts = vec![0; self.series()];
        for (at, times) in visits(done).into_iter().enumerate() {
            let entry = self.order[at] as usize;
            let method = (entry >> 8) * self.methods + (entry >> 4 & 15);
            counts[method * self.statuses + (entry & 15)] += times;
        }
        counts
    }

    fn entries(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.routes.len()).flat_map(move |route| {
            (0..self.methods).flat_map(move |method| {
                (0..self.statuses).map(move |status| route << 8 | method << 4 | status)
            })
        })
    }

    #[inline(always)]
    fn values(&self, entry: usize) -> Values3 {
        [
            METHODS[entry >> 4 & 7],
            self.routes[entry >> 8],
            STATUSES[entry & 15],
        ]
    }

    #[inline(always)]
    fn typed(&self, entry: usize) -> Typed3 {
        (
            Method::ALL[entry >> 4 & 7],
            self.routes[entry >> 8],
            Status::ALL[entry & 15],
        )
    }
}

/// The method as an enum, for the rows with typed labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FixedCardinalityLabel, LabelValue)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Patch,
    Head,
    Options,
    Trace,
}

impl Method {
    pub(crate) const ALL: [Self; 8] = [
        Self::Get,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Patch,
        Self::Head,
        Self::Options,
        Self::Trace,
    ];

    #[inline(always)]
    pub(crate) fn as_str(self) -> &'static str {
        METHODS[self as usize]
    }
}

/// The status as an enum, for the rows with typed labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FixedCardinalityLabel, LabelValue)]
pub(crate) enum Status {
    Ok,
    Created,
    NoContent,
    Moved,
    Found,
    BadRequest,
    Unauthorized,
    NotFound,
    ServerError,
    Unavailable,
}

impl Status {
    pub(crate) const ALL: [Self; 10] = [
        Self::Ok,
        Self::Created,
        Self::NoContent,
        Self::Moved,
        Self::Found,
        Self::BadRequest,
        Self::Unauthorized,
        Self::NotFound,
        Self::ServerError,
        Self::Unavailable,
    ];

    #[inline(always)]
    pub(crate) fn as_str(self) -> &'static str {
        STATUSES[self as usize]
    }
}

/// The values that histograms observe and gauges are set to: seconds with a log-normal
/// distribution.
#[derive(Clone, Copy)]
pub(crate) struct Values(&'static [f64; LENGTH]);

impl Values {
    pub(crate) fn get() -> Self {
        Self(&VALUES)
    }

    /// Returns the value of one operation.
    #[inline(always)]
    pub(crate) fn at(self, operation: u64) -> f64 {
        self.0[operation as usize % LENGTH]
    }
}

/// Returns the sum of the values of the operations that were done.
pub(crate) fn sum_of_values(done: &[Range<u64>]) -> f64 {
    let visits = visits(done);
    visits
        .iter()
        .zip(VALUES.iter())
        .map(|(&times, value)| times as f64 * value)
        .sum()
}

/// Returns the number of visits to each table position.
fn visits(done: &[Range<u64>]) -> Vec<u64> {
    let mut visits = vec![0; LENGTH];
    for range in done {
        let laps = (range.end - range.start) / LENGTH as u64;
        visits.iter_mut().for_each(|times| *times += laps);
        for operation in range.start + laps * LENGTH as u64..range.end {
            visits[operation as usize % LENGTH] += 1;
        }
    }
    visits
}

/// A Xorshift generator: the sequence is the same for each library and in each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(88_172_645_463_325_252)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// 80 label sets: 5 routes, 4 methods, 4 statuses.
pub(crate) static SERIES_80: LazyLock<LabelTable> = LazyLock::new(|| LabelTable::new(5, 4, 4));
/// 10,000 label sets: 125 routes, 8 methods, 10 statuses.
pub(crate) static SERIES_10K: LazyLock<LabelTable> = LazyLock::new(|| LabelTable::new(125, 8, 10));

/// The names of the three labels.
pub(crate) const NAMES_3: [&str; 3] = ["method", "route", "status"];

/// The classic 11 bucket bounds, in seconds.
pub(crate) const BOUNDS_11: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub(crate) const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE",
];
pub(crate) const STATUSES: [&str; 10] = [
    "200", "201", "204", "301", "302", "400", "401", "404", "500", "503",
];

/// The number of operations before a table repeats, a power of two.
const LENGTH: usize = 65_536;

static VALUES: LazyLock<Box<[f64; LENGTH]>> = LazyLock::new(|| {
    let mut random = Random::new();
    (0..LENGTH)
        .map(|_| (-6.0 + 2.2 * (0..6).map(|_| random.unit()).sum::<f64>()).exp())
        .collect::<Box<[f64]>>()
        .try_into()
        .expect("collected as many as the array holds")
});

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn counts_agree_with_the_operations_one_by_one() {
        let done = [3..70_000, 200_000..200_007];
        let mut seen = HashMap::new();
        for operation in done.iter().cloned().flatten() {
            *seen.entry(SERIES_10K.at(operation)).or_insert(0_u64) += 1;
            let (method, route, status) = SERIES_10K.typed_at(operation);
            assert_eq!(
                SERIES_10K.at(operation),
                [method.as_str(), route, status.as_str()]
            );
        }
        let counts = SERIES_10K.counts(&done);
        for (labels, count) in SERIES_10K.all().zip(counts) {
            assert_eq!(seen.get(&labels).copied().unwrap_or(0), count, "{labels:?}");
        }
    }

    #[test]
    fn routes_have_the_length_that_the_rows_promise() {
        for (table, series) in [(&SERIES_80, 80), (&SERIES_10K, 10_000)] {
            let distinct: HashSet<Values3> = table.all().collect();
            assert_eq!((distinct.len(), table.series()), (series, series));
            let lengths: HashSet<usize> = table.routes().map(str::len).collect();
            assert_eq!(
                (lengths.iter().min(), lengths.iter().max()),
                (Some(&12), Some(&17))
            );
        }
    }

    #[test]
    fn the_sum_of_values_agrees_with_the_operations_one_by_one() {
        let done = [5..70_000, 70_000..140_000];
        let sum: f64 = done
            .iter()
            .cloned()
            .flatten()
            .map(|operation| Values::get().at(operation))
            .sum();
        assert!((sum_of_values(&done) / sum - 1.0).abs() < 1e-9);
    }
}
