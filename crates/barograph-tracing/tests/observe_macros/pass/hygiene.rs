//! The expansion does not depend on names that a user may have redefined, and causes no lint.
#![deny(warnings)]

use barograph_tracing::observe::observe;

#[allow(non_camel_case_types, dead_code)]
mod shadows {
    pub struct Option;
    pub struct Result;
    pub struct Some;
    pub struct Level;
    pub mod core {}
}
#[allow(unused_imports)]
use shadows::*;

#[observe(crate = "barograph_tracing")]
fn never_fails(output: u8, running: u8) -> u8 {
    let begin = output + running;
    begin
}

#[observe(crate = "barograph_tracing", err = |error: &u8| error.to_string())]
async fn fails(error: u8) -> std::result::Result<u8, u8> {
    if error > 0 { Err(error) } else { Ok(error) }
}

#[observe(crate = "barograph_tracing")]
unsafe fn not_safe(at: *const u8) -> u8 {
    unsafe { *at }
}

#[observe(crate = "barograph_tracing")]
fn diverges() -> ! {
    std::process::exit(0)
}

trait Named {
    #[observe(crate = "barograph_tracing")]
    fn name(&self) -> String {
        String::from("nobody")
    }
}

impl Named for u8 {}

fn main() {
    let _ = (Option, Result, Some, Level);
    assert_eq!(never_fails(1, 2), 3);
    let future = fails(1);
    drop(future);
    let byte = 7_u8;
    assert_eq!(unsafe { not_safe(&byte) }, 7);
    assert_eq!(byte.name(), "nobody");
    diverges();
}
