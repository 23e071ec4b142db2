use barograph_core::counter;

fn main() {
    let name = "orders";
    counter!(name).inc();
}
