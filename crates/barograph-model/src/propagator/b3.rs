//! The B3 format of Zipkin, in one header or in several.

use std::mem;

use super::Propagator;
use crate::carrier::{Carrier, CarrierMut};
use crate::context::{Propagation, Sampling, SpanId, TraceContext, TraceFlags, TraceId, trim};
use crate::hex::{self, Digits};

/// The B3 format. The variant selects the headers that are written; both kinds are read, the single
/// header first.
///
/// It has more sampling states than the other formats: [`Sampling`] without a trace, a decision that is
/// left to the receiver, and a debug request. Ids are lower-case; a trace id of 64 bits is read as one
/// whose upper half is zero. The parent span id is not read and not sent.
///
/// Source: openzipkin/b3-propagation; OpenTelemetry, "B3 Requirements".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum B3 {
    /// `b3: {trace id}-{span id}-{sampling}`.
    #[default]
    Single,
    /// `x-b3-traceid`, `x-b3-spanid`, and `x-b3-sampled` or `x-b3-flags`.
    Multi,
}

impl Propagator for B3 {
    fn fields(&self) -> &[&str] {
        match self {
            B3::Single => &[SINGLE],
            B3::Multi => &[TRACE_ID, SPAN_ID, SAMPLED, FLAGS],
        }
    }

    fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut) {
        let trace = propagation.trace();
        let sampling = propagation.sampling();
        if trace.is_none() && sampling == Sampling::Deferred {
            return;
        }
        match self {
            B3::Single => {
                let mut text = Text::default();
                if let Some(trace) = trace {
                    text.push(&hex::write32(trace.trace_id().get()));
                    text.push(b"-");
                    text.push(&hex::write16(trace.span_id().get()));
                    if sampling != Sampling::Deferred {
                        text.push(b"-");
                    }
                }
                text.push(letter(sampling).as_bytes());
                carrier.set(SINGLE, text.as_str());
            }
            B3::Multi => {
                if let Some(trace) = trace {
                    let mut text = Text::default();
                    text.push(&hex::write32(trace.trace_id().get()));
                    carrier.set(TRACE_ID, text.as_str());
                    let mut text = Text::default();
                    text.push(&hex::write16(trace.span_id().get()));
                    carrier.set(SPAN_ID, text.as_str());
                    // It would belong to another span.
                    carrier.unset(PARENT_SPAN_ID);
                }
                match sampling {
                    Sampling::NotSampled | Sampling::Sampled => {
                        carrier.set(SAMPLED, letter(sampling));
                        carrier.unset(FLAGS);
                    }
                    Sampling::Debug => {
                        carrier.set(FLAGS, "1");
                        carrier.unset(SAMPLED);
                    }
                    Sampling::Deferred => {
                        carrier.unset(SAMPLED);
                        carrier.unset(FLAGS);
                    }
                }
            }
        }
    }

    fn extract(&self, carrier: &dyn Carrier, propagation: &mut Propagation) {
        let single = carrier.value_of(SINGLE);
        let read = single.and_then(read_single);
        let Some((ids, sampling)) = read.or_else(|| read_multi(carrier)) else {
            return;
        };
        *propagation = match ids {
            Some((trace_id, span_id)) => {
                let trace = TraceContext::from_ids(trace_id, span_id, TraceFlags::default());
                mem::take(propagation)
                    .with_trace(trace.as_remote())
                    .with_sampling(sampling)
            }
            // A decision without a trace says nothing about a trace that another header set.
            None if propagation.trace().is_some() => return,
            None => mem::take(propagation).with_sampling(sampling),
        };
    }
}

type Read = (Option<(TraceId, SpanId)>, Sampling);

fn read_single(header: &[u8]) -> Option<Read> {
    let mut parts = trim(header).split(|byte| *byte == b'-');
    let first = parts.next()?;
    let Some(span_id) = parts.next() else {
        return Some((None, decision(first)?));
    };
    let ids = (trace_id(first)?, self::span_id(span_id)?);
    let sampling = match parts.next() {
        Some(text) => decision(text)?,
        None => Sampling::Deferred,
    };
    let parent_fits = parts.next().is_none_or(|id| self::span_id(id).is_some());
    (parent_fits && parts.next().is_none()).then_some((Some(ids), sampling))
}

