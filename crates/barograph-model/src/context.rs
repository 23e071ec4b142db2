//! Which trace and span something happened in, and the `traceparent` that carries it.

use std::error::Error;
use std::fmt;

/// The part of a trace context that numbers and log lines need: two ids and the flags.
///
/// Source: W3C Trace Context level 2. A valid context has ids that are not all zero; there is no
/// way to make another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

impl TraceContext {
    /// A context of a trace and a span in it; none when an id is zero.
    #[inline]
    pub fn new(trace_id: u128, span_id: u64, flags: TraceFlags) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(TraceContext {
            trace_id: TraceId(trace_id),
            span_id: SpanId(span_id),
            flags,
        })
    }

    /// Reads the value of a `traceparent` header.
    ///
    /// Versions newer than `00` are read as far as `00` goes, as the specification asks.
    ///
    /// # Errors
    /// [`InvalidTraceparent`] when it is anything but that.
    ///
    /// ```
    /// use barograph_model::context::TraceContext;
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let context = TraceContext::parse_traceparent(header)?;
    /// assert!(context.is_sampled());
    /// assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    /// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
    /// ```
    pub fn parse_traceparent(header: &str) -> Result<Self, InvalidTraceparent> {
        Self::read(header.trim_matches([' ', '\t']).as_bytes()).ok_or(InvalidTraceparent)
    }

    fn read(header: &[u8]) -> Option<Self> {
        let (fixed, rest) = header.split_at_checked(55)?;
        let version = hex(&fixed[..2])?;
        let dashes = fixed[2] == b'-' && fixed[35] == b'-' && fixed[52] == b'-';
        let length_fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        if !dashes || !length_fits {
            return None;
        }
        let trace_id = u128::from(hex(&fixed[3..19])?) << 64 | u128::from(hex(&fixed[19..35])?);
        let flags = TraceFlags(u8::try_from(hex(&fixed[53..55])?).ok()?);
        TraceContext::new(trace_id, hex(&fixed[36..52])?, flags)
    }

    /// The trace.
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The flags as they came.
    #[inline]
    pub fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Whether the trace is recorded somewhere.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.flags.0 & TraceFlags::SAMPLED.0 != 0
    }
}

/// Up to sixteen lower-case hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// The id of a trace, shown as 32 lower-case hexadecimal digits. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span, shown as 16 lower-case hexadecimal digits. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// The `trace-flags` of a trace context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFlags(u8);

impl TraceId {
    /// The number behind the digits.
    pub fn get(self) -> u128 {
        self.0
    }
}

impl SpanId {
    /// The number behind the digits.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TraceFlags {
    /// The trace is recorded somewhere.
    pub const SAMPLED: TraceFlags = TraceFlags(1);

    /// Flags as they stand on the wire.
    pub fn from_bits(bits: u8) -> Self {
        TraceFlags(bits)
    }

    /// Flags as they stand on the wire.
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A `traceparent` header that is not one.
///
/// It does not hold the header: what an unknown client sent has no place in a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceparent;

impl fmt::Display for InvalidTraceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "invalid traceparent: expected 00-<32 hex>-<16 hex>-<2 hex> with ids that are not zero",
        )
    }
}

impl Error for InvalidTraceparent {}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_header_gives_its_parts() {
        let context = TraceContext::parse_traceparent(&format!(" {OK}\t")).unwrap();
        assert_eq!(context.trace_id().get(), 0x0af7651916cd43dd8448eb211c80319c);
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert_eq!(context.flags().bits(), 1);
        let later = TraceContext::parse_traceparent(&OK.replacen("00-", "cc-", 1)).unwrap();
        assert_eq!(later, context);
        let more = format!("{}-more", OK.replacen("00-", "cc-", 1));
        assert_eq!(TraceContext::parse_traceparent(&more), Ok(context));
    }

    #[test]
    fn anything_else_is_refused() {
        for header in [
            "",
            "00",
            &OK[..54],
            &format!("{OK}-more"),
            &format!("{}more", OK.replacen("00-", "cc-", 1)),
            &OK.replacen("00-", "ff-", 1),
            &OK.replacen("0af", "0AF", 1),
            &OK.replacen("0af", "0ag", 1),
            &OK.replacen('-', "_", 2),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-é0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert!(TraceContext::parse_traceparent(header).is_err(), "{header}");
        }
    }
}
