//! Cases from the text of W3C Trace Context level 2: incoming headers, and those that are propagated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use barograph_model::context::{SpanId, TraceContext};
use barograph_model::propagator::Propagators;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const OWN: u64 = 0xb7ad_6b71_6920_3331;

/// Returns the headers that a service propagates with its own span, for the headers that it receives.
/// Without a parent it would begin a trace, which is not tested here.
fn next(headers: &[(&str, &[u8])]) -> Option<Vec<(String, String)>> {
    let propagators = Propagators::parse("tracecontext").0;
    let received = propagators.extract(&headers);
    let span = received.trace()?.with_span(SpanId::new(OWN).unwrap());
    let mut sent = Vec::<(String, String)>::new();
    propagators.inject(&received.with_trace(span), &mut sent);
    Some(sent)
}

/// Checks the flags of the `traceparent` that is propagated, or that none is.
#[track_caller]
fn traceparent(header: &str, expected: Option<&str>) {
    let sent = next(&[("traceparent", header.as_bytes())]);
    let sent = sent.map(|sent| {
        assert_eq!(sent.len(), 1, "no tracestate out of nothing");
        sent[0].1.clone()
    });
    let expected = expected.map(|flags| format!("00-{TRACE}-{OWN:016x}-{flags}"));
    assert_eq!(sent, expected, "{header:?}");
}

/// Checks the `tracestate` that is propagated for headers beside a valid `traceparent`.
#[track_caller]
fn tracestate(headers: &[&str], expected: Option<&str>) {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let mut all = vec![("traceparent", parent.as_bytes())];
    all.extend(headers.iter().map(|value| ("tracestate", value.as_bytes())));
    let sent = next(&all).expect("the traceparent is valid whatever the tracestate is");
    assert!(sent[0].1.starts_with(&format!("00-{TRACE}-")));
    let sent = sent.get(1).map(|(_, value)| value.as_str());
    assert_eq!(sent, expected, "{headers:?}");
}

#[test]
fn version_format() {
    traceparent(&format!("00-{TRACE}-{PARENT}-01"), Some("01"));
    traceparent(&format!("00-{TRACE}-{PARENT}-00"), Some("00"));
    // "If a traceparent value has a version that is not two hexadecimal digits ... ff is invalid."
    for version in ["ff", "0", "000", "0x", "FF", "0F", " 0", "--", ""] {
        traceparent(&format!("{version}-{TRACE}-{PARENT}-01"), None);
    }
    // "The vendor MUST NOT assume anything about unknown parts" of later versions.
    for version in ["01", "0f", "cc", "fe"] {
        traceparent(&format!("{version}-{TRACE}-{PARENT}-01"), Some("01"));
        traceparent(&format!("{version}-{TRACE}-{PARENT}-01-"), Some("01"));
        traceparent(&format!("{version}-{TRACE}-{PARENT}-01-x.Y"), Some("01"));
        traceparent(&format!("{version}-{TRACE}-{PARENT}-01."), None);
        traceparent(&format!("{version}-{TRACE}-{PARENT}-0"), None);
        traceparent(&format!("{version}-{TRACE}-{PARENT}"), None);
    }
    for end in ["-", ".", "0", "-01", "-what-comes", "\0"] {
        traceparent(&format!("00-{TRACE}-{PARENT}-01{end}"), None);
    }
}

#[test]
fn ids() {
    let zeros = "0".repeat(32);
    traceparent(&format!("00-{zeros}-{PARENT}-01"), None);
    traceparent(&format!("00-{TRACE}-{}-01", &zeros[..16]), None);
    for at in 0..32 {
        for wrong in ['g', 'A', 'F', '.', '-', ' ', '/', ':', '@', '`', '\u{e9}'] {
            let spoiled = |id: &str| {
                let mut id: Vec<char> = id.chars().collect();
                id[at] = wrong;
                id.into_iter().collect::<String>()
            };
            traceparent(&format!("00-{}-{PARENT}-01", spoiled(TRACE)), None);
            if at < 16 {
                traceparent(&format!("00-{TRACE}-{}-01", spoiled(PARENT)), None);
            }
        }
    }
    traceparent(&format!("00-{TRACE}0-{PARENT}-01"), None);
    traceparent(&format!("00-{}-{PARENT}-01", &TRACE[1..]), None);
    traceparent(&format!("00-{TRACE}-{PARENT}0-01"), None);
    traceparent(&format!("00-{TRACE}-{}-01", &PARENT[1..]), None);
    traceparent(&format!("00-{PARENT}-{TRACE}-01"), None);
}

