use barograph_core::counter;

struct Kind;

fn main() {
    let kind = Kind;
    counter!("orders", kind = kind).inc();
    counter!("orders", kind = "web", share = 0.5).inc();
}
