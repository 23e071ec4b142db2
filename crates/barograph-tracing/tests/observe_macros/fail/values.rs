use barograph_tracing::observe::observe;

struct Opaque;

#[observe(crate = "barograph_tracing", fields(opaque))]
fn field(opaque: Opaque) {
    let _ = opaque;
}

#[observe(crate = "barograph_tracing", err = |_: &String| 7)]
fn code() -> Result<(), String> {
    Ok(())
}

fn main() {}
