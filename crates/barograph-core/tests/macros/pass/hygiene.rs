//! The output refers to nothing by a name that a user may have taken.

extern crate barograph_core as barograph;

#[derive(barograph::labels::LabelValue, Clone, Copy)]
enum Option {
    Some,
    None,
}

#[allow(non_camel_case_types, dead_code)]
mod shadows {
    pub struct u64;
    pub struct usize;
    pub struct AsRef;
    pub struct Key;
    pub struct Shape;
    pub struct LabelSet;
    pub mod core {}
}
use shadows::*;

#[derive(barograph::labels::LabelSet)]
struct Call<'a> {
    at: &'a std::primitive::str,
    out: std::primitive::u64,
    product: Choice,
}

type Choice = Option;

fn main() {
    let _ = (u64, usize, AsRef, Key, Shape, LabelSet);
    let registry = barograph::registry::Registry::new();
    let calls = registry.counter("calls").build_with_labels::<Call>().unwrap();
    calls.with(&Call { at: "x", out: 1, product: Choice::Some }).inc();
    calls.with(&Call { at: "x", out: 1, product: Choice::None }).inc();
    let labels = [("at", "x"), ("out", "1"), ("product", "some")];
    assert_eq!(registry.value("calls", &labels), std::option::Option::Some(1.0));

    // Variables of the expansion do not hide the user's.
    let (found, value0, value1) = ("f", "0", "1");
    barograph::counter!("hygiene", a = value1, b = value0, c = found).inc();
    let labels = [("a", "1"), ("b", "0"), ("c", "f")];
    let value = barograph::registry::Registry::global().value("hygiene", &labels);
    assert_eq!(value, std::option::Option::Some(1.0));
}
