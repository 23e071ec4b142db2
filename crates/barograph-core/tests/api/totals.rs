//! Exact totals at the limits of a family and of a registry, against a naive model and by threads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use barograph_core::limits::Limits;
use barograph_core::registry::Registry;
use barograph_core::{Counter, Family};
use barograph_model::snapshot::{Source, Value};
use proptest::prelude::*;

use crate::reports::{hear, reports_with};

const FAMILIES: usize = 3;

type Families = Vec<Family<Counter, [&'static str; 1]>>;

fn families(registry: &Registry, prefix: &str) -> Families {
    let family = |i| {
        let counter = registry.counter(&format!("{prefix}{i}"));
        counter.build_with_label_names(["k"]).unwrap()
    };
    (0..FAMILIES).map(family).collect()
}

/// The values of each family by label, and under "" its overflow series.
type Shown = Vec<BTreeMap<String, u64>>;

fn shown(registry: &Registry) -> Shown {
    let views = registry.collect();
    let read = |view: &std::sync::Arc<dyn barograph_model::snapshot::FamilyView>| {
        let (mut all, mut from) = (BTreeMap::new(), Some(0));
        while let Some(at) = from {
            from = view.read(at, &mut |point| {
                let Value::U64(value) = point.value else {
                    panic!("a counter of whole numbers");
                };
                let label = match point.is_overflow {
                    true => "",
                    false => point.labels.iter().next().unwrap().1,
                };
                assert!(
                    all.insert(label.to_owned(), value).is_none(),
                    "{label} twice"
                );
            });
        }
        all
    };
    views.iter().map(read).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, u8, u8),
    Remove(usize, u8),
    SetFamily(usize, usize),
    SetLimits(usize, usize),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let family = 0..FAMILIES;
    prop_oneof![
        12 => (family.clone(), 0..12u8, 1..9u8).prop_map(|(f, k, n)| Step::Add(f, k, n)),
        3 => (family.clone(), 0..12u8).prop_map(|(f, k)| Step::Remove(f, k)),
        1 => (family, 0..14usize).prop_map(|(f, limit)| Step::SetFamily(f, limit)),
        1 => (0..30usize, 0..14usize).prop_map(|(total, family)| Step::SetLimits(total, family)),
        2 => Just(Step::Collect),
    ]
}

/// Maps from labels to numbers, with limits. It knows nothing of removed series: one that is recorded
/// into again is a new one.
struct Model {
    values: Shown,
    total: usize,
    family: usize,
    own: [Option<usize>; FAMILIES],
}

impl Model {
    fn series(&self, of: usize) -> usize {
        self.values[of]
            .keys()
            .filter(|label| !label.is_empty())
            .count()
    }

    fn add(&mut self, of: usize, label: String, n: u64) {
        let total: usize = (0..FAMILIES).map(|family| self.series(family)).sum();
        let is_full = self.series(of) >= self.own[of].unwrap_or(self.family) || total >= self.total;
        let is_new = !self.values[of].contains_key(&label);
        let label = if is_new && is_full {
            String::new()
        } else {
            label
        };
        *self.values[of].entry(label).or_insert(0) += n;
    }
}

