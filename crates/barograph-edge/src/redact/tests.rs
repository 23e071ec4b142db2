use super::*;

#[test]
fn fields_are_hidden_by_the_last_part_of_their_name() {
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
        assert_eq!(redaction.treatment(key), Treatment::Hide, "{key}");
        assert_eq!(redaction.redact(key, "hunter2"), REDACTED, "{key}");
    }
    for key in ["", ".", "passwords", "token.count", "tokens", "user", "é"] {
        assert_eq!(redaction.treatment(key), Treatment::Keep, "{key}");
        let kept = redaction.redact(key, "password=x");
        assert!(matches!(kept, Cow::Borrowed("password=x")), "{key}");
    }
}

#[test]
fn texts_are_read() {
    let redaction = Redaction::default();
    for (text, told) in [
        ("", ""),
        ("=:=", "=:="),
        ("password=", "password="),
        ("password=x", "password=REDACTED"),
        ("a=1&token=x%20y&b=2", "a=1&token=REDACTED&b=2"),
        (
            "sig=abc&X-Amz-Signature=d",
            "sig=REDACTED&X-Amz-Signature=REDACTED",
        ),
        (
            "db password: hunter2, user: me",
            "db password: REDACTED, user: me",
        ),
        ("Authorization: Bearer a.b.c", "Authorization: REDACTED"),
        ("Cookie: a=1; b=2\nHost: x", "Cookie: REDACTED\nHost: x"),
        (
            r#"{"secret":"a b","n":1}"#,
            r#"{"secret":"REDACTED","n":1}"#,
        ),
        (
            r#"{\"secret\":\"a b\",\"n\":1}"#,
            r#"{\"secret\":\"REDACTED\",\"n\":1}"#,
        ),
        (
            "Login { password: \"x y\", n: 1 }",
            "Login { password: \"REDACTED\", n: 1 }",
        ),
        (
            "postgres://u:p@h:5432/d?x=1",
            "postgres://REDACTED:REDACTED@h:5432/d?x=1",
        ),
        (
            "https://ghp_x@github.com/a",
            "https://REDACTED@github.com/a",
        ),
        ("https://u:p@ss@h/a@b", "https://REDACTED:REDACTED@h/a@b"),
        (
            "see https://h/a@b and token=é€",
            "see https://h/a@b and token=REDACTED",
        ),
        ("ö password=x ö", "ö password=REDACTED ö"),
        (r"password=do\main\u1 x", "password=REDACTED x"),
        (r#"password: "a\"b\\", n"#, r#"password: "REDACTED", n"#),
        (
            r#"\"password\":\"a\\\"b\\\\\",\"n\""#,
            r#"\"password\":\"REDACTED\",\"n\""#,
        ),
        ("password='a b' x", "password='REDACTED' x"),
        ("password=\"a b", "password=\"REDACTED"),
        (r"password=a\nb", r"password=REDACTED\nb"),
        ("password=\\é x", "password=REDACTED x"),
    ] {
        assert_eq!(redaction.text(text), told);
    }
    assert_eq!(
        redaction.redact("url.query", "token=1&a=2"),
        "token=REDACTED&a=2"
    );
}

#[test]
fn values_are_looked_into() {
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
fn the_list_is_the_users() {
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

#[test]
fn no_text_makes_it_panic_and_json_stays_json() {
    let redaction = Redaction::default();
    let pieces = [
        "password", "=", ":", "://", "@", "\"", "'", "\\", "é", " ", "\u{1b}", "\n", "/", "x",
    ];
    let mut places = [0; 5];
    loop {
        let text: String = places.iter().map(|place| pieces[*place]).collect();
        let told = redaction.text(&text);
        assert!(!told.is_empty());
        let json = serde_json::to_string(&text).unwrap();
        // As a line has it: inside of the quotes.
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
