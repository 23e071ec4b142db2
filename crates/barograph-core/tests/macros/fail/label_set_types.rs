extern crate barograph_core as barograph;

use barograph::labels::LabelSet;

#[derive(LabelSet)]
struct Types<'a> {
    share: f64,
    letter: char,
    large: u128,
    maybe: Option<&'a str>,
    bytes: &'a [u8],
    pair: (u8, u8),
}

fn main() {}
