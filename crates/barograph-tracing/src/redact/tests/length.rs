//! The work for long texts.

use crate::redact::{Redaction, work};

/// Texts in which every part may begin something whose end is then searched in the rest of the text.
const PIECES: [&str; 18] = [
    "--",
    "--password ",
    "\"--password=",
    "\\'--password=a&",
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

#[test]
fn the_work_is_linear_in_the_length() {
    let redaction = Redaction::default();
    let work = |text: &str| work::of(|| redaction.text(text));
    for piece in PIECES
        .iter()
        .flat_map(|a| PIECES.map(|b| format!("{a}{b}")))
    {
        let text = piece.repeat(300 / piece.len());
        let (short, long) = (work(&text), work(&text.repeat(32)));
        // The text is 32 times as long; reading each part to the end would be 1024 times the work.
        assert!(long <= 40 * short, "{piece:?}: {long}, {short}");
    }
}
