//! No text makes the scanner for secrets panic, a text without secrets is unchanged, JSON stays
//! JSON, and a secret under a sensitive name is removed, however the name and the value are
//! written.
#![no_main]

use std::fmt::Write as _;

use arbitrary::Arbitrary;
use barograph::Redaction;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    before: &'a str,
    separator: u8,
    name: u8,
    bracketed: Option<bool>,
    /// The spelling of each character of the name: unchanged, in upper case, or percent-encoded a
    /// number of times.
    spelling: [u8; 16],
    sign: u8,
    shape: u8,
    after: &'a str,
}

const NAMES: [&str; 4] = ["password", "api_key", "Set-Cookie", "access_token"];
/// The text between a name and its value, and after the value.
const SHAPES: [(&str, &str); 14] = [
    ("=", ""),
    (": ", ""),
    (" => ", ""),
    ("=\"", "\""),
    ("\":\"", "\""),
    ("\\\":\\\"", "\\\""),
    ("\":[\"", "\"]"),
    ("\":{\"a\":\"", "\"}"),
    (": Some(\"", "\")"),
    (": Login { a: \"", "\" }"),
    ("=\"a\"", ""),
    ("=Bearer ", ""),
    ("=b\"", "\""),
    ("[0]=", ""),
];
const SECRET: &str = "s3cr3tV4lu3";

fuzz_target!(|input: Input<'_>| {
    let redaction = Redaction::default();
    for text in [input.before, input.after] {
        let told = redaction.text(text);
        assert!(text.contains(['=', ':', '%']) || text.contains("--") || told == text);
        if serde_json::from_str::<serde_json::Value>(text).is_ok() {
            let told = serde_json::from_str::<serde_json::Value>(&told);
            assert!(told.is_ok(), "{text:?} {told:?}");
        }
        let json = serde_json::to_string(&[text, "b"]).unwrap_or_default();
        let told = redaction.text(&json);
        assert!(serde_json::from_str::<[String; 2]>(&told).is_ok(), "{json} {told}");
        assert_eq!(Redaction::none().text(text), text);
        redaction.redact("url.query", text);
    }
    if [input.before, input.after].iter().any(|text| text.contains(SECRET)) {
        return;
    }
    let separator = [' ', '?', '&', ';', '#', '/', '\n'][usize::from(input.separator) % 7];
    let sign = ["=", "%3D", "%253d"][usize::from(input.sign) % 3];
    let mut text = format!("{}{separator}", input.before);
    let name = NAMES[usize::from(input.name) % NAMES.len()];
    let spelled = spell(name, &input.spelling);
    let _ = match input.bracketed {
        None => write!(text, "{spelled}{sign}{SECRET}"),
        Some(true) => write!(text, "user[{spelled}]{sign}{SECRET}"),
        Some(false) => write!(text, "user%5B{spelled}%5D{sign}{SECRET}"),
    };
    let _ = write!(text, " {}", input.after);
    let told = redaction.text(&text);
    assert!(!told.contains(SECRET), "{text:?} {told:?}");
    let (open, close) = SHAPES[usize::from(input.shape) % SHAPES.len()];
    let text = format!("{separator}{name}{open}{SECRET}{close} {}", input.after);
    let told = redaction.text(&text);
    assert!(!told.contains(SECRET), "{text:?} {told:?}");
});

fn spell(name: &str, spelling: &[u8; 16]) -> String {
    let mut spelled = String::new();
    for (character, how) in name.chars().zip(spelling) {
        let _ = match how % 4 {
            0 => write!(spelled, "{character}"),
            1 => write!(spelled, "{}", character.to_ascii_uppercase()),
            2 => write!(spelled, "%{:02x}", u32::from(character)),
            _ => write!(spelled, "%25{:02X}", u32::from(character)),
        };
    }
    spelled
}
