extern crate barograph_core as barograph;

use barograph::labels::LabelSet;

enum Kind {
    Web,
}

#[derive(LabelSet)]
struct Order<'a> {
    route: &'a str,
    kind: Kind,
}

#[derive(LabelSet)]
struct Visit {
    kind: Kind,
}

fn main() {}
