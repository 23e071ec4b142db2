//! Fields and attributes, and the list of names.

use std::borrow::Cow;

use barograph_model::value::{AnyValue, Attribute};

use crate::redact::{REDACTED, Redaction, RedactionRule};

#[test]
fn fields_are_redacted_by_the_last_part_of_their_name() {
    let redaction = Redaction::default();
    for key in [
        "password",
        "PASSWORD",
        "db.password",
        "http.request.header.Set-Cookie",
        "http.request.header.authorization",
        "X-API-Key",
        "a.b.client-secret",
        "ＡＰＩ.token",
    ] {
        assert_eq!(redaction.rule_for(key), RedactionRule::Redact, "{key}");
        assert_eq!(redaction.redact(key, "hunter2"), REDACTED, "{key}");
    }
    for key in ["", ".", "passwords", "token.count", "tokens", "user", "é"] {
        assert_eq!(redaction.rule_for(key), RedactionRule::Keep, "{key}");
        let value = redaction.redact(key, "password=x");
        assert!(matches!(value, Cow::Borrowed("password=x")), "{key}");
    }
}

#[test]
fn values_inside_of_arrays_and_maps_are_redacted() {
    let redaction = Redaction::default();
    let map = |secret: &'static str, query: &'static str| {
        AnyValue::Map(
            [
                Attribute::new("token", secret),
                Attribute::new("url.query", query),
                Attribute::new("n", 1),
            ]
            .into(),
        )
    };
    assert_eq!(redaction.value("secret", 7.into()), REDACTED.into());
    assert_eq!(
        redaction.value("any", map("abc", "sig=x")),
        map(REDACTED, "sig=REDACTED")
    );
    assert_eq!(
        redaction.value("error", vec!["token=x", "y"].into()),
        vec!["token=REDACTED", "y"].into()
    );
    assert_eq!(redaction.value("any", "token=x".into()), "token=x".into());
}

#[test]
fn users_can_choose_the_names() {
    let redaction = Redaction::none().with_name("IBAN");
    assert_eq!(redaction.redact("user.iban", "x"), REDACTED);
    assert_eq!(
        redaction.text("iban=x password=y"),
        "iban=REDACTED password=y"
    );
    assert_eq!(Redaction::none().redact("password", "y"), "y");
    assert_eq!(Redaction::none().text("password=y"), "password=y");
    let long = "n".repeat(200);
    let redaction = redaction.with_name(&long).with_name("").with_name(" ");
    assert_eq!(redaction.redact(&long, "x"), REDACTED);
    assert_eq!(redaction.redact(&long[..136], "x"), "x");
}
