//! Programs that `#[observe]` accepts and programs that it rejects.

#[test]
fn the_attribute_accepts_and_refuses_what_it_should() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/observe_macros/pass/*.rs");
    cases.compile_fail("tests/observe_macros/fail/*.rs");
}
