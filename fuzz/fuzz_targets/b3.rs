//! For any B3 and Jaeger headers, what was extracted is extracted again from what is injected for
//! it.
#![no_main]

use arbitrary::Arbitrary;
use barograph_model::context::{Propagation, Sampling};
use barograph_model::propagator::{B3, Jaeger, Propagator};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Bytes(&'a [u8]),
    /// Ids and the text after them, so that some are valid.
    Ids(u128, u64, &'a str),
    Short(u64),
    Long(u128),
    Letter(u8),
}

fuzz_target!(|headers: Vec<(u8, Value<'_>)>| {
    let names = [
        "b3",
        "X-B3-TraceId",
        "x-b3-spanid",
        "x-b3-sampled",
        "X-B3-Flags",
        "x-b3-parentspanid",
        "uber-trace-id",
        "uberctx-a",
        "UberCtx-B",
    ];
    let headers: Vec<(&str, Vec<u8>)> = headers
        .iter()
        .map(|(at, value)| (names[usize::from(*at) % names.len()], value.bytes(*at)))
        .collect();
    for propagator in [&B3::Single as &dyn Propagator, &B3::Multi, &Jaeger] {
        let mut received = Propagation::default();
        propagator.extract(&headers, &mut received);
        if let Some(trace) = received.trace() {
            assert!(trace.is_remote());
            let sampled = matches!(received.sampling(), Sampling::Sampled | Sampling::Debug);
            assert_eq!(trace.is_sampled(), sampled);
        }
        let mut sent = Vec::<(String, String)>::new();
        propagator.inject(&received, &mut sent);
        let is_fine = |byte| matches!(byte, b'!'..=b'~');
        assert!(sent.iter().all(|(_, value)| value.bytes().all(is_fine)));
        let mut again = Propagation::default();
        propagator.extract(&sent, &mut again);
        assert_eq!(again, received, "{sent:?}");
    }
});

impl Value<'_> {
    fn bytes(&self, at: u8) -> Vec<u8> {
        match self {
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::Ids(trace, span, rest) if at % 9 == 6 => {
                format!("{trace:x}:{span:x}:{rest}").into_bytes()
            }
            Value::Ids(trace, span, rest) => format!("{trace:032x}-{span:016x}{rest}").into_bytes(),
            Value::Short(id) => format!("{id:016x}").into_bytes(),
            Value::Long(id) => format!("{id:032x}").into_bytes(),
            Value::Letter(letter) => vec![b"01dtf"[usize::from(*letter) % 5]],
        }
    }
}
