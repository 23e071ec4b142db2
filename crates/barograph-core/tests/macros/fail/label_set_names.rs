extern crate barograph_core as barograph;

use barograph::labels::LabelSet;

#[derive(LabelSet)]
struct Twice<'a> {
    kind: &'a str,
    #[label(name = "kind")]
    sort: &'a str,
}

#[derive(LabelSet)]
struct Reserved<'a> {
    le: &'a str,
    #[label(name = "quantile")]
    rank: &'a str,
    __name__: &'a str,
    #[label(name = "")]
    nothing: &'a str,
}

#[derive(LabelSet)]
struct Attributes<'a> {
    #[label(crate = "barograph")]
    kind: &'a str,
    #[label(name)]
    route: &'a str,
}

#[derive(LabelSet)]
#[label(crate = "not a path")]
struct Root<'a> {
    kind: &'a str,
}

fn main() {}
