extern crate barograph_core as barograph;

use barograph::labels::LabelValue;

#[derive(LabelValue)]
struct Struct {
    kind: u8,
}

#[derive(LabelValue)]
union Union {
    kind: u8,
}

#[derive(LabelValue)]
enum Empty {}

#[derive(LabelValue)]
enum WithFields {
    Web,
    Port(u16),
    Phone { number: u64 },
}

fn main() {}
