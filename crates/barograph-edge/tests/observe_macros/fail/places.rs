use barograph_edge::observe::observe;

#[observe(crate = "barograph_edge")]
const fn constant() {}

#[observe(crate = "barograph_edge")]
struct Order;

struct Empty;

#[observe(crate = "barograph_edge")]
impl Empty {
    fn new() -> Self {
        Empty
    }
}

#[observe(crate = "barograph_edge", name = "all")]
impl Empty {
    fn one(&self) {}
}

fn main() {}