fn read_multi(carrier: &dyn Carrier) -> Option<Read> {
    let one = |name| carrier.value_of(name).map(trim);
    let sampling = match (one(FLAGS), one(SAMPLED)) {
        (Some(b"1"), _) => Sampling::Debug,
        (_, Some(b"1" | b"true")) => Sampling::Sampled,
        (_, Some(b"0" | b"false")) => Sampling::NotSampled,
        (_, _) => Sampling::Deferred,
    };
    let ids = match (one(TRACE_ID), one(SPAN_ID)) {
        (None, None) => None,
        (Some(trace), Some(span)) => Some((trace_id(trace)?, span_id(span)?)),
        (_, _) => return None,
    };
    (ids.is_some() || sampling != Sampling::Deferred).then_some((ids, sampling))
}

fn decision(text: &[u8]) -> Option<Sampling> {
    match text {
        b"0" => Some(Sampling::NotSampled),
        b"1" => Some(Sampling::Sampled),
        b"d" => Some(Sampling::Debug),
        _ => None,
    }
}

fn letter(sampling: Sampling) -> &'static str {
    match sampling {
        Sampling::Deferred => "",
        Sampling::NotSampled => "0",
        Sampling::Sampled => "1",
        Sampling::Debug => "d",
    }
}

fn trace_id(text: &[u8]) -> Option<TraceId> {
    let mut digits = Digits::new();
    let number = match text.len() {
        16 => u128::from(digits.read16(text.try_into().ok()?)),
        _ => digits.read32(text.try_into().ok()?),
    };
    TraceId::new(number).filter(|_| digits.are_fine())
}

fn span_id(text: &[u8]) -> Option<SpanId> {
    let mut digits = Digits::new();
    let number = digits.read16(text.try_into().ok()?);
    SpanId::new(number).filter(|_| digits.are_fine())
}

/// A value that is put together without an allocation.
struct Text {
    bytes: [u8; Self::LENGTH],
    length: usize,
}

impl Text {
    /// Two ids, a decision, and the dashes between them.
    const LENGTH: usize = 32 + 1 + 16 + 1 + 1;

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).expect("digits and dashes are ASCII")
    }
}

