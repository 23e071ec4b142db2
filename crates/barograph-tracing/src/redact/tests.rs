use std::hint::black_box;
use std::time::Instant;

use proptest::prelude::*;

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
        assert_eq!(redaction.rule_for(key), RedactionRule::Hide, "{key}");
        assert_eq!(redaction.redact(key, "hunter2"), REDACTED, "{key}");
    }
    for key in ["", ".", "passwords", "token.count", "tokens", "user", "é"] {
        assert_eq!(redaction.rule_for(key), RedactionRule::Keep, "{key}");
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
        // Encoded characters are part of the value.
        ("%70assword=a%22b%26c&d=1", "%70assword=REDACTED&d=1"),
        (
            "https://u:p%2F%40s@h%2Dx/",
            "https://REDACTED:REDACTED@h%2Dx/",
        ),
        // A character that ends a value elsewhere does not end a parameter of a query.
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
fn the_last_words_of_a_name_decide() {
    let redaction = Redaction::default();
    for name in [
        "DB_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "AWS_SECRET_ACCESS_KEY",
        "accessToken",
        "JWTToken",
        "new_password",
        "new-password",
        "password2",
        "password_1",
        "jwt",
        "userJwt",
        "session",
        "sessionid",
        "session_id",
        "sessionId",
        "JSESSIONID",
        "PHPSESSID",
        "user_session",
        "apiKey",
        "X-Api-Key",
        "private-key",
        "clientSecret",
        "oauth2_token",
        "--password",
        "Set-Cookie",
    ] {
        assert_eq!(redaction.rule_for(name), RedactionRule::Hide, "{name}");
        for sign in ["=", ": ", "\": \"", "%3D", " => "] {
            let told = redaction.text(&format!("{name}{sign}S3cr")).into_owned();
            assert_eq!(told, format!("{name}{sign}REDACTED"));
        }
    }
    for name in [
        "session.id",
        "token_count",
        "tokenCount",
        "max_tokens",
        "tokens",
        "password_reset_enabled",
        "tokenizer",
        "key",
        "monkey",
        "public_key",
        "primary-key",
        "cache_key",
        "obsession",
        "session_count",
        "secretary",
        "design",
        "cookies_enabled",
        "user.id",
    ] {
        assert_eq!(redaction.rule_for(name), RedactionRule::Keep, "{name}");
        for sign in ["=", ": ", "\": \"", "%3D", " => "] {
            let text = format!("{name}{sign}true");
            assert!(matches!(redaction.text(&text), Cow::Borrowed(_)), "{text}");
        }
    }
}

#[test]
fn values_are_read_by_their_shape() {
    let redaction = Redaction::default();
    for (text, told) in [
        // `Debug` and JSON output of structures.
        (
            r#"L { password: Some("S"), n: 1 }"#,
            r#"L { password: Some("REDACTED"), n: 1 }"#,
        ),
        (r#"{"token":["S"]}"#, r#"{"token":["REDACTED"]}"#),
        (
            r#"{"token":["S","T"],"n":[1]}"#,
            r#"{"token":["REDACTED"],"n":[1]}"#,
        ),
        (
            r#"{"token":{"a":["S"]},"n":1}"#,
            r#"{"token":"REDACTED","n":1}"#,
        ),
        (r#"{"pwd":12,"n":1}"#, r#"{"pwd":"REDACTED","n":1}"#),
        (r#"{\"pwd\":12}"#, r#"{\"pwd\":\"REDACTED\"}"#),
        (r#"{"pwd":[1,2]}"#, r#"{"pwd":["REDACTED"]}"#),
        (
            r#"{"pwd" : null, "token":true}"#,
            r#"{"pwd" : null, "token":true}"#,
        ),
        ("{\"token\":\n  \"S\"}", "{\"token\":\n  \"REDACTED\"}"),
        (
            "L {\n  password: Some(\n    \"S\",\n  ),\n}",
            "L {\n  password: Some(\n    \"REDACTED\"\n  ),\n}",
        ),
        (r#"token: Secret("S")"#, r#"token: Secret("REDACTED")"#),
        (r#"token: Some(Secret("S)"))"#, "token: Some(REDACTED)"),
        (
            r#"credentials: Login { user: "u", n: S }, n: 1"#,
            "credentials: REDACTED, n: 1",
        ),
        (r#"{"authToken": b"S"}"#, r#"{"authToken": b"REDACTED"}"#),
        (r##"token: r#"S"#, n"##, r##"token: r#"REDACTED"#, n"##),
        ("{'token': ['S']}", "{'token': ['REDACTED']}"),
        (
            r#"{"a":"{\"token\":[\"S\"]}"}"#,
            r#"{"a":"{\"token\":[\"REDACTED\"]}"}"#,
        ),
        (r#"token: Some("S"#, r#"token: Some("REDACTED""#),
        (
            r#"password: None, token: Some("S")"#,
            r#"password: None, token: Some("REDACTED")"#,
        ),
        ("token: []", "token: []"),
        // Quotes and brackets inside a value.
        (r#"token="a"S"#, r#"token="REDACTED""#),
        (r#"token="a""S" x"#, r#"token="REDACTED" x"#),
        (r#"token=a"S"b x"#, "token=REDACTED x"),
        (r#"token=\"a\"S x"#, r#"token=\"REDACTED\" x"#),
        (r#"token=a\"S x"#, "token=REDACTED x"),
        ("token=it'S x", "token=REDACTED x"),
        ("password=a(b)S, x", "password=REDACTED, x"),
        ("password=a)S, x", "password=REDACTED, x"),
        ("(password=S), x", "(password=REDACTED), x"),
        (r#"{"msg":"token=S"}"#, r#"{"msg":"token=REDACTED"}"#),
        (
            r#"{"msg":"enter token:","x":"y"}"#,
            r#"{"msg":"enter token:","x":"y"}"#,
        ),
        (
            r#"{"msg":"token=[","x":"y"}"#,
            r#"{"msg":"token=[","x":"y"}"#,
        ),
        // Headers.
        (
            r#"{"authorization": "Bearer S", "cookie": "a=S; b=S2", "host": "h"}"#,
            r#"{"authorization": "REDACTED", "cookie": "REDACTED", "host": "h"}"#,
        ),
        (
            r#"{"set-cookie": "id=S; Path=/"}"#,
            r#"{"set-cookie": "REDACTED"}"#,
        ),
        ("Set-Cookie: id=S; Path=/; Secure", "Set-Cookie: REDACTED"),
        (r#"Cookie: a="S"; b=S2"#, "Cookie: REDACTED"),
        (
            "-H 'Cookie: a=S; b=S2' -H 'A: b'",
            "-H 'Cookie: REDACTED' -H 'A: b'",
        ),
        (
            r#"Authorization: Digest username="u", response="S""#,
            "Authorization: REDACTED",
        ),
        ("token: Bearer S x", "token: REDACTED x"),
        ("api-key=Basic S", "api-key=REDACTED"),
        // Escapes before a name.
        (
            r"a\r\nAuthorization: Bearer S\r\nHost: h",
            r"a\r\nAuthorization: REDACTED\r\nHost: h",
        ),
        (r"\npassword=S", r"\npassword=REDACTED"),
        (r"\npwd: S", r"\npwd: REDACTED"),
        (r"\tjwt: S", r"\tjwt: REDACTED"),
        (r"a=1\u0026jwt=S", r"a=1\u0026jwt=REDACTED"),
        // Queries and URLs.
        ("a=1%26token=S", "a=1%26token=REDACTED"),
        ("%3Ftoken=S", "%3Ftoken=REDACTED"),
        ("token%20=S", "token%20=REDACTED"),
        ("token+=S", "token+=REDACTED"),
        ("redirect=//u:S@h/", "redirect=//REDACTED:REDACTED@h/"),
        (r#"{"to":"//u:S@h/"}"#, r#"{"to":"//REDACTED:REDACTED@h/"}"#),
        (r"postgres:\/\/u:S@h", r"postgres:\/\/REDACTED:REDACTED@h"),
        // Arguments and signs.
        ("run --password=S --n", "run --password=REDACTED --n"),
        ("run --password S --n", "run --password REDACTED --n"),
        (
            "run --db-password 'S T' x",
            "run --db-password 'REDACTED' x",
        ),
        (
            r#"["--password", "S", "x"]"#,
            r#"["--password", "REDACTED", "x"]"#,
        ),
        (
            "run --password --token-file f",
            "run --password --token-file f",
        ),
        ("token := S", "token := REDACTED"),
        // Prose.
        ("token: 5 tokens left", "token: 5 tokens left"),
        ("token: 3 of 20 used", "token: 3 of 20 used"),
        ("token::parse failed", "token::parse failed"),
        ("pwd: /srv/app", "pwd: /srv/app"),
        ("PWD=/srv/app", "PWD=/srv/app"),
        (r"pwd: C:\srv", r"pwd: C:\srv"),
        ("DB_PWD=/S", "DB_PWD=REDACTED"),
        ("unexpected token: }", "unexpected token: }"),
        (
            "unexpected token: { at line 5",
            "unexpected token: { at line 5",
        ),
        ("unexpected token: <EOF>", "unexpected token: <EOF>"),
        ("password: 1234 x", "password: REDACTED x"),
        ("token: 1234", "token: REDACTED"),
        ("has_password=true, a", "has_password=true, a"),
        ("password=true1", "password=REDACTED"),
    ] {
        let found = redaction.text(text);
        assert_eq!(found, told, "{text}");
        assert!(text != told || matches!(found, Cow::Borrowed(_)), "{text}");
        assert_eq!(redaction.text(told), told, "{text}");
    }
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

/// Checks every text that consists of `N` pieces.
fn assert_stays_json<const N: usize>(redaction: &Redaction, pieces: &[&str]) {
    let mut places = [0; N];
    loop {
        let text: String = places.iter().map(|place| pieces[*place]).collect();
        let told = redaction.text(&text);
        assert!(!told.is_empty());
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

/// Texts in which every part may begin something whose end is then searched in the rest of the text.
#[test]
fn the_time_is_linear_in_the_length() {
    const PIECES: [&str; 16] = [
        "--",
        "--password ",
        "%25",
        "%26",
        "token=",
        "token: [",
        "token: {",
        "token=\"",
        "token: Some(",
        "[\"--password\",",
        "{\"token\":[",
        "\\\"token\\\":\\\"",
        "a://b@",
        "cookie: a=",
        "=\"",
        "a[",
    ];
    let redaction = Redaction::default();
    let time = |text: &str| {
        let once = || {
            let begun = Instant::now();
            black_box(redaction.text(text));
            begun.elapsed()
        };
        (0..5).map(|_| once()).min().unwrap_or_default()
    };
    for piece in PIECES
        .iter()
        .flat_map(|a| PIECES.map(|b| format!("{a}{b}")))
    {
        let text = piece.repeat(300 / piece.len());
        let (short, long) = (time(&text), time(&text.repeat(32)));
        // The text is 32 times as long; reading each part to the end would take 1024 times as long.
        assert!(long < 200 * short, "{piece:?}: {long:?}, {short:?}");
    }
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
        let told = Redaction::default().text(&text).into_owned();
        prop_assert!(!told.contains(&secret), "{:?}: {:?}", text, told);
    }

    #[test]
    fn text_without_the_name_of_a_secret_is_borrowed(words in "([a-m0-9{}\\[\\]\"'=:,. -]|tokens=|key:|monkey: ){0,40}") {
        prop_assume!(!words.contains("//"));
        let told = Redaction::default();
        prop_assert!(matches!(told.text(&words), Cow::Borrowed(_)));
    }

    #[test]
    fn json_that_was_valid_stays_valid(value in json(), spaced in any::<bool>()) {
        let text = match spaced {
            true => serde_json::to_string_pretty(&value),
            false => serde_json::to_string(&value),
        };
        let text = text.unwrap();
        let told = Redaction::default().text(&text).into_owned();
        let read: Result<serde_json::Value, _> = serde_json::from_str(&told);
        prop_assert!(read.is_ok(), "{}: {}", text, told);
    }
}
