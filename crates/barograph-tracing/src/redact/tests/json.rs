//! JSON that stays JSON.

use proptest::prelude::*;

use crate::redact::Redaction;

#[test]
fn no_text_makes_it_panic_and_json_stays_json() {
    let redaction = Redaction::default();
    let pieces = [
        "password", "=", ":", "://", "@", "\"", "'", "\\", "é", " ", "\u{1b}", "\n", "/", "x",
    ];
    assert_stays_json::<5>(&redaction, &pieces);
    let encoded = [
        "%74oken", "password", "%3D", "=", "%22", "%5C", "\"", "\\", "[", "%5D", "]", "%25", "é",
        "%C3", "%A9", "%0A", " ", "x",
    ];
    assert_stays_json::<4>(&redaction, &encoded);
}

/// Checks every text that consists of `N` pieces.
fn assert_stays_json<const N: usize>(redaction: &Redaction, pieces: &[&str]) {
    let mut places = [0; N];
    loop {
        let text: String = places.iter().map(|place| pieces[*place]).collect();
        let redacted = redaction.text(&text);
        assert!(!redacted.is_empty());
        let json = serde_json::to_string(&text).unwrap();
        // In the form in which a log line has it: inside the quotes.
        let json = redaction.text(&json[1..json.len() - 1]);
        let read: Result<String, _> = serde_json::from_str(&format!("\"{json}\""));
        assert!(read.is_ok(), "{text:?}: {json}");
        let Some(place) = places.iter().position(|place| place + 1 < pieces.len()) else {
            break;
        };
        places[..place].fill(0);
        places[place] += 1;
    }
}

/// Texts that a JSON string may contain: signs, names, quotes and other characters.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "token",
        "=",
        ":",
        " ",
        "\"",
        "'",
        "\\",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ",",
        "--password",
        "n",
        "//",
        "@",
        "Cookie",
        "Bearer",
        "5",
        "é",
        "\n",
        ";",
        "&",
        "?",
        "%22",
        "%3D",
        "pwd",
        "x",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..10)
        .prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        fragments().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((fragments(), inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn json_that_was_valid_stays_valid(value in json(), spaced in any::<bool>()) {
        let text = match spaced {
            true => serde_json::to_string_pretty(&value),
            false => serde_json::to_string(&value),
        };
        let text = text.unwrap();
        let redacted = Redaction::default().text(&text).into_owned();
        let read: Result<serde_json::Value, _> = serde_json::from_str(&redacted);
        prop_assert!(read.is_ok(), "{}: {}", text, redacted);
    }
}