impl Default for Text {
    fn default() -> Self {
        Text {
            bytes: [0; Self::LENGTH],
            length: 0,
        }
    }
}

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn read(headers: &[(&str, &str)]) -> Propagation {
        let mut propagation = Propagation::default();
        B3::Single.extract(&headers, &mut propagation);
        let mut same = Propagation::default();
        B3::Multi.extract(&headers, &mut same);
        assert_eq!(propagation, same, "both read both");
        propagation
    }

    fn written(b3: B3, propagation: &Propagation) -> Vec<(String, String)> {
        let mut carrier = vec![
            ("X-B3-ParentSpanId".to_owned(), SPAN.to_owned()),
            ("X-B3-Flags".to_owned(), "1".to_owned()),
            ("X-B3-Sampled".to_owned(), "1".to_owned()),
        ];
        b3.inject(propagation, &mut carrier);
        if b3 == B3::Single {
            carrier.drain(..3);
        }
        carrier
    }

    #[test]
    fn a_context_is_told_in_one_header_or_in_several() {
        for (letter, sampling, flags) in [
            ("-d", Sampling::Debug, 1),
            ("-1", Sampling::Sampled, 1),
            ("-0", Sampling::NotSampled, 0),
            ("", Sampling::Deferred, 0),
        ] {
            let single = format!("{TRACE}-{SPAN}{letter}");
            let received = read(&[("b3", &single)]);
            let trace = received.trace().unwrap();
            assert_eq!(trace.trace_id().to_string(), TRACE);
            assert_eq!(trace.span_id().to_string(), SPAN);
            assert_eq!(trace.flags().bits(), flags);
            assert!(trace.is_remote());
            assert_eq!(received.sampling(), sampling);
            assert_eq!(
                written(B3::Single, &received),
                [("b3".to_owned(), single.clone())]
            );
            let multi = written(B3::Multi, &received);
            let multi: Vec<_> = multi
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let (ids, rest) = multi.split_at(2);
            assert_eq!(ids, [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)]);
            let expected: &[_] = match sampling {
                Sampling::Debug => &[("x-b3-flags", "1")],
                Sampling::Sampled => &[("x-b3-sampled", "1")],
                Sampling::NotSampled => &[("x-b3-sampled", "0")],
                Sampling::Deferred => &[],
            };
            assert_eq!(rest, expected);
            assert_eq!(read(&multi), received);
        }
    }

    #[test]
    fn there_may_be_a_decision_alone() {
        for (text, sampling) in [
            ("0", Sampling::NotSampled),
            ("1", Sampling::Sampled),
            ("d", Sampling::Debug),
        ] {
            let received = read(&[("B3", text)]);
            assert_eq!((received.trace(), received.sampling()), (None, sampling));
            let sent = written(B3::Single, &received);
            assert_eq!(sent, [("b3".to_owned(), text.to_owned())]);
            // It does not change a trace that another header set.
            let trace = TraceContext::new(1, 2, TraceFlags::default()).unwrap();
            let mut told = Propagation::from(trace);
            B3::Single.extract(&vec![("b3", text)], &mut told);
            assert_eq!(told, Propagation::from(trace));
        }
        let old = read(&[("X-B3-Sampled", "true")]);
        assert_eq!(old.sampling(), Sampling::Sampled);
        assert_eq!(
            written(B3::Multi, &old).last().unwrap(),
            &("x-b3-sampled".to_owned(), "1".to_owned())
        );
        // There is nothing to write: existing headers stay.
        assert_eq!(written(B3::Multi, &Propagation::default()).len(), 3);
    }

    #[test]
    fn the_parent_of_the_parent_is_passed_over_and_short_ids_are_filled_up() {
        let received = read(&[("b3", &format!(" {SPAN}-{SPAN}-1-05e3ac9a4f6e3b90 "))]);
        let trace = received.trace().unwrap();
        assert_eq!(trace.trace_id().get(), 0xe457b5a2e4d86bd1);
        let sent = written(B3::Single, &received);
        assert_eq!(sent[0].1, format!("0000000000000000{SPAN}-{SPAN}-1"));
    }

    #[test]
    fn the_single_header_goes_first_where_it_is_valid() {
        let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        let with = |single| [multi[0], multi[1], ("b3", single)];
        let other = format!("{SPAN}-{SPAN}-1");
        let trace = |headers: &[_]| read(headers).trace().unwrap().trace_id().get();
        assert_eq!(trace(&with(&other)), 0xe457b5a2e4d86bd1);
        assert_eq!(trace(&with("nonsense")), trace(&multi));
    }

    #[test]
    fn anything_else_says_nothing() {
        let zero = "0".repeat(32);
        for bad in [
            "",
            "x",
            "2",
            "00",
            "-",
            TRACE,
            &format!("{TRACE}-"),
            &format!("{}-{SPAN}", TRACE.to_uppercase()),
            &format!("{zero}-{SPAN}-1"),
            &format!("{TRACE}-{}-1", &zero[..16]),
            &format!("{}-{SPAN}-1", &TRACE[1..]),
            &format!("{TRACE}-{}-1", &SPAN[1..]),
            &format!("{TRACE}-{SPAN}-"),
            &format!("{TRACE}-{SPAN}-2"),
            &format!("{TRACE}-{SPAN}-true"),
            &format!("{TRACE}-{SPAN}-1-"),
            &format!("{TRACE}-{SPAN}-1-x"),
            &format!("{TRACE}-{SPAN}-1-{SPAN}-"),
        ] {
            assert_eq!(read(&[("b3", bad)]), Propagation::default(), "{bad}");
        }
        let fine = format!("{TRACE}-{SPAN}-1");
        for bad in [
            &[("b3", fine.as_str()), ("b3", &fine)][..],
            &[("x-b3-traceid", TRACE)],
            &[("x-b3-spanid", SPAN), ("x-b3-sampled", "1")],
            &[("x-b3-traceid", &TRACE[1..]), ("x-b3-spanid", SPAN)],
            &[("x-b3-sampled", "d")],
            &[("x-b3-flags", "0")],
        ] {
            assert_eq!(read(bad), Propagation::default(), "{bad:?}");
        }
    }
}
