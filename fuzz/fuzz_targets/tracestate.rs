//! For any `tracestate` headers, the parsed members are valid and in their original order, also
//! after a member is set.
#![no_main]

use std::collections::HashSet;

use barograph_model::context::TraceState;
use libfuzzer_sys::fuzz_target;

// Each line is a header; the first line is a member that is set.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let new = lines.next().and_then(|line| str::from_utf8(line).ok());
    let headers: Vec<&[u8]> = lines.collect();
    let Ok(state) = TraceState::parse(headers.iter().copied()) else {
        return;
    };
    check(&state);
    let came: Vec<&[u8]> = headers
        .iter()
        .flat_map(|header| header.split(|byte| *byte == b','))
        .collect();
    let mut rest = came.iter();
    for (key, value) in state.iter() {
        let member = format!("{key}={value}");
        let found = rest.find(|text| text.trim_ascii_start().starts_with(member.as_bytes()));
        assert!(found.is_some(), "{member} did not come, or not there");
    }
    let Some((key, value)) = new.and_then(|new| new.split_once('=')) else {
        return;
    };
    if let Ok(with) = state.with(key, value) {
        check(&with);
        assert_eq!(with.iter().next(), Some((key, value)));
        assert_eq!(with.get(key), Some(value));
        // The others are the previous members in the same order, except for those that no longer
        // fit.
        let mut others = state.iter().filter(|(other, _)| *other != key);
        for kept in with.iter().skip(1) {
            assert!(others.any(|other| other == kept));
        }
        check(&with.without(key));
        assert_eq!(with.without(key).get(key), None);
    }
});

fn check(state: &TraceState) {
    let text = state.as_str();
    assert!(text.len() <= TraceState::MAX_LENGTH);
    assert_eq!(state.is_empty(), text.is_empty());
    assert_eq!(TraceState::parse([text]).as_ref(), Ok(state));
    let members: Vec<_> = state.iter().collect();
    assert!(members.len() <= TraceState::MAX_MEMBERS);
    let keys: HashSet<_> = members.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), members.len());
    let joined: Vec<_> = members.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(joined.join(","), text);
    for (key, value) in members {
        assert!(key.starts_with(|c: char| matches!(c, 'a'..='z' | '0'..='9')));
        assert!(
            key.chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/' | '@'))
        );
        assert!(
            value
                .chars()
                .all(|c| matches!(c, ' '..='~') && c != ',' && c != '=')
        );
        assert!((1..=256).contains(&key.len()) && (1..=256).contains(&value.len()));
        assert!(!value.ends_with(' '));
    }
}
