extern crate barograph_core as barograph;

use barograph::labels::LabelSet;

#[derive(LabelSet)]
struct Tuple(&'static str, u16);

#[derive(LabelSet)]
struct Unit;

#[derive(LabelSet)]
struct Empty {}

#[derive(LabelSet)]
enum Enum {
    Web,
}

#[derive(LabelSet)]
union Union {
    kind: u8,
}

fn main() {}
