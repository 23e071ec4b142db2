//! Thresholds and randomness, by which services sample consistently.
//!
//! Each trace has 56 random bits: the last bits of its id, or the `rv` of its tracestate. Each
//! sampler has a threshold, and samples the traces whose bits are not below it. So a service that
//! samples one trace in ten also samples the traces of a service that samples one in a hundred. The
//! threshold is propagated with the trace as `th`, and tells a backend how many spans each sampled
//! span represents.
//!
//! Source: OpenTelemetry 1.60, "TraceState Handling" and "TraceState: Probability Sampling".

use std::error::Error;
use std::fmt::{self, Write as _};

use barograph_model::context::{TraceId, TraceState};

use super::sampler::{SamplingResult, SpanStart};

/// The number of the 2⁵⁶ random values that are not sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold that samples every trace.
    pub const ALWAYS: Threshold = Threshold(0);

    /// Returns the threshold of a probability, with four significant hexadecimal digits.
    ///
    /// # Errors
    /// Returns [`InvalidRatio`] if the probability is not from 2⁻⁵⁶ to 1. A probability of 0 has no
    /// threshold.
    pub fn of(probability: f64) -> Result<Self, InvalidRatio> {
        if !(SMALLEST..=1.0).contains(&probability) {
            return Err(InvalidRatio(probability));
        }
        // Leading `f` digits carry the magnitude; the four significant digits follow them.
        let small = ((-probability.log2()) / 4.0).floor() as u32;
        let digits = (DIGITS as u32).min(PRECISION + small);
        let unit = 1 << (4 * (DIGITS as u32 - digits));
        let accepted = (probability * ALL as f64).round() as u64;
        let rejected = ALL - accepted.max(1);
        let rounded = (rejected + unit / 2) / unit * unit;
        Ok(Threshold(rounded.min(ALL - unit)))
    }

    /// Returns the share of traces that are sampled.
    pub fn probability(self) -> f64 {
        (ALL - self.0) as f64 / ALL as f64
    }

    /// Returns the number of spans that one sampled span represents.
    pub fn adjusted_count(self) -> f64 {
        ALL as f64 / (ALL - self.0) as f64
    }

    /// Returns true if a trace with this randomness is sampled.
    #[inline]
    pub fn accepts(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// Parses the value of a `th`: 1 to 14 hexadecimal digits, of which trailing zeros may be
    /// missing.
    pub fn parse(digits: &str) -> Option<Self> {
        let count = digits.len() as u32;
        let number = number(digits).filter(|_| count >= 1)?;
        Some(Threshold(number << (4 * (DIGITS as u32 - count))))
    }

    /// Returns the `th` of a tracestate.
    pub fn in_trace_state(trace_state: &TraceState) -> Option<Self> {
        Threshold::parse(sub_key(trace_state, "th")?)
    }

    /// Returns the tracestate with this `th`.
    ///
    /// If the `th` does not fit beside the data of other samplers, the result has no `th`: an
    /// unknown adjusted count is better than losing the randomness of a trace.
    pub fn set_in(self, trace_state: &TraceState) -> TraceState {
        if Threshold::in_trace_state(trace_state) == Some(self) {
            return trace_state.clone();
        }
        let mut value = format!("th:{self}");
        for other in others(trace_state) {
            value.push(';');
            value.push_str(other);
        }
        let with = trace_state.with(KEY, &value);
        with.unwrap_or_else(|_| {
            without_threshold(trace_state).unwrap_or_else(|| trace_state.clone())
        })
    }
}

/// Writes the value of a `th`.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; DIGITS];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = (self.0 >> (4 * (DIGITS - 1 - at)) & 0xf) as u32;
        }
        let end = digits.iter().rposition(|digit| *digit != 0).unwrap_or(0);
        for digit in &digits[..=end] {
            f.write_char(char::from_digit(*digit, 16).expect("less than 16"))?;
        }
        Ok(())
    }
}