#[test]
fn flags() {
    // Level 2 defines two bits. They are passed on, and the others are zero.
    for bits in 0..=u8::MAX {
        let flags = format!("{:02x}", bits & 3);
        traceparent(&format!("00-{TRACE}-{PARENT}-{bits:02x}"), Some(&flags));
    }
    for flags in ["", "0", "001", "0.", ".0", "0G", "0A", "-1", "+1"] {
        traceparent(&format!("00-{TRACE}-{PARENT}-{flags}"), None);
    }
}

#[test]
fn delimiters_and_spaces() {
    for delimiter in ["", "_", "--", " ", "\u{2010}"] {
        traceparent(&format!("00{delimiter}{TRACE}-{PARENT}-01"), None);
        traceparent(&format!("00-{TRACE}{delimiter}{PARENT}-01"), None);
        traceparent(&format!("00-{TRACE}-{PARENT}{delimiter}01"), None);
    }
    let header = format!("00-{TRACE}-{PARENT}-01");
    for space in [" ", "\t", " \t "] {
        traceparent(&format!("{space}{header}"), Some("01"));
        traceparent(&format!("{header}{space}"), Some("01"));
        traceparent(&header.replacen('-', &format!("{space}-"), 1), None);
    }
    for other in ["\n", "\r", "\u{b}", "\u{a0}", "\"", ","] {
        traceparent(&format!("{header}{other}"), None);
        traceparent(&format!("{other}{header}"), None);
    }
    traceparent(&format!("{header},{header}"), None);
    traceparent("", None);
    traceparent(" ", None);
}

#[test]
fn header_names_and_how_often_they_come() {
    let header = format!("00-{TRACE}-{PARENT}-01");
    let header = header.as_bytes();
    for name in ["traceparent", "TraceParent", "TRACEPARENT", "tRACEpARENT"] {
        for state in ["tracestate", "TraceState", "TRACESTATE"] {
            let sent = next(&[(state, b"a=1"), (name, header), (state, b"b=2")]).unwrap();
            assert_eq!(sent[0].0, "traceparent");
            assert_eq!(sent[1], ("tracestate".to_owned(), "a=1,b=2".to_owned()));
        }
        // "If there is more than one, it is not valid."
        assert_eq!(next(&[(name, header), ("traceparent", header)]), None);
    }
    for name in [
        "trace-parent",
        "trace.parent",
        "trace_parent",
        "traceparent ",
        "",
    ] {
        assert_eq!(next(&[(name, header)]), None);
    }
    for name in ["trace-state", "trace.state", "tracestates"] {
        let sent = next(&[("traceparent", header), (name, b"a=1")]).unwrap();
        assert_eq!(sent.len(), 1);
    }
    // A tracestate without a traceparent, or with one that is not valid, is not passed on.
    assert_eq!(next(&[("tracestate", b"a=1")]), None);
    assert_eq!(
        next(&[("tracestate", b"a=1"), ("traceparent", b"00")]),
        None
    );
}

