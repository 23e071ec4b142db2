//! Any directives are either refused and change nothing, or take effect.
#![no_main]

use barograph_tracing::filter::Filter;
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
    // The displayed directives parse to the same filter.
    let shown = handle.directives();
    assert!(handle.set(&shown).is_ok(), "{shown:?}");
    assert_eq!(handle.directives(), shown);
});
