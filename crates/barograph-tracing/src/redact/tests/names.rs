//! The names of secrets, in all their forms.

use std::borrow::Cow;

use crate::redact::{Redaction, RedactionRule};

#[test]
fn names_of_parameters_are_found_in_any_form() {
    let redaction = Redaction::default();
    for (text, redacted) in [
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
        assert_eq!(redaction.text(text), redacted, "{text}");
        assert_eq!(redaction.text(redacted), redacted, "{text}");
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
        assert_eq!(redaction.rule_for(name), RedactionRule::Redact, "{name}");
        for sign in ["=", ": ", "\": \"", "%3D", " => "] {
            let redacted = redaction.text(&format!("{name}{sign}S3cr")).into_owned();
            assert_eq!(redacted, format!("{name}{sign}REDACTED"));
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