#[test]
fn tracestate_lists() {
    tracestate(&[], None);
    tracestate(&[""], None);
    tracestate(&["", " ", "\t,,"], None);
    tracestate(&["a=1"], Some("a=1"));
    tracestate(&["a=1", ""], Some("a=1"));
    tracestate(&["", "a=1"], Some("a=1"));
    tracestate(&["a=1,b=2", "c=3,d=4", "e=5"], Some("a=1,b=2,c=3,d=4,e=5"));
    tracestate(&["a=1 \t , \t b=2,\t c=3"], Some("a=1,b=2,c=3"));
    tracestate(&[" \ta=1\t ,,, b=2 ,"], Some("a=1,b=2"));
    tracestate(&["a=1,a=2"], Some("a=1"));
    tracestate(&["a=1", "b=2", "a=3"], Some("a=1,b=2"));
    let many = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("m{at}=v")).collect();
        members.join(",")
    };
    tracestate(&[&many(32)], Some(&many(32)));
    tracestate(&[&many(33)], None);
    tracestate(
        &[&many(20), "x=1,y=2"],
        Some(&format!("{},x=1,y=2", many(20))),
    );
    tracestate(&[&many(32), "x=1"], None);
}

#[test]
fn tracestate_members() {
    for key in [
        "a",
        "0",
        "a_-*/",
        "tenant@system",
        "1a@b",
        "a@",
        "a@@b",
        "a@b@c",
        "a/b*c",
    ] {
        tracestate(&[&format!("{key}=1")], Some(&format!("{key}=1")));
    }
    for key in [
        "", "A", "aB", "a.b", "a b", "a ", "@a", "_a", "-a", "*a", "/a", "\u{e9}", "a\t",
    ] {
        tracestate(&[&format!("{key}=1")], None);
        tracestate(&[&format!("ok=1,{key}=1")], None);
    }
    for value in ["1", " 1", "!\"#$%&'()*+-./09:;<>?@AZ[\\]^_`az{|}~", "a b"] {
        tracestate(&[&format!("a={value}")], Some(&format!("a={value}")));
    }
    for value in [
        "", " ", "1=2", "=", "\t1", "1\u{7f}", "\u{e9}", "1\n2", "1\u{0}",
    ] {
        tracestate(&[&format!("a={value}")], None);
    }
    for (key, value, fits) in [
        (256, 1, true),
        (257, 1, false),
        (1, 256, true),
        (1, 257, false),
    ] {
        let member = format!("{}={}", "k".repeat(key), "v".repeat(value));
        tracestate(&[&member], fits.then_some(&member));
    }
}

#[test]
fn tracestate_limits() {
    // 512 characters have to be propagated completely.
    let member = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - key.len() - 1));
    let exact = [
        member("a", 127),
        member("b", 128),
        member("c", 128),
        member("d", 126),
    ];
    let exact = exact.join(",");
    assert_eq!(exact.len(), 512);
    tracestate(&[&exact], Some(&exact));
    // Above that, members longer than 128 are dropped first, then those at the end; never a part of
    // one.
    let long = format!("{},{exact}", member("l", 129));
    tracestate(&[&long], Some(&exact));
    tracestate(&[&exact, "e=1"], Some(&exact));
    let (first, last, short) = (member("l", 250), member("m", 250), member("n", 100));
    let expected = format!("{first},a=1,{short}");
    tracestate(&[&first, "a=1", &last, &short], Some(&expected));
}

#[test]
fn whatever_is_written_is_valid() {
    let mut number = 1_u128;
    for _ in 0..1_000 {
        number = number.wrapping_mul(0x2d99_787d_5ab5_3a4d_9d1c_2f4b_6e0f_8c35) ^ number >> 61;
        let flags = barograph_model::context::TraceFlags::from_bits(number as u8);
        let Some(context) = TraceContext::new(number, (number >> 7) as u64, flags) else {
            continue;
        };
        let text = context.to_traceparent();
        let parts: Vec<_> = text.as_str().split('-').collect();
        assert_eq!(parts[0], "00");
        assert_eq!(u128::from_str_radix(parts[1], 16), Ok(number));
        assert_eq!(u64::from_str_radix(parts[2], 16), Ok((number >> 7) as u64));
        assert_eq!(parts[3], format!("{:02x}", number as u8 & 3));
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [2, 32, 16, 2]
        );
        assert!(TraceContext::parse_traceparent(text).is_ok());
    }
}
