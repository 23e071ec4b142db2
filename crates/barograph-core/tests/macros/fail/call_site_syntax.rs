use barograph_core::counter;

fn main() {
    let kind = "web";
    counter!().inc();
    counter!("").inc();
    counter!(kind = "web").inc();
    counter!("kind" => "web").inc();
    counter!("orders", kind).inc();
    counter!("orders", 1 = "web").inc();
    counter!("orders", kind: "web").inc();
    counter!("orders", kind = ).inc();
    counter!("orders" kind = "web").inc();
    counter!("orders", kind = "web" code = 1).inc();
}
