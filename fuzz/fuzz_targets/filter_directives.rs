//! Whatever directives a filter is given, they are refused and change nothing, or hold, and what is
//! shown of them is read again as the same.
#![no_main]

use barograph_edge::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (first, second) = input;
    let Ok(filter) = first.parse::<Filter>() else {
        return;
    };
    let handle = filter.handle();
    let before = handle.directives();
    match handle.set(second) {
        Ok(()) => {}
        Err(_) => assert_eq!(handle.directives(), before),
    }
    let shown = handle.directives();
    let again: Filter = shown.parse().expect("what is shown is a filter");
    assert_eq!(again.handle().directives(), shown);
});