/// The 56 random bits of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// Returns the `rv` of the tracestate, or else the last bits of the trace id.
    ///
    /// The random flag of the trace id is not checked: the id is presumed to be random, as the
    /// specification requires.
    #[inline]
    pub fn of(trace_id: TraceId, trace_state: &TraceState) -> Self {
        Randomness::in_trace_state(trace_state)
            .unwrap_or(Randomness(trace_id.get() as u64 & (ALL - 1)))
    }

    /// Returns the `rv` of a tracestate.
    pub fn in_trace_state(trace_state: &TraceState) -> Option<Self> {
        Randomness::parse(sub_key(trace_state, "rv")?)
    }

    /// Parses the value of an `rv`, which has exactly 14 hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        number(digits)
            .filter(|_| digits.len() == DIGITS)
            .map(Randomness)
    }
}

/// Writes the value of an `rv`.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = DIGITS)
    }
}

impl SamplingResult {
    /// Removes the `th`, for a sampler whose probability is unknown.
    ///
    /// A `th` of another decision would make counts wrong. If there is no `th` this costs very
    /// little.
    #[inline]
    #[must_use]
    pub fn without_threshold(mut self, span: &SpanStart<'_>) -> Self {
        let trace_state = self.trace_state.as_ref().unwrap_or(span.trace_state);
        if !trace_state.is_empty()
            && let Some(without) = without_threshold(trace_state)
        {
            self.trace_state = Some(without);
        }
        self
    }
}

/// Returns the tracestate without its `th`, or `None` if it has no `th`.
pub(super) fn without_threshold(trace_state: &TraceState) -> Option<TraceState> {
    sub_key(trace_state, "th")?;
    let value = others(trace_state).collect::<Vec<_>>().join(";");
    if value.is_empty() {
        return Some(trace_state.without(KEY));
    }
    let with = trace_state.with(KEY, &value);
    // A part of a valid value is valid.
    Some(with.unwrap_or_else(|_| trace_state.without(KEY)))
}

/// Returns the value of a key in the OpenTelemetry member of the tracestate. If a sender that
/// violates the specification repeats the key, the first value is returned.
fn sub_key<'a>(trace_state: &'a TraceState, key: &str) -> Option<&'a str> {
    if trace_state.is_empty() {
        return None;
    }
    let mut all = trace_state.get(KEY)?.split(';');
    all.find_map(|pair| pair.strip_prefix(key)?.strip_prefix(':'))
}

/// Returns the key-value pairs in the OpenTelemetry member of the tracestate other than `th`.
fn others(trace_state: &TraceState) -> impl Iterator<Item = &str> {
    let all = trace_state.get(KEY).unwrap_or_default().split(';');
    all.filter(|pair| !pair.is_empty() && !pair.starts_with("th:"))
}

/// Parses up to 14 lower-case hexadecimal digits.
fn number(digits: &str) -> Option<u64> {
    let are_digits = digits
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !are_digits || digits.len() > DIGITS {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

const KEY: &str = "ot";
const DIGITS: usize = 14;
const ALL: u64 = 1 << 56;
const SMALLEST: f64 = 1.0 / ALL as f64;
/// The number of significant hexadecimal digits, as the specification recommends.
const PRECISION: u32 = 4;

/// The error for a share of traces that is out of range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidRatio(pub f64);

impl fmt::Display for InvalidRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid ratio {}: expected a number from 0 to 1", self.0)
    }
}

