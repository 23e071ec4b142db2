//! For any pair of headers, negotiating with the `Content-Type` of the chosen page leads to the
//! same page.
#![no_main]

use barograph_encode::prometheus::{Config, negotiate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|headers: (&str, &str)| {
    let config = Config::new();
    let negotiated = negotiate(Some(headers.0), Some(headers.1), &config);
    let content_type = negotiated.content_type();
    assert!(content_type.contains("; version=") && content_type.contains("; charset=utf-8"));
    let again = negotiate(Some(&content_type), negotiated.content_encoding(), &config);
    assert_eq!(again, negotiated);
});
