use barograph_core::counter;

fn main() {
    let code = 200;
    counter!("orders", kind = "web", "kind" => "phone").inc();
    counter!("orders", kind = "web", code = code, kind = code).inc();
    counter!("orders", "" => "web").inc();
    counter!("orders", le = "1", "quantile" => "0.5", __name__ = "x").inc();
}
