use barograph_tracing::observe::observe;

#[observe(crate = "barograph_tracing")]
const fn constant() {}

#[observe(crate = "barograph_tracing")]
struct Order;

struct Empty;

#[observe(crate = "barograph_tracing")]
impl Empty {
    fn new() -> Self {
        Empty
    }
}

#[observe(crate = "barograph_tracing", name = "all")]
impl Empty {
    fn one(&self) {}
}

fn main() {}