impl Error for InvalidRatio {}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> TraceState {
        TraceState::parse([text]).unwrap()
    }

    #[test]
    fn probabilities_become_the_thresholds_of_the_specification() {
        for (one_in, digits) in [
            (1.0, "0"),
            (2.0, "8"),
            (3.0, "aaab"),
            (4.0, "c"),
            (5.0, "cccd"),
            (8.0, "e"),
            (10.0, "e666"),
            (16.0, "f"),
            (100.0, "fd70a"),
            (1_000.0, "ffbe77"),
            (10_000.0, "fff9724"),
            (100_000.0, "ffff583a"),
            (1_000_000.0, "ffffef39"),
        ] {
            let threshold = Threshold::of(1.0 / one_in).unwrap();
            assert_eq!(threshold.to_string(), digits, "1 in {one_in}");
            assert!((threshold.adjusted_count() / one_in - 1.0).abs() < 1e-4);
        }
        let smallest = Threshold::of(2_f64.powi(-56)).unwrap();
        assert_eq!(smallest.to_string(), "ffffffffffffff");
        assert_eq!(smallest.adjusted_count(), 2_f64.powi(56));
        for bad in [
            0.0,
            -0.5,
            2_f64.powi(-57),
            1.0 + f64::EPSILON,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert!(Threshold::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn thresholds_and_randomness_are_read_strictly() {
        for (digits, number) in [
            ("0", Some(0)),
            ("c", Some(0xc0_0000_0000_0000)),
            ("00", Some(0)),
            ("ffffffffffffff", Some(ALL - 1)),
            ("000000000000001", None),
            ("", None),
            ("C", None),
            ("+1", None),
            ("c ", None),
            ("é", None),
        ] {
            assert_eq!(Threshold::parse(digits), number.map(Threshold), "{digits}");
        }
        let randomness = Randomness::parse("6e6d1a75832a2f").unwrap();
        assert_eq!(randomness, Randomness(0x6e_6d1a_7583_2a2f));
        assert_eq!(randomness.to_string(), "6e6d1a75832a2f");
        for bad in ["6e6d1a75832a2", "6e6d1a75832a2ff", "6E6d1a75832a2f", ""] {
            assert_eq!(Randomness::parse(bad), None, "{bad}");
        }
        assert!(Threshold(0x6e_6d1a_7583_2a2f).accepts(randomness));
        assert!(!Threshold(0x6e_6d1a_7583_2a30).accepts(randomness));
    }

    #[test]
    fn entries_of_others_stay() {
        let th = Threshold::parse("c").unwrap();
        for (before, with, without) in [
            ("", "ot=th:c", ""),
            ("a=1", "ot=th:c,a=1", "a=1"),
            ("ot=th:8", "ot=th:c", ""),
            (
                "a=1,ot=th:8;rv:6e6d1a75832a2f",
                "ot=th:c;rv:6e6d1a75832a2f,a=1",
                "ot=rv:6e6d1a75832a2f,a=1",
            ),
            ("ot=p:8;th:c,a=1", "ot=p:8;th:c,a=1", "ot=p:8,a=1"),
            ("ot=th:x;;th:y;thx:1", "ot=th:c;thx:1", "ot=thx:1"),
        ] {
            assert_eq!(th.set_in(&state(before)).as_str(), with, "{before}");
            let left = without_threshold(&state(before)).unwrap_or(state(before));
            assert_eq!(left.as_str(), without, "{before}");
        }
        assert_eq!(
            without_threshold(&state("ot=rv:6e6d1a75832a2f;thx:1")),
            None
        );
    }

    #[test]
    fn a_threshold_without_room_is_not_written() {
        let full = format!("ot=rv:6e6d1a75832a2f;x:{}", "v".repeat(256 - 20));
        let th = Threshold::parse("c").unwrap();
        assert_eq!(th.set_in(&state(&full)).as_str(), full);
        // The old `th`, which belongs to another decision, is removed too.
        let shorter = full.replacen("vvvvv", "", 1);
        let old = state(&shorter.replacen("ot=", "ot=th:8;", 1));
        let long = Threshold::parse("0123456789abc").unwrap();
        assert_eq!(long.set_in(&old).as_str(), shorter);
        assert_eq!(
            th.set_in(&old),
            state(&old.as_str().replace("th:8", "th:c"))
        );
    }
}
