//! Functions whose bodies and types are unusual.
#![deny(warnings)]

use barograph_tracing::observe::observe;

#[observe(crate = "barograph_tracing")]
async fn of_one_line(number: u8) -> Result<u8, std::io::Error> { Ok(number) }

#[observe(crate = "barograph_tracing")]
fn array_of_opaque_types() -> [impl Clone; 2] {
    [1, 2]
}

fn main() {
    drop(of_one_line(1));
    drop(array_of_opaque_types().clone());
}
