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
fn names_of_parameters_are_read_in_any_form() {
    let redaction = Redaction::default();
    for (text, told) in [
        ("user[password]=x&a=1", "user[password]=REDACTED&a=1"),
        ("a[Token][b]=x", "a[Token][b]=REDACTED"),
        ("PassWord[]=x y", "PassWord[]=REDACTED y"),
        (
            "token[0]=x,token[1]=y",
            "token[0]=REDACTED,token[1]=REDACTED",
        ),
        (
            r#"user["password"] = "a b""#,
            r#"user["password"] = "REDACTED""#,
        ),
        ("user.token.0=x", "user.token.0=REDACTED"),
        (
            "user%5Bpassword%5D=x&a=1",
            "user%5Bpassword%5D=REDACTED&a=1",
        ),
        ("user%5bpassword%5d=x", "user%5bpassword%5d=REDACTED"),
        ("user%2Epassword=x", "user%2Epassword=REDACTED"),
        ("%74oken=x", "%74oken=REDACTED"),
        ("%54%4f%4B%45%4e=x", "%54%4f%4B%45%4e=REDACTED"),
        ("%2574oken=x&a=%zz", "%2574oken=REDACTED&a=%zz"),
        ("a=1+2&+token=x+y", "a=1+2&+token=REDACTED"),
        ("/a;token=x;b=1", "/a;token=REDACTED;b=1"),
        ("/a%3Btoken%3Dx%3Bb%3D1", "/a%3Btoken%3DREDACTED%3Bb%3D1"),
        (
            "https://h/#access_token=x&b=1",
            "https://h/#access_token=REDACTED&b=1",
        ),
        ("token%3Dx%26a%3D1&b=2", "token%3DREDACTED%26a%3D1&b=2"),
        (
            "r=https%3A%2F%2Fu%3Ap%40h%2F%3Ftoken%3Dx%26a%3D1&b=2",
            "r=https%3A%2F%2FREDACTED:REDACTED%40h%2F%3Ftoken%3DREDACTED%26a%3D1&b=2",
        ),
        (
            "q=%7B%22password%22%3A%22x%20y%22%7D",
            "q=%7B%22password%22%3A%22REDACTED%22%7D",
        ),
        // What is encoded is a part of the value.
        ("%70assword=a%22b%26c&d=1", "%70assword=REDACTED&d=1"),
        (
            "https://u:p%2F%40s@h%2Dx/",
            "https://REDACTED:REDACTED@h%2Dx/",
        ),
        // What ends a value elsewhere does not end one of a query.
        ("?token=a,b)c;d'e&x=1", "?token=REDACTED&x=1"),
        (
            "no answer from https://h/?a=1&sig=a,b: token=c, d",
            "no answer from https://h/?a=1&sig=REDACTED token=REDACTED, d",
        ),
        ("100%=100", "100%=100"),
        ("a=%F0%9F%98%80", "a=%F0%9F%98%80"),
        ("passwords[1]=x", "passwords[1]=x"),
        ("]=x", "]=x"),
        ("password]=x", "password]=x"),
    ] {
        assert_eq!(redaction.text(text), told, "{text}");
        assert_eq!(redaction.text(told), told, "{text}");
    }
    let query = redaction.redact("url.query", "token=a,b;c&d=1");
    assert_eq!(query, "token=REDACTED&d=1");
    assert_eq!(
        redaction.redact("url.path", "/a;token=x"),
        "/a;token=REDACTED"
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
    assert_stays_json::<5>(&redaction, &pieces);
    let encoded = [
        "%74oken", "password", "%3D", "=", "%22", "%5C", "\"", "\\", "[", "%5D", "]", "%25", "é",
        "%C3", "%A9", "%0A", " ", "x",
    ];
    assert_stays_json::<4>(&redaction, &encoded);
}

/// Looks at every text of so many pieces.
fn assert_stays_json<const N: usize>(redaction: &Redaction, pieces: &[&str]) {
    let mut places = [0; N];
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
