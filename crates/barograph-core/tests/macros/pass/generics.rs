//! Lifetimes, type parameters, bounds and consts of a struct pass through the derives.

extern crate barograph_core as barograph;

use barograph::Counter;
use barograph::Family;
use barograph::labels::{Key, LabelSet, LabelValue, Shape};
use barograph::registry::Registry;

/// An enum with so many values that no array of series is kept for two of them.
struct Many(usize);

impl LabelValue for Many {
    const NAMES: &'static [&'static str] = &["m"; 1_000];

    fn index(&self) -> usize {
        self.0
    }
}

#[derive(LabelValue)]
enum Few {
    A,
    B,
}

struct Wrapped<T>(T);

impl<T: LabelValue> LabelValue for Wrapped<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn index(&self) -> usize {
        self.0.index()
    }
}

// Neither parameter needs a bound; `'__at` and `T` clash with nothing in the output.
#[derive(LabelSet)]
struct Pair<'c, T, U: 'c = Few>
where
    T: 'c,
{
    first: T,
    second: &'c Wrapped<U>,
}

#[derive(LabelSet)]
#[allow(non_camel_case_types)]
struct Sized_<const N: usize> {
    kind: Few,
}

fn is_dense<L: LabelSet>() -> Option<usize> {
    match <L as Key>::SHAPE {
        Shape::Dense(product) => Some(product),
        _ => None,
    }
}

fn main() {
    assert_eq!(is_dense::<Pair<'_, Few>>(), Some(4));
    assert_eq!(is_dense::<Pair<'_, Many, Few>>(), None);
    assert_eq!(is_dense::<Sized_<3>>(), Some(2));

    let registry = Registry::new();
    let pairs: Family<Counter<u64>, Pair<'_, Many>> = registry.counter("pairs").build_with_labels().unwrap();
    pairs.with(&Pair { first: Many(999), second: &Wrapped(Few::B) }).inc();
    pairs.with(&Pair { first: Many(999), second: &Wrapped(Few::A) }).add(2);
    assert_eq!(registry.value("pairs", &[("first", "m"), ("second", "b")]), Some(1.0));
    assert_eq!(registry.value("pairs", &[("first", "m"), ("second", "a")]), Some(2.0));
}
