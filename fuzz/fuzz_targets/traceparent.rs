//! A `traceparent` is accepted exactly when a simple reference parser accepts it, with the same
//! result, and what is written is parsed again.
#![no_main]

use barograph_model::context::{TraceContext, TraceFlags};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = TraceContext::parse_traceparent(bytes).ok();
    assert_eq!(read, slowly(bytes));
    if let Some(context) = read {
        let text = context.to_traceparent();
        assert_eq!(TraceContext::parse_traceparent(text), Ok(context));
        assert_eq!(slowly(text.as_bytes()), Some(context));
    }
    // Most inputs are not a valid header. Interpreted as ids they are one.
    if let Some((ids, [flags, ..])) = bytes.split_first_chunk::<24>() {
        let (trace, span) = ids.split_at(16);
        let trace = u128::from_be_bytes(trace.try_into().expect("16 bytes"));
        let span = u64::from_be_bytes(span.try_into().expect("8 bytes"));
        let context = TraceContext::new(trace, span, TraceFlags::from_bits(flags & 3));
        assert_eq!(context.is_some(), trace != 0 && span != 0);
        if let Some(context) = context {
            let text = format!("00-{trace:032x}-{span:016x}-{:02x}", flags & 3);
            assert_eq!(context.to_traceparent().as_str(), text);
            assert_eq!(slowly(text.as_bytes()), Some(context));
        }
    }
});

fn slowly(bytes: &[u8]) -> Option<TraceContext> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches([' ', '\t']);
    let mut parts = text.splitn(5, '-');
    let version = number(parts.next()?, 2)?;
    let trace = number(parts.next()?, 32)?;
    let span = number(parts.next()?, 16)?;
    let flags = number(parts.next()?, 2)?;
    if version == 0xff || version == 0 && parts.next().is_some() {
        return None;
    }
    TraceContext::new(trace, span as u64, TraceFlags::from_bits(flags as u8 & 3))
}

fn number(digits: &str, length: usize) -> Option<u128> {
    let fits = digits.len() == length && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    u128::from_str_radix(digits, 16).ok().filter(|_| fits)
}
