//! Secrets in texts, by the shape of their values.

use std::borrow::Cow;

use crate::redact::Redaction;

#[test]
fn secrets_in_texts_are_redacted() {
    let redaction = Redaction::default();
    for (text, redacted) in [
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
        assert_eq!(redaction.text(text), redacted);
    }
    assert_eq!(
        redaction.redact("url.query", "token=1&a=2"),
        "token=REDACTED&a=2"
    );
}

#[test]
fn values_are_read_by_their_shape() {
    let redaction = Redaction::default();
    for (text, redacted) in [
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
        // A quoted argument ends with its quotes.
        (
            r#"["--password=&,S", "x"]"#,
            r#"["--password=REDACTED", "x"]"#,
        ),
        (
            r#"["--password=S;S", "x"]"#,
            r#"["--password=REDACTED", "x"]"#,
        ),
        (
            r#"["--password=S\"S\\", "x"]"#,
            r#"["--password=REDACTED", "x"]"#,
        ),
        (
            r#""[\"--password= S,S\", \"x\"]""#,
            r#""[\"--password= REDACTED\", \"x\"]""#,
        ),
        ("run '--password={S} S' x", "run '--password=REDACTED' x"),
        ("run '--password=S S", "run '--password=REDACTED"),
        (r#"["--password=true,S"]"#, r#"["--password=REDACTED"]"#),
        (r#"["--password=true", "x"]"#, r#"["--password=true", "x"]"#),
        (r#"["--password=", "x"]"#, r#"["--password=", "x"]"#),
        (
            r#"{"--password": "S", "x": 1}"#,
            r#"{"--password": "REDACTED", "x": 1}"#,
        ),
        (
            r#"{"--password"=>"S", "x"=>1}"#,
            r#"{"--password"=>"REDACTED", "x"=>1}"#,
        ),
        (
            "a=%22--password%3DS,S%22 x",
            "a=%22--password%3DREDACTED%22 x",
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
        assert_eq!(found, redacted, "{text}");
        assert!(
            text != redacted || matches!(found, Cow::Borrowed(_)),
            "{text}"
        );
        assert_eq!(redaction.text(redacted), redacted, "{text}");
    }
}
