use barograph_edge::observe::observe;

struct Opaque;

#[observe(crate = "barograph_edge", fields(opaque))]
fn field(opaque: Opaque) {
    let _ = opaque;
}

#[observe(crate = "barograph_edge", err = |_: &String| 7)]
fn code() -> Result<(), String> {
    Ok(())
}

fn main() {}
