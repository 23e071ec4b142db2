//! An `uber-trace-id` is accepted exactly when a simple reference parser accepts it, with the same
//! result, and what was parsed is parsed again from what is written.
#![no_main]

use barograph_model::context::{Propagation, Sampling};
use barograph_model::propagator::{Jaeger, Propagator};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Most inputs are not a valid header. Interpreted as numbers they are one, in a spelling that
    // the input chooses.
    if let Some((ids, [flags, spelling, rest @ ..])) = bytes.split_first_chunk::<24>() {
        let (trace, span) = ids.split_at(16);
        let trace = u128::from_be_bytes(trace.try_into().expect("16 bytes"));
        let span = u64::from_be_bytes(span.try_into().expect("8 bytes"));
        let colon = [":", "%3A", "%3a"][usize::from(spelling % 3)];
        let mut header = match spelling & 4 {
            0 => format!("{trace:x}{colon}{span:x}{colon}0{colon}{flags:x}"),
            _ => format!("{trace:032X}{colon}{span:016X}{colon}f{colon}{flags:02X}"),
        };
        check(header.as_bytes());
        header.push_str(&String::from_utf8_lossy(rest));
        check(header.as_bytes());
    }
});

fn check(header: &[u8]) {
    let mut received = Propagation::default();
    Jaeger.extract(&vec![("uber-trace-id", header)], &mut received);
    let read = received.trace().map(|trace| {
        assert!(trace.is_remote());
        let ids = (trace.trace_id().get(), trace.span_id().get());
        (ids.0, ids.1, received.sampling())
    });
    assert_eq!(read, slowly(header));
    let mut sent = Vec::<(String, String)>::new();
    Jaeger.inject(&received, &mut sent);
    let mut again = Propagation::default();
    Jaeger.extract(&sent, &mut again);
    assert_eq!(again, received);
}

fn slowly(header: &[u8]) -> Option<(u128, u64, Sampling)> {
    let text = str::from_utf8(header).ok()?;
    let text = text.trim_matches([' ', '\t']);
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let numbers: Option<Vec<u128>> = text.split(':').map(number).collect();
    let [trace, span, _, flags] = numbers?[..] else {
        return None;
    };
    let span = u64::try_from(span).ok()?;
    let flags = u8::try_from(flags).ok()?;
    let sampling = match (flags & 1, flags & 2) {
        (0, _) => Sampling::NotSampled,
        (_, 0) => Sampling::Sampled,
        _ => Sampling::Debug,
    };
    (trace != 0 && span != 0).then_some((trace, span, sampling))
}

fn number(digits: &str) -> Option<u128> {
    let fits = (1..=32).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|_| fits)
}