proptest! {
    #[test]
    fn any_history_shows_what_maps_with_limits_would(steps in prop::collection::vec(step(), 1..150)) {
        let limits = Limits::new().with_total_series(12).with_family_series(6);
        let registry = Registry::builder().with_limits(limits).build().unwrap();
        let families = families(&registry, "f");
        let mut model = Model {
            values: vec![BTreeMap::new(); FAMILIES],
            total: 12,
            family: 6,
            own: [None; FAMILIES],
        };
        for step in steps {
            match step {
                Step::Add(of, k, n) => {
                    families[of].with(&[&k.to_string()]).add(n.into());
                    model.add(of, k.to_string(), n.into());
                }
                Step::Remove(of, k) => {
                    let was_there = families[of].remove(&[&k.to_string()]);
                    prop_assert_eq!(was_there, model.values[of].remove(&k.to_string()).is_some());
                }
                Step::SetFamily(of, limit) => {
                    registry.set_family_limit(&format!("f{of}"), limit);
                    model.own[of] = Some(limit);
                }
                Step::SetLimits(total, family) => {
                    let limits = Limits::new().with_total_series(total);
                    registry.set_limits(limits.with_family_series(family));
                    (model.total, model.family) = (total, family);
                }
                Step::Collect => {}
            }
            // What is recorded into a removed series is shown from the next collection on, and takes room
            // then, so the model has to see each step.
            prop_assert_eq!(&shown(&registry), &model.values);
            let stats = registry.stats();
            for (of, family) in stats.families.iter().enumerate() {
                prop_assert_eq!(family.series, model.series(of));
            }
            let series: usize = (0..FAMILIES).map(|of| model.series(of)).sum();
            prop_assert_eq!((stats.series, stats.limit), (series, model.total));
        }
    }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Threads add to more label sets than there is room for. Nothing is removed, so the end is what a map
/// would have, whichever label sets came first.
#[test]
fn threads_that_pass_the_limits_lose_nothing_concurrently() {
    hear();
    const TOTAL: usize = 100;
    for round in 0..40u64 {
        let limits = Limits::new()
            .with_total_series(TOTAL)
            .with_family_series(60);
        let registry = Registry::builder().with_limits(limits).build().unwrap();
        let prefix = format!("totals.threads{round}.");
        let families = families(&registry, &prefix);
        let truth = Mutex::new(vec![BTreeMap::<String, u64>::new(); FAMILIES]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let stats = registry.stats();
                    assert!(stats.series <= TOTAL, "{}", stats.series);
                    let all = shown(&registry);
                    let series = |all: &BTreeMap<String, u64>| {
                        all.keys().filter(|label| !label.is_empty()).count()
                    };
                    let series: Vec<_> = all.iter().map(series).collect();
                    assert!(series.iter().all(|series| *series <= 60), "{series:?}");
                    assert!(series.iter().sum::<usize>() <= TOTAL, "{series:?}");
                }
            });
            let recorders: Vec<_> = (1..=4u64)
                .map(|seed| {
                    let (families, truth) = (&families, &truth);
                    scope.spawn(move || {
                        let mut state = seed + round * 31;
                        let mut mine = vec![BTreeMap::new(); FAMILIES];
                        for _ in 0..600 {
                            let of = random(&mut state) as usize % FAMILIES;
                            let label = (random(&mut state) % 70).to_string();
                            let n = random(&mut state) % 5 + 1;
                            families[of].with(&[&label]).add(n);
                            *mine[of].entry(label).or_insert(0) += n;
                        }
                        let mut truth = truth.lock().unwrap();
                        for (all, mine) in truth.iter_mut().zip(mine) {
                            for (label, n) in mine {
                                *all.entry(label).or_insert(0) += n;
                            }
                        }
                    })
                })
                .collect();
            for recorder in recorders {
                recorder.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        let (truth, shown) = (truth.into_inner().unwrap(), shown(&registry));
        for (truth, shown) in truth.iter().zip(&shown) {
            assert_eq!(truth.values().sum::<u64>(), shown.values().sum::<u64>());
            for (label, value) in shown.iter().filter(|(label, _)| !label.is_empty()) {
                // Less only if one thread was refused while another one made this series.
                assert!(*value <= truth[label], "{label}");
            }
        }
        // Enough came to fill it. A thread that reached 80 may have been overtaken by one that reached 95.
        assert_eq!(registry.stats().series, TOTAL);
        let lines = reports_with(&format!("the newest in family \"{prefix}"));
        let is_95 =
            |line: &String| (95..=100).any(|n| line.contains(&format!("has {n} series, {n} %")));
        assert_eq!(
            lines.iter().filter(|line| is_95(line)).count(),
            1,
            "{lines:?}"
        );
        assert!(lines.len() <= 2, "{lines:?}");
        for (i, family) in families.iter().enumerate() {
            let mut lines = reports_with(&format!("family \"{prefix}{i}\" has "));
            lines.retain(|line| line.starts_with("family"));
            let levels = [48, 57].into_iter().filter(|level| family.len() >= *level);
            let levels: Vec<_> = levels.map(|level| format!("has {level} series")).collect();
            assert_eq!(lines.len(), levels.len(), "{lines:?}");
            let is_in_order = |(line, level): (&String, &String)| line.contains(&**level);
            assert!(lines.iter().zip(&levels).all(is_in_order), "{lines:?}");
        }
    }
}

