//! Series that are recorded into after their removal, while others read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_core::registry::Registry;
use barograph_model::snapshot::{FamilyView, Source, Value};

/// Lets two threads take turns.
struct Turns {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Turns {
    fn pair() -> (Self, Self) {
        let ((a, b), (c, d)) = (channel(), channel());
        let one = Turns {
            sender: a,
            receiver: d,
        };
        let other = Turns {
            sender: c,
            receiver: b,
        };
        (one, other)
    }

    /// Ends this thread's turn.
    fn pass(&self) {
        self.sender.send(()).unwrap();
    }

    /// Waits for this thread's turn.
    fn wait(&self) {
        self.receiver.recv().unwrap();
    }

    /// Gives the other thread a turn.
    fn swap(&self) {
        self.pass();
        self.wait();
    }
}

fn value_of(value: &Value<'_>) -> f64 {
    match value {
        Value::U64(n) => *n as f64,
        Value::I64(n) => *n as f64,
        Value::F64(n) => *n,
        Value::Histogram(h) => h.buckets.iter().map(|n| *n as f64).sum(),
        _ => panic!("neither a number nor a histogram"),
    }
}

/// Shows every point of a family, in as many batches as needed.
fn read_all(view: &dyn FamilyView, show: &mut dyn FnMut(&str, &Value<'_>)) {
    let mut from = Some(0);
    while let Some(at) = from {
        from = view.read(at, &mut |point| {
            let label = point.labels.iter().next().map_or("", |(_, value)| value);
            show(label, &point.value);
        });
    }
}

/// A thread that holds a reference records while the series waits for its release, and so revives it.
/// It is removed again, and the thread drops its reference, while a reader reads its labels.
fn removed_again_beside_a_reader(remove_again: fn(&Registry, &ManualClock)) {
    let clock = ManualClock::at(0);
    let registry = Registry::builder()
        .with_clock(clock.clone())
        .build()
        .unwrap();
    let family = registry
        .counter("c")
        .with_idle_time_to_live(Duration::from_secs(60))
        .build_with_label_names(["k"])
        .unwrap();
    let (long, other) = ("a".repeat(300), "b".repeat(300));
    family.with(&[&long]).inc();
    let (mine, theirs) = Turns::pair();
    thread::scope(|scope| {
        let (family, key) = (&family, &long);
        scope.spawn(move || {
            let held = family.with(&[key]);
            theirs.swap();
            held.inc();
            theirs.swap();
            drop(held);
            theirs.pass();
        });
        mine.wait();
        assert!(family.remove(&[&long]));
        registry.collect();
        mine.swap();
        let families = registry.collect();
        let mut shown = 0;
        for view in families {
            view.read(0, &mut |point| {
                shown += 1;
                let label = point.labels.iter().next().map(|(_, value)| value);
                remove_again(&registry, &clock);
                mine.swap();
                registry.collect();
                // Takes the place of the first series if that was released.
                family.with(&[&other]).inc();
                assert_eq!(label, Some(&*long), "the labels changed under a reader");
            });
        }
        assert_eq!(shown, 1);
    });
}

#[test]
fn labels_stay_while_they_are_read_though_retain_removes_again() {
    removed_again_beside_a_reader(|registry, _| {
        let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
        family.retain(|_| false);
    });
}

#[test]
fn labels_stay_while_they_are_read_though_the_series_expires() {
    removed_again_beside_a_reader(|registry, clock| {
        registry.collect();
        clock.advance(Duration::from_secs(61));
        registry.collect();
    });
}

#[test]
fn a_late_read_shows_nothing_of_a_life_that_began_after_its_snapshot() {
    let registry = Registry::new();
    let counters = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let histograms = registry
        .histogram("h")
        .build_with_label_names(["k"])
        .unwrap();
    let floats = registry
        .counter_f64("f")
        .build_with_label_names(["k"])
        .unwrap();
    let (counter, histogram, float) = (
        counters.bind(&["a"]),
        histograms.bind(&["a"]),
        floats.bind(&["a"]),
    );
    let record = |times| {
        for _ in 0..times {
            counter.inc();
            histogram.observe(1.0);
            float.add(1.0);
        }
    };
    let read = |views: &[std::sync::Arc<dyn FamilyView>]| {
        let mut shown = Vec::new();
        for view in views {
            read_all(&**view, &mut |_, value| shown.push(value_of(value)));
        }
        shown
    };
    record(1);
    let late = registry.collect();
    // In cells that were made after the snapshot.
    thread::scope(|scope| {
        scope.spawn(|| record(10_000));
    });
    assert_eq!(read(&registry.collect()), [10_001.0; 3]);
    assert_eq!(read(&late), [10_001.0; 3], "a late read went back");
    counters.remove(&["a"]);
    histograms.remove(&["a"]);
    floats.remove(&["a"]);
    record(1);
    assert_eq!(read(&registry.collect()), [1.0; 3]);
    assert_eq!(read(&late), [0.0; 0]);
}

#[test]
fn a_counter_is_never_below_zero_beside_removals_concurrently() {
    let registry = Registry::new();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let histograms = registry
        .histogram("h")
        .build_with_label_names(["k"])
        .unwrap();
    let (counter, histogram) = (family.bind(&["a"]), histograms.bind(&["a"]));
    let done = AtomicBool::new(false);
    let (mut got, mut shown) = (0, 0.0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10_000 {
                counter.inc();
                histogram.observe(1.0);
                family.remove(&["a"]);
                histograms.remove(&["a"]);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            got = got.max(counter.get());
            for view in registry.collect() {
                read_all(&*view, &mut |_, value| shown = value_of(value).max(shown));
            }
        }
    });
    // One is recorded between two removals, never more.
    assert!(got <= 1 && shown <= 1.0, "{got} {shown}");
}

#[test]
fn a_series_that_came_back_as_it_was_is_counted_out() {
    let registry = Registry::new();
    let family = registry
        .up_down_counter("c")
        .build_with_label_names(["k"])
        .unwrap();
    for round in 0..5 {
        let key = round.to_string();
        family.with(&[&key]).inc();
        let (mine, theirs) = Turns::pair();
        thread::scope(|scope| {
            let (family, key) = (&family, &key);
            scope.spawn(move || {
                let held = family.with(&[key]);
                theirs.swap();
                held.inc();
                theirs.swap();
                held.dec();
                drop(held);
                theirs.pass();
            });
            mine.wait();
            assert!(family.remove(&[key]));
            registry.collect();
            mine.swap();
            registry.collect();
            mine.swap();
            registry.collect();
            registry.collect();
        });
        assert_eq!(registry.value("c", &[("k", &key)]), Some(0.0));
        let mut shown = 0;
        read_all(&*registry.collect()[0], &mut |_, _| shown += 1);
        assert_eq!((family.len(), shown), (round + 1, round + 1));
    }
    family.retain(|_| false);
    assert_eq!((family.len(), registry.stats().series), (0, 0));
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A label that does not fit into the line of a series, so that a read of freed text is detected; its
/// content shows whether it is complete.
fn label(number: u64) -> String {
    format!("{number}-").repeat(16)
}

fn assert_whole(shown: &str) {
    let (number, _) = shown.split_once('-').unwrap();
    assert_eq!(shown, label(number.parse().unwrap()));
}

/// Everything at once: references held over a removal, late recordings through them, expiry, removal by
/// name and by rule, slow readers, threads that come and go, and label sets that take the places of
/// others.
#[test]
fn series_leave_and_come_back_under_readers_concurrently() {
    const ROUNDS: u64 = 60;
    let clock = ManualClock::at(0);
    let registry = Registry::builder()
        .with_clock(clock.clone())
        .with_family_limit(8)
        .with_idle_time_to_live(Duration::from_secs(2))
        .build()
        .unwrap();
    let counters = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let histograms = registry
        .histogram("h")
        .build_with_label_names(["k"])
        .unwrap();
    let up_downs = registry
        .up_down_counter("u")
        .build_with_label_names(["k"])
        .unwrap();
    let (done, newest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        // Recorders: they use recent label sets, so that older ones expire.
        let recorder = |seed: u64| {
            let (counters, histograms, up_downs) = (&counters, &histograms, &up_downs);
            let newest = &newest;
            move || {
                let mut state = seed;
                for _ in 0..40 {
                    let newest = newest.fetch_add(random(&mut state) % 2, Ordering::Relaxed);
                    let key = label(newest.saturating_sub(random(&mut state) % 6));
                    let counter = counters.with(&[&key]);
                    let (histogram, up_down) = (histograms.with(&[&key]), up_downs.with(&[&key]));
                    for _ in 0..3 {
                        counter.inc();
                        histogram.observe(1.0);
                        up_down.inc();
                        thread::yield_now();
                        up_down.dec();
                    }
                }
            }
        };
        let remover = scope.spawn(|| {
            let mut state = 99;
            while !done.load(Ordering::Relaxed) {
                let key = label(
                    newest
                        .load(Ordering::Relaxed)
                        .saturating_sub(random(&mut state) % 6),
                );
                match random(&mut state) % 4 {
                    0 => {
                        counters.retain(|labels| labels.iter().all(|(_, shown)| shown == key));
                        up_downs.retain(|_| false);
                    }
                    1 => clock.advance(Duration::from_secs(1)),
                    _ => {
                        counters.remove(&[&key]);
                        histograms.remove(&[&key]);
                        up_downs.remove(&[&key]);
                    }
                }
                registry.collect();
                thread::yield_now();
            }
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for view in registry.collect() {
                            read_all(&*view, &mut |shown, value| {
                                if shown.is_empty() {
                                    return;
                                }
                                assert_whole(shown);
                                let value = value_of(value);
                                assert!((-1e6..1e6).contains(&value), "{value}");
                                for _ in 0..3 {
                                    thread::yield_now();
                                }
                                assert_whole(shown);
                            });
                        }
                    }
                })
            })
            .collect();
        for round in 0..ROUNDS {
            let short_lived: Vec<_> = (1..=3)
                .map(|k| scope.spawn(recorder(round * 7 + k)))
                .collect();
            for thread in short_lived {
                thread.join().unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        remover.join().unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
    });
    let families = registry.collect();
    for (view, len) in families
        .iter()
        .zip([counters.len(), histograms.len(), up_downs.len()])
    {
        let mut shown = 0;
        read_all(&**view, &mut |key, _| shown += usize::from(!key.is_empty()));
        assert_eq!(shown, len);
    }
}
