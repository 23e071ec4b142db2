//! Random texts with a secret or without one.

use std::borrow::Cow;

use proptest::prelude::*;

use crate::redact::Redaction;

/// The names of secrets, and what may stand between a name and its value, and around the value.
const SPELLED: [&str; 8] = [
    "password",
    "DB_PASSWORD",
    "accessToken",
    "api-key",
    "session_id",
    "jwt",
    "authorization",
    "Cookie",
];
const SHAPES: [(&str, &str); 22] = [
    ("=", ""),
    (": ", ""),
    (" => ", ""),
    ("%3D", ""),
    ("=\"", "\""),
    ("='", "'"),
    ("\":\"", "\""),
    ("\": \"", "\""),
    ("\\\":\\\"", "\\\""),
    ("\":[\"", "\"]"),
    ("\":[\"a\",\"", "\"]"),
    ("\":{\"a\":\"", "\"}"),
    ("\":", ","),
    (": Some(\"", "\")"),
    (": Some(\n  \"", "\",\n)"),
    (": Login { a: \"", "\" }"),
    ("=Bearer ", ""),
    ("=\"a\"", ""),
    ("=a'", ""),
    ("=b\"", "\""),
    ("[0]=", ""),
    ("+=", ""),
];

fn spelled() -> impl Strategy<Value = (&'static str, (&'static str, &'static str))> {
    (
        prop::sample::select(&SPELLED[..]),
        prop::sample::select(&SHAPES[..]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_comes_through_in_any_shape(
        before in "[a-z .,{&?]{0,12}[ ?&\n{]",
        (name, (open, close)) in spelled(),
        secret in "S3cr[A-Za-z0-9+/_]{4,20}",
        after in "([ \n].{0,20})?",
    ) {
        prop_assume!(!after.contains(&secret));
        let text = format!("{before}{name}{open}{secret}{close}{after}");
        let redacted = Redaction::default().text(&text).into_owned();
        prop_assert!(!redacted.contains(&secret), "{:?}: {:?}", text, redacted);
    }

    #[test]
    fn text_without_the_name_of_a_secret_is_borrowed(words in "([a-m0-9{}\\[\\]\"'=:,. -]|tokens=|key:|monkey: ){0,40}") {
        prop_assume!(!words.contains("//"));
        let redacted = Redaction::default();
        prop_assert!(matches!(redacted.text(&words), Cow::Borrowed(_)));
    }
}
