//! The number of series that a family or a registry has, and that it may have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The percentages of a limit that are reported when they are reached.
const LEVELS: [u8; 2] = [80, 95];

/// A level is reported again only after the usage has fallen this many percent of the limit below it:
/// usage that varies around a level is one crossing.
const HYSTERESIS: u8 = 10;

/// The number of series that a family or a registry has, and its limit.
///
/// Recording into a series that exists does not come here.
///
/// The count never exceeds a limit that does not change. A limit that is set below the count takes
/// nothing away; it only admits no more.
#[derive(Debug)]
pub(crate) struct Quota {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// The number of levels that were reported. Locked only where the usage is high, and at collections.
    reported: Mutex<usize>,
}

/// A level that the usage has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// The usage in percent of the limit, rounded down.
    pub(crate) percent: usize,
    pub(crate) used: usize,
    pub(crate) limit: usize,
}

impl Crossing {
    /// Returns the report about a family.
    pub(crate) fn of_family(self, name: &str) -> String {
        let Crossing {
            percent,
            used,
            limit,
        } = self;
        format!(
            "family {name:?} has {used} series, {percent} % of its limit of {limit}: past it new label \
             sets go to its overflow series; use labels with fewer values, remove series that have \
             ended, or raise the limit with `with_series_limit`"
        )
    }

    /// Returns the report about a registry. The family is the one that got the newest series.
    pub(crate) fn of_registry(self, newest: Option<&str>) -> String {
        let Crossing {
            percent,
            used,
            limit,
        } = self;
        let newest = newest.map(|name| format!(", the newest in family {name:?}"));
        let newest = newest.unwrap_or_default();
        format!(
            "the registry has {used} series, {percent} % of its limit of {limit}{newest}: past it new \
             label sets go to the overflow series of their family; `barograph.family.utilization` \
             shows which families are large: use labels with fewer values there, or raise the limit \
             with `Limits::with_total_series`"
        )
    }
}

