//! For any values of `OTEL_TRACES_SAMPLER` and its argument, there is a sampler, and each ignored
//! value is named.
#![no_main]

use barograph_tracing::sampling::{Sampler, configured};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 12] = [
    "always_on",
    "always_off",
    "traceidratio",
    "probability",
    "ratelimited",
    "rules",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "parentbased_probability",
    "parentbased_ratelimited",
    "parentbased_rules",
];

fuzz_target!(|input: (u8, &str, Option<&str>)| {
    let (which, other, argument) = input;
    let name = NAMES.get(usize::from(which)).copied().unwrap_or(other);
    let (sampler, ignored) = configured(Some(name), argument);
    assert!(!sampler.description().is_empty());
    assert!(ignored.len() <= 2);
    for ignored in ignored {
        assert!(ignored.variable.starts_with("OTEL_TRACES_SAMPLER"));
        let line = ignored.to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
    }
});
