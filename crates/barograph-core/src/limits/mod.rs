//! The limits of a registry: plain values, the checks of label sets, and the quota of series.
//!
//! Limits are checked where a series is made, never where one is recorded into.

mod check;
mod quota;

pub(crate) use self::check::Violation;
pub(crate) use self::quota::Quota;

/// The number of labels that a series can have at all.
const MOST_LABELS: usize = 64;

/// The limits of a registry: how many series it may have, and which labels.
///
/// | limit | beyond it | [`new`](Self::new) | [`strict`](Self::strict) |
/// |---|---|---|---|
/// | series of all families | new label sets of any family go to its overflow series | none | 10,000 |
/// | series of a family | new label sets go to the overflow series | 2,000 | 1,000 |
/// | labels of a metric | registration fails | 32 | 10 |
/// | characters of a label value | the label set goes to the overflow series | 1,024 | 256 |
/// | forbidden labels | registration fails | none | `user_id`, `session_id`, `request_id`, `trace_id` |
///
/// The overflow series has the label `otel.metric.overflow="true"` in place of all others. It takes
/// the measurements of all label sets without a series, so the total of a family stays exact. Each
/// lookup that returns it is counted by reason in [`FamilyStats`](crate::stats::FamilyStats), and the
/// first one of each reason is reported. It is not counted as a series itself. An instrument that was
/// bound to it stays there, also when there is room again.
///
/// When the series of a family with labels, or of the registry, reach 80 % or 95 % of their limit, this is
/// reported once, and again only after a collection saw them 10 % of the limit below that level. Limits
/// that are lowered leave the series that exist.
///
/// A family whose labels are given with each measurement cannot fail at registration: a label set with
/// too many labels, or with a forbidden one, goes to the overflow series. A macro whose family cannot be
/// registered records nothing: that is counted by reason in [`Stats`](crate::stats::Stats), and reported
/// once. An info has no overflow series: facts that break a limit are left out, counted and reported.
///
/// Constant labels of the registry are not counted. They make no series more, and only the operator
/// sets them.
///
/// # Why a long value is not truncated
///
/// Label values identify a series. Truncated ones could be equal, and two label sets would be counted
/// as one that does not exist. OpenTelemetry exempts the attributes of metrics from its limit of
/// attribute lengths for this reason ("Attribute limits" of the metrics SDK), and demands that nothing
/// is dropped or counted twice beyond a limit. The overflow series is both.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::limits::Limits;
/// use barograph::Registry;
///
/// let registry = Registry::builder().with_limits(Limits::strict().with_labels(4)).build()?;
/// let visits = registry.counter("visits").build_with_label_names(["page", "user_id"]);
/// assert_eq!(
///     visits.unwrap_err().to_string(),
///     r#""visits": label "user_id" is forbidden in this registry, expected one with few values"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The number of series of all families together. `usize::MAX` is no limit.
    pub total_series: usize,
    /// The number of series of each family that has no limit of its own. `usize::MAX` is no limit.
    pub family_series: usize,
    /// The number of labels of a metric, without the constant labels of the registry. More than 64
    /// count as 64.
    pub labels: usize,
    /// The length of a label value in characters. All labels of a series together are limited to
    /// 65,531 bytes, which cannot be changed.
    pub value_length: usize,
    /// The names that no label may have. `user_id` also forbids `user.id`, `user-id` and `User_ID`,
    /// which become the same name on a page, or look like it.
    pub forbidden_labels: Vec<Box<str>>,
}

impl Limits {
    /// Returns the default limits.
    pub fn new() -> Self {
        Limits {
            total_series: usize::MAX,
            // OpenTelemetry metrics SDK, "Cardinality limits".
            family_series: 2_000,
            labels: 32,
            value_length: 1_024,
            forbidden_labels: Vec::new(),
        }
    }

    /// Returns limits that keep a service from overloading its receivers: see the table above.
    ///
    /// The forbidden labels identify a user, a session, a request or a trace, and so have a new value
    /// all the time. They belong to spans, log records and exemplars.
    pub fn strict() -> Self {
        Limits {
            total_series: 10_000,
            family_series: 1_000,
            labels: 10,
            value_length: 256,
            forbidden_labels: Vec::new(),
        }
        .with_forbidden_labels(&["user_id", "session_id", "request_id", "trace_id"])
    }

    /// Sets the number of series of all families together. `usize::MAX` is no limit.
    #[must_use]
    pub fn with_total_series(mut self, limit: usize) -> Self {
        self.total_series = limit;
        self
    }

    /// Sets the number of series of each family that has no limit of its own. `usize::MAX` is no
    /// limit.
    #[must_use]
    pub fn with_family_series(mut self, limit: usize) -> Self {
        self.family_series = limit;
        self
    }

    /// Sets the number of labels of a metric. More than 64 count as 64.
    #[must_use]
    pub fn with_labels(mut self, limit: usize) -> Self {
        self.labels = limit;
        self
    }

    /// Sets the length of a label value, in characters.
    #[must_use]
    pub fn with_value_length(mut self, characters: usize) -> Self {
        self.value_length = characters;
        self
    }

    /// Forbids these label names, in addition to those that are forbidden already.
    #[must_use]
    pub fn with_forbidden_labels(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| Box::from(*name));
        self.forbidden_labels.extend(names);
        self
    }
}

/// The default limits.
impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