impl Quota {
    pub(crate) fn new(limit: usize) -> Self {
        Quota {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            reported: Mutex::new(0),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit, from now on.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns true if there is no room for another series.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.limit()
    }

    /// Takes room for one more series, and returns how many there are now. `None` if it is full.
    pub(crate) fn take(&self) -> Option<usize> {
        let limit = self.limit();
        let order = Ordering::Relaxed;
        let more = |used| (used < limit).then_some(used + 1);
        // Not an addition that is taken back: others would see it full meanwhile.
        let before = self.used.fetch_update(order, order, more).ok()?;
        Some(before + 1)
    }

    /// Gives back the room of some series.
    pub(crate) fn give_back(&self, series: usize) {
        self.used.fetch_sub(series, Ordering::Relaxed);
    }

    /// Returns the level that the usage has reached, once for each crossing. `used` is what
    /// [`take`](Self::take) has returned.
    pub(crate) fn crossing(&self, used: usize) -> Option<Crossing> {
        let limit = self.limit();
        let reached = reached(used, limit, 0);
        if reached == 0 {
            return None;
        }
        let mut reported = self.reported();
        if reached <= *reported {
            return None;
        }
        *reported = reached;
        let percent = used.saturating_mul(100).checked_div(limit);
        Some(Crossing {
            percent: percent.unwrap_or(100),
            used,
            limit,
        })
    }

    /// Forgets the levels that the usage is well below, so that reaching them is reported again.
    ///
    /// Called at collections: the number of reports is limited by theirs, however fast series come and
    /// go. The usage is read under the lock, so that it is not older than a level reported meanwhile.
    pub(crate) fn rearm(&self) {
        let mut reported = self.reported();
        if *reported > 0 {
            let reached = reached(self.used(), self.limit(), HYSTERESIS);
            *reported = (*reported).min(reached);
        }
    }

    fn reported(&self) -> MutexGuard<'_, usize> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the number of levels, each lowered by `below` percent, that the usage has reached.
fn reached(used: usize, limit: usize, below: u8) -> usize {
    // Neither product fits into 64 bits for every limit.
    let (used, limit) = (used as u128 * 100, limit as u128);
    let is_reached = |level: &&u8| used >= limit * u128::from(**level - below);
    LEVELS.iter().take_while(is_reached).count()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes room for series until there are `until`, and returns the crossings by their usage.
    fn fill(quota: &Quota, until: usize) -> Vec<usize> {
        let take = |_| quota.take().and_then(|used| quota.crossing(used));
        let crossings = (quota.used()..until).filter_map(take);
        crossings.map(|crossing| crossing.used).collect()
    }

    #[test]
    fn each_level_is_reported_when_it_is_reached_and_not_again() {
        let quota = Quota::new(100);
        for (until, crossed) in [
            (79, vec![]),
            (80, vec![80]),
            (81, vec![]),
            (94, vec![]),
            (95, vec![95]),
            (96, vec![]),
            (100, vec![]),
        ] {
            assert_eq!(fill(&quota, until), crossed, "{until}");
            quota.rearm();
        }
        assert_eq!(quota.take(), None);
        assert!(quota.is_full());
    }

    #[test]
    fn a_level_is_reported_again_after_a_collection_saw_the_usage_well_below_it() {
        let quota = Quota::new(100);
        assert_eq!(fill(&quota, 96), [80, 95]);
        // Neither without a collection, nor around the level.
        quota.give_back(60);
        assert_eq!(fill(&quota, 96), []);
        quota.give_back(11);
        quota.rearm();
        assert_eq!(fill(&quota, 96), []);
        quota.give_back(12);
        quota.rearm();
        assert_eq!(fill(&quota, 96), [95]);
        quota.give_back(27);
        quota.rearm();
        assert_eq!(fill(&quota, 96), [80, 95]);
    }

    #[test]
    fn a_limit_of_any_size_reports_its_levels() {
        let cases: [(usize, &[usize]); 6] = [
            (1, &[1]),
            (2, &[2]),
            (5, &[4, 5]),
            (10, &[8, 10]),
            (19, &[16, 19]),
            (1000, &[800, 950]),
        ];
        for (limit, crossed) in cases {
            assert_eq!(fill(&Quota::new(limit), limit), crossed, "{limit}");
        }
        assert_eq!(fill(&Quota::new(usize::MAX), 10_000), []);
        assert_eq!(Quota::new(0).take(), None);
    }

    #[test]
    fn a_limit_below_the_usage_is_a_crossing() {
        let quota = Quota::new(usize::MAX);
        fill(&quota, 50);
        quota.set_limit(40);
        let crossing = quota.crossing(quota.used()).unwrap();
        assert_eq!(
            (crossing.used, crossing.limit, crossing.percent),
            (50, 40, 125)
        );
        assert_eq!(quota.crossing(quota.used()), None);
        quota.set_limit(0);
        quota.rearm();
        assert_eq!(quota.crossing(50), None, "it was reported");
        quota.set_limit(1000);
        quota.rearm();
        assert_eq!(fill(&quota, 1000), [800, 950]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        GiveBack,
        SetLimit(usize),
        Rearm,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => Just(Step::Take),
            4 => Just(Step::GiveBack),
            1 => (0..30usize).prop_map(Step::SetLimit),
            2 => Just(Step::Rearm),
        ]
    }

    proptest! {
        /// The model has a flag for each level, and computes with fractions.
        #[test]
        fn any_history_reports_what_flags_would(steps in prop::collection::vec(step(), 0..200)) {
            let quota = Quota::new(20);
            let (mut used, mut limit, mut flags) = (0usize, 20usize, [false; 2]);
            for step in steps {
                match step {
                    Step::Take => {
                        let taken = quota.take();
                        let crossing = taken.and_then(|used| quota.crossing(used));
                        prop_assert_eq!(taken.is_some(), used < limit);
                        if used < limit {
                            used += 1;
                            let share = used as f64 / limit as f64;
                            let reached = [share >= 0.8, share >= 0.95];
                            let is_new = (0..2).any(|level| reached[level] && !flags[level]);
                            prop_assert_eq!(crossing.is_some(), is_new);
                            for level in 0..2 {
                                flags[level] |= reached[level];
                            }
                        }
                    }
                    Step::GiveBack if used > 0 => {
                        quota.give_back(1);
                        used -= 1;
                    }
                    Step::GiveBack => {}
                    Step::SetLimit(new) => {
                        quota.set_limit(new);
                        limit = new;
                    }
                    Step::Rearm => {
                        quota.rearm();
                        let share = used as f64 / limit as f64;
                        // A limit of zero is reached by any number of series, also by none.
                        flags[0] &= share >= 0.7 || limit == 0;
                        flags[1] &= share >= 0.85 || limit == 0;
                    }
                }
                prop_assert_eq!(quota.used(), used);
            }
        }
    }

    #[test]
    fn the_quota_is_never_exceeded_and_each_level_is_reported_once_concurrently() {
        for _ in 0..200 {
            let quota = Quota::new(100);
            let crossings = Mutex::new(Vec::new());
            let taken = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (quota, crossings, taken) = (&quota, &crossings, &taken);
                    scope.spawn(move || {
                        for round in 0..40 {
                            let Some(used) = quota.take() else { continue };
                            assert!(used <= 100, "{used}");
                            taken.fetch_add(1, Ordering::Relaxed);
                            if let Some(crossing) = quota.crossing(used) {
                                crossings.lock().unwrap().push(crossing.used);
                            }
                            // Some come and go, without a collection.
                            if (round + thread) % 10 == 9 {
                                quota.give_back(1);
                                taken.fetch_sub(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            let mut crossings = crossings.into_inner().unwrap();
            crossings.sort_unstable();
            assert_eq!(quota.used(), taken.load(Ordering::Relaxed));
            // More than enough came to fill it. A thread that has reached a level may be overtaken by
            // one that has reached more.
            assert!(
                crossings.len() <= 2 && !crossings.is_empty(),
                "{crossings:?}"
            );
            assert!(crossings[crossings.len() - 1] >= 95, "{crossings:?}");
        }
    }
}
