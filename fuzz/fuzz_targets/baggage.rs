//! For any `baggage` headers, the parsed baggage is valid, and any text that is set as a value is
//! read back.
#![no_main]

use std::collections::HashSet;

use arbitrary::Arbitrary;
use barograph_model::context::{Baggage, InvalidBaggage};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    name: &'a str,
    value: &'a str,
    properties: &'a str,
    headers: Vec<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    let baggage = Baggage::parse(input.headers.iter().copied());
    check(&baggage);
    match baggage.with_properties(input.name, input.value, input.properties) {
        Ok(with) => {
            check(&with);
            assert_eq!(with.get(input.name).as_deref(), Some(input.value));
            let without = with.without(input.name);
            check(&without);
            assert_eq!(without, baggage.without(input.name));
        }
        Err(InvalidBaggage::Full) => {
            let room = Baggage::MAX_LENGTH - baggage.as_str().len();
            let needed = input.name.len() + 3 * input.value.len() + input.properties.len() + 3;
            assert!(baggage.len() == Baggage::MAX_MEMBERS || needed > room);
        }
        Err(_) => {}
    }
});

fn check(baggage: &Baggage) {
    let text = baggage.as_str();
    assert!(text.len() <= Baggage::MAX_LENGTH && baggage.len() <= Baggage::MAX_MEMBERS);
    assert!(text.bytes().all(|byte| matches!(byte, b'!'..=b'~')));
    assert_eq!(baggage.is_empty(), text.is_empty());
    assert_eq!(baggage.len(), baggage.iter().count());
    // Parsing its text returns the same baggage.
    assert_eq!(&Baggage::parse([text]), baggage);
    assert_eq!(&Baggage::parse([text, ""]), baggage);
    let names: HashSet<_> = baggage.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), baggage.len());
    for entry in baggage.iter() {
        assert!(!entry.name.is_empty());
        assert_eq!(baggage.get(entry.name).as_ref(), Some(&entry.value));
    }
}
