//! The format of Jaeger's own clients, which are discontinued.

use std::mem;

use super::Propagator;
use crate::carrier::{Carrier, CarrierMut};
use crate::context::{
    Baggage, Propagation, Sampling, SpanId, TraceContext, TraceFlags, TraceId, decode, trim,
};
use crate::hex;

/// The header `uber-trace-id: {trace id}:{span id}:{parent id}:{flags}`, and `uberctx-{name}` for each
/// member of the baggage.
///
/// Ids may omit leading zeros, and colons may be encoded as `%3A`. The parent id is no longer used, and
/// written as zero. Environment variables have no baggage: the name of a variable does not show the
/// original name.
///
/// Source: Jaeger, "Client Library Propagation Format"; OpenTelemetry, "Propagators API".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jaeger;

impl Propagator for Jaeger {
    fn fields(&self) -> &[&str] {
        &[HEADER]
    }

    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut) {
        if let Some(trace) = propagation.trace() {
            let mut text = *b"00000000000000000000000000000000:0000000000000000:0:0";
            text[..32].copy_from_slice(&hex::write32(trace.trace_id().get()));
            text[33..49].copy_from_slice(&hex::write16(trace.span_id().get()));
            text[52] = match propagation.sampling() {
                Sampling::Deferred | Sampling::NotSampled => b'0',
                Sampling::Sampled => b'1',
                Sampling::Debug => b'3',
            };
            let text = str::from_utf8(&text).expect("digits and colons are ASCII");
            carrier.set(HEADER, text);
        }
        for (name, value) in propagation.baggage().encoded() {
            carrier.set(&format!("{PREFIX}{name}"), value);
        }
    }

    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation) {
        let header = carrier.value_of(HEADER);
        if let Some((trace, sampling)) = header.and_then(read) {
            *propagation = mem::take(propagation)
                .with_trace(trace.as_remote())
                .with_sampling(sampling);
        }
        let mut members = Vec::new();
        carrier.each_name(&mut |name| {
            let prefix = name.get(..PREFIX.len());
            let has_prefix = prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
            // Further members do not fit.
            if has_prefix && members.len() < Baggage::MAX_MEMBERS {
                members.push(name);
            }
        });
        if members.is_empty() {
            return;
        }
        let members = members.into_iter().filter_map(|name| {
            let value = carrier.value_of(name)?;
            let value = str::from_utf8(value).ok()?;
            Some((&name[PREFIX.len()..], decode(value)))
        });
        let baggage = propagation.baggage().with_all(members);
        *propagation = mem::take(propagation).with_baggage(baggage);
    }
}

fn read(header: &[u8]) -> Option<(TraceContext, Sampling)> {
    let mut rest = trim(header);
    let trace_id = hex::read_short(part(&mut rest)?)?;
    let span_id = hex::read_short(part(&mut rest)?)?;
    let _parent = hex::read_short(part(&mut rest)?)?;
    let flags = u8::try_from(hex::read_short(rest)?).ok()?;
    let sampling = match flags & 3 {
        3 => Sampling::Debug,
        1 => Sampling::Sampled,
        _ => Sampling::NotSampled,
    };
    let trace_id = TraceId::new(trace_id)?;
    let span_id = SpanId::new(u64::try_from(span_id).ok()?)?;
    let trace = TraceContext::from_ids(trace_id, span_id, TraceFlags::default());
    Some((trace, sampling))
}

/// Returns the part before the next colon, and removes both from `rest`.
fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let at = rest.iter().position(|byte| matches!(byte, b':' | b'%'))?;
    let (part, after) = rest.split_at(at);
    *rest = match after {
        [b':', rest @ ..] | [b'%', b'3', b'A' | b'a', rest @ ..] => rest,
        _ => return None,
    };
    Some(part)
}

const HEADER: &str = "uber-trace-id";
const PREFIX: &str = "uberctx-";

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn received(headers: &[(&str, &str)]) -> Propagation {
        let mut propagation = Propagation::default();
        Jaeger.extract(&headers, &mut propagation);
        propagation
    }

    #[test]
    fn a_context_is_read_and_written() {
        for (flags, sampling, sent) in [
            ("0", Sampling::NotSampled, "0"),
            ("1", Sampling::Sampled, "1"),
            ("01", Sampling::Sampled, "1"),
            ("2", Sampling::NotSampled, "0"),
            ("3", Sampling::Debug, "3"),
            ("B", Sampling::Debug, "3"),
        ] {
            let header = format!(" {TRACE}:{SPAN}:0:{flags}\t");
            let received = received(&[("Uber-Trace-Id", &header)]);
            assert_eq!(received.sampling(), sampling);
            let trace = received.trace().unwrap();
            assert!(trace.is_remote());
            assert_eq!(trace.is_sampled(), sent != "0");
            let mut carrier = Vec::<(String, String)>::new();
            Jaeger.inject(&received, &mut carrier);
            let expected = format!("{TRACE}:{SPAN}:0:{sent}");
            assert_eq!(carrier, [("uber-trace-id".to_owned(), expected)]);
        }
    }

    #[test]
    fn ids_may_be_short_and_colons_encoded() {
        for header in ["abc:DEF:0:1", "abc%3Adef%3a12%3A1", "0abc:0def:ffff:1"] {
            let trace = received(&[(HEADER, header)]).trace().unwrap();
            let ids = (trace.trace_id().get(), trace.span_id().get());
            assert_eq!(ids, (0xabc, 0xdef));
        }
    }

    #[test]
    fn anything_else_says_nothing() {
        for bad in [
            "",
            ":::",
            "a",
            "a:b",
            "a:b:0",
            "a:b:0:",
            "a:b::1",
            "0:b:0:1",
            "a:0:0:1",
            "a:b:0:100",
            "a:b:0:1:",
            "g:b:0:1",
            "a%3b:0:1",
            "a:b:0:1%",
            "a b:c:0:1",
        ] {
            assert_eq!(received(&[(HEADER, bad)]), Propagation::default(), "{bad}");
        }
        let long = format!("{TRACE}0:{SPAN}:0:1");
        assert!(received(&[(HEADER, &long)]).is_empty());
        let long = format!("{TRACE}:{SPAN}0:0:1");
        assert!(received(&[(HEADER, &long)]).is_empty());
        assert!(received(&[(HEADER, "a:b:0:1"), (HEADER, "a:b:0:1")]).is_empty());
    }

    #[test]
    fn baggage_is_a_header_for_each_member() {
        let received = received(&[
            ("UberCtx-User", "al%C3%AFce"),
            ("uberctx-note", "a b,c"),
            ("uberctx-", "no name"),
            ("uberctx", "no prefix"),
            ("uberctx-a b", "no token"),
            ("uberctx-twice", "1"),
            ("uberctx-twice", "2"),
        ]);
        let expected = "User=al%C3%AFce,note=a%20b%2Cc";
        assert_eq!(received.baggage().as_str(), expected);
        let mut carrier = Vec::<(String, String)>::new();
        Jaeger.inject(&received, &mut carrier);
        assert_eq!(
            carrier,
            [
                ("uberctx-User", "al%C3%AFce"),
                ("uberctx-note", "a%20b%2Cc")
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        let many: Vec<_> = (0..99).map(|at| (format!("uberctx-{at}"), "v")).collect();
        let mut propagation = Propagation::default();
        Jaeger.extract(&many, &mut propagation);
        assert_eq!(propagation.baggage().len(), Baggage::MAX_MEMBERS);
    }
}