/// Limits change while threads record.
#[test]
fn lookups_in_the_overflow_series_are_all_counted_concurrently() {
    let limits = Limits::new().with_total_series(50).with_family_series(30);
    let registry = Registry::builder().with_limits(limits).build().unwrap();
    let families = families(&registry, "totals.counted");
    let recorded = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 1..=4u64 {
            let (families, recorded, registry) = (&families, &recorded, &registry);
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..20_000 {
                    let of = random(&mut state) as usize % FAMILIES;
                    families[of]
                        .with(&[&(random(&mut state) % 40).to_string()])
                        .inc();
                    recorded.fetch_add(1, Ordering::Relaxed);
                    if random(&mut state).is_multiple_of(1000) {
                        registry.set_limits(
                            Limits::new()
                                .with_total_series(50)
                                .with_family_series(20 + random(&mut state) as usize % 11),
                        );
                    }
                }
            });
        }
    });
    let all = shown(&registry);
    let sum: u64 = all.iter().flat_map(BTreeMap::values).sum();
    assert_eq!(sum, recorded.load(Ordering::Relaxed));
    // One unit for each lookup, so the overflow series has as much as there are refusals.
    let stats = registry.stats();
    for (family, shown) in stats.families.iter().zip(&all) {
        let refused: u64 = family.refused.iter().map(|(_, count)| count).sum();
        assert_eq!(
            shown.get("").copied().unwrap_or(0),
            refused,
            "{}",
            family.name
        );
    }
    assert!(stats.series <= 50);
    assert_eq!(
        stats.series,
        stats.families.iter().map(|f| f.series).sum::<usize>()
    );
}

/// Series are removed, revived through handles that are still held, and compete with new ones for the
/// room of the registry, in several families at once.
#[test]
fn series_that_come_back_never_pass_the_limit_of_the_registry_concurrently() {
    const TOTAL: usize = 20;
    let limits = Limits::new().with_total_series(TOTAL);
    let registry = Registry::builder().with_limits(limits).build().unwrap();
    let families = families(&registry, "totals.back");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorders: Vec<_> = families
            .iter()
            .enumerate()
            .map(|(seed, family)| {
                scope.spawn(move || {
                    let mut state = seed as u64 + 1;
                    let handles: Vec<_> = (0..15).map(|k| family.bind(&[&k.to_string()])).collect();
                    for _ in 0..4_000 {
                        let k = random(&mut state) % 30;
                        match random(&mut state) % 4 {
                            0 => drop(family.remove(&[&k.to_string()])),
                            1 => family.with(&[&k.to_string()]).inc(),
                            _ => handles[k as usize % 15].inc(),
                        }
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        registry.collect();
                        let series = registry.stats().series;
                        assert!(series <= TOTAL, "{series}");
                    }
                })
            })
            .collect();
        for recorder in recorders {
            recorder.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    let all = shown(&registry);
    let series = all
        .iter()
        .flat_map(BTreeMap::keys)
        .filter(|label| !label.is_empty());
    let (series, stats) = (series.count(), registry.stats());
    assert_eq!(stats.series, series);
    assert_eq!(
        stats.families.iter().map(|f| f.series).sum::<usize>(),
        series
    );
    for family in &families {
        family.retain(|_| false);
    }
    assert_eq!(registry.stats().series, 0, "no room is lost");
}
