//! Instruments at the limits of their numbers.

use barograph_core::registry::Registry;
use barograph_model::snapshot::{Source, Value};

#[derive(Debug, PartialEq)]
enum Shown {
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Returns the values of all points of the only family.
fn values(registry: &Registry) -> Vec<Shown> {
    let mut values = Vec::new();
    registry.collect()[0].read(0, &mut |point| {
        values.push(match point.value {
            Value::U64(n) => Shown::U64(n),
            Value::I64(n) => Shown::I64(n),
            Value::F64(n) => Shown::F64(n),
            _ => panic!("not a number"),
        });
    });
    values
}

/// The bits that a cell has when its series was removed.
const MARK: u64 = 0xfff8_ba10_97a9_dead;

#[test]
fn a_gauge_takes_every_whole_number() {
    let registry = Registry::new();
    let family = registry
        .gauge_i64("g")
        .build_with_label_names(["k"])
        .unwrap();
    let gauge = family.bind(&["a"]);
    let mark = MARK.cast_signed();
    for value in [mark, mark ^ 1, i64::MIN, i64::MAX, 0, mark, mark] {
        gauge.set(value);
        assert_eq!(gauge.get(), value);
        assert_eq!(values(&registry), [Shown::I64(value)]);
    }
    gauge.add(1);
    assert_eq!(gauge.get(), mark + 1);
    gauge.sub(1);
    assert_eq!(gauge.get(), mark, "reached by adding");
    assert_eq!(values(&registry), [Shown::I64(mark)]);
    assert!(family.remove(&["a"]), "a value as any other");
    assert_eq!((gauge.get(), values(&registry)), (0, vec![]));
    gauge.set(mark);
    assert_eq!(values(&registry), [Shown::I64(mark)], "it came back");
    family.remove(&["a"]);
    gauge.add(mark);
    assert_eq!(values(&registry), [Shown::I64(mark)], "and by adding too");
    family.remove(&["a"]);
    gauge.inc();
    assert_eq!(values(&registry), [Shown::I64(1)]);
}

#[test]
fn a_gauge_takes_every_float() {
    let registry = Registry::new();
    let gauge = registry.gauge("g").build().unwrap();
    for bits in [MARK, MARK ^ 1, f64::NAN.to_bits(), 0, 1 << 63] {
        gauge.set(f64::from_bits(bits));
        assert_eq!(gauge.get().to_bits(), bits);
        let [Shown::F64(shown)] = values(&registry)[..] else {
            panic!("one float");
        };
        assert_eq!(shown.to_bits(), bits);
    }
}

#[test]
fn sums_of_whole_numbers_wrap_around() {
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    counter.add(u64::MAX);
    assert_eq!(values(&registry), [Shown::U64(u64::MAX)]);
    counter.add(2);
    assert_eq!((counter.get(), values(&registry)), (1, vec![Shown::U64(1)]));

    let registry = Registry::new();
    let up_down = registry.up_down_counter("u").build().unwrap();
    up_down.add(i64::MAX);
    up_down.inc();
    assert_eq!(values(&registry), [Shown::I64(i64::MIN)]);
    up_down.dec();
    assert_eq!(up_down.get(), i64::MAX);

    let registry = Registry::new();
    let gauge = registry.gauge_i64("g").build().unwrap();
    gauge.set(i64::MIN);
    gauge.dec();
    assert_eq!(values(&registry), [Shown::I64(i64::MAX)]);
    gauge.sub(i64::MIN);
    assert_eq!(gauge.get(), -1);
}

#[test]
fn sums_of_floats_become_infinite_and_stay() {
    let registry = Registry::new();
    let counter = registry.counter_f64("c").build().unwrap();
    counter.add(f64::MAX);
    counter.add(f64::MAX);
    counter.add(1.0);
    assert_eq!(values(&registry), [Shown::F64(f64::INFINITY)]);
    // Past 2^53 a float cannot represent one more.
    let registry = Registry::new();
    let counter = registry.counter_f64("c").build().unwrap();
    counter.add(9_007_199_254_740_992.0);
    counter.inc();
    assert_eq!(counter.get(), 9_007_199_254_740_992.0);
}
