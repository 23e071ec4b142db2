//! Trace and span ids, trace flags, and the `traceparent` header that carries them.

use std::error::Error;
use std::fmt;
use std::num::NonZero;

use super::trim;
use crate::hex::{self, Digits};

/// The part of a trace context that metrics and log records need: two ids and the flags.
///
/// It also records whether it came from another process, OpenTelemetry's `IsRemote`. Only contexts that
/// are extracted from a carrier are remote; contexts that are made, or parsed from text, are not. Two
/// contexts are equal if ids and flags are: a span is the same, wherever it is seen from.
///
/// Source: W3C Trace Context level 2. A valid context has ids that are not all zero; no other context
/// can be made.
#[derive(Clone, Copy, Debug)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
    remote: bool,
}

impl TraceContext {
    /// Returns the context of a span in a trace, or `None` if an id is zero.
    #[inline]
    pub fn new(trace_id: u128, span_id: u64, flags: TraceFlags) -> Option<Self> {
        let (trace_id, span_id) = (TraceId::new(trace_id)?, SpanId::new(span_id)?);
        Some(Self::from_ids(trace_id, span_id, flags))
    }

    /// Returns the context of a span in a trace.
    #[inline]
    pub const fn from_ids(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        TraceContext {
            trace_id,
            span_id,
            flags,
            remote: false,
        }
    }

    /// Parses the value of a `traceparent` header.
    ///
    /// Versions newer than `00` are read as far as `00` goes, as the specification requires. Flags that
    /// it does not define are dropped.
    ///
    /// # Errors
    /// [`InvalidTraceparent`] if the value is not valid.
    ///
    /// ```
    /// # extern crate barograph_model as barograph;
    /// use barograph::context::TraceContext;
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let context = TraceContext::parse_traceparent(header)?;
    /// assert!(context.is_sampled());
    /// assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    /// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
    /// ```
    #[inline]
    pub fn parse_traceparent(header: impl AsRef<[u8]>) -> Result<Self, InvalidTraceparent> {
        Self::read(trim(header.as_ref())).ok_or(InvalidTraceparent)
    }

    /// Returns the value of the `traceparent` header for this context, without an allocation.
    ///
    /// It has version `00`; flags that are not defined are zero.
    ///
    /// ```
    /// # extern crate barograph_model as barograph;
    /// use barograph::context::{TraceContext, TraceFlags};
    /// let flags = TraceFlags::SAMPLED.with(TraceFlags::RANDOM);
    /// let context = TraceContext::new(0xabc, 0xdef, flags).ok_or("ids are not zero")?;
    /// let header = context.to_traceparent();
    /// assert_eq!(header.as_str(), "00-00000000000000000000000000000abc-0000000000000def-03");
    /// # Ok::<(), &str>(())
    /// ```
    #[inline]
    pub fn to_traceparent(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&hex::write32(self.trace_id.get()));
        text[36..52].copy_from_slice(&hex::write16(self.span_id.get()));
        // All defined flags fit into the last digit.
        text[54] = b'0' + self.flags.defined().bits();
        Traceparent(text)
    }

    #[inline]
    fn read(header: &[u8]) -> Option<Self> {
        let (fixed, rest) = header.split_first_chunk::<{ Traceparent::LENGTH }>()?;
        let mut digits = Digits::new();
        let trace_id = digits.read32(part(fixed, 3));
        let span_id = digits.read16(part(fixed, 36));
        // Version and flags are read together, with other digits between them.
        let [[v, w], [f, g]] = [part(fixed, 0), part(fixed, 53)];
        let [version, _, _, flags] = digits
            .read8([v, w, b'0', b'0', b'0', b'0', f, g])
            .to_be_bytes();
        let dashes = [fixed[2], fixed[35], fixed[52]] == [b'-'; 3];
        let length_fits = match (version, rest) {
            (0xff, _) => false,
            (_, []) => true,
            (version, [next, ..]) => version != 0 && *next == b'-',
        };
        if !(digits.are_fine() && dashes && length_fits) {
            return None;
        }
        TraceContext::new(trace_id, span_id, TraceFlags(flags).defined())
    }

    /// Returns the trace id.
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Returns the span id.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Returns the flags.
    #[inline]
    pub fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Returns true if the trace is sampled, that is, recorded somewhere.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.flags.contains(TraceFlags::SAMPLED)
    }

    /// Returns true if it came from another process.
    #[inline]
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// Returns this context with other flags.
    #[inline]
    #[must_use]
    pub fn with_flags(self, flags: TraceFlags) -> Self {
        TraceContext { flags, ..self }
    }

    /// Returns the context of another span of this process in the same trace, with the same flags.
    #[inline]
    #[must_use]
    pub fn with_span(self, span_id: SpanId) -> Self {
        TraceContext {
            span_id,
            remote: false,
            ..self
        }
    }

    /// Returns this context as one that came from another process.
    #[inline]
    #[must_use]
    pub fn as_remote(self) -> Self {
        TraceContext {
            remote: true,
            ..self
        }
    }
}

impl PartialEq for TraceContext {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let parts = |context: &Self| (context.trace_id, context.span_id, context.flags);
        parts(self) == parts(other)
    }
}

impl Eq for TraceContext {}

/// Returns a part of a `traceparent`, at a fixed position.
#[inline]
fn part<const N: usize>(text: &[u8; Traceparent::LENGTH], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&text[from..from + N]);
    part
}

/// The value of a `traceparent` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; Self::LENGTH]);

impl Traceparent {
    /// The length of a header of version `00`.
    pub const LENGTH: usize = 55;

    /// Returns the characters.
    #[inline]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Returns the text.
    #[inline]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

impl AsRef<[u8]> for Traceparent {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The id of a trace, shown as 32 lower-case hexadecimal digits. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZero<u128>);

/// The id of a span, shown as 16 lower-case hexadecimal digits. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZero<u64>);

/// The `trace-flags` of a trace context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFlags(u8);

impl TraceId {
    /// Returns the id with this number, or `None` for zero.
    #[inline]
    pub fn new(number: u128) -> Option<Self> {
        NonZero::new(number).map(TraceId)
    }

    /// Returns the id as a number.
    #[inline]
    pub fn get(self) -> u128 {
        self.0.get()
    }
}

impl SpanId {
    /// Returns the id with this number, or `None` for zero.
    #[inline]
    pub fn new(number: u64) -> Option<Self> {
        NonZero::new(number).map(SpanId)
    }

    /// Returns the id as a number.
    #[inline]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl TraceFlags {
    /// The trace is sampled, that is, recorded somewhere.
    pub const SAMPLED: TraceFlags = TraceFlags(1);

    /// At least the right-most 56 bits of the trace id are random.
    ///
    /// It belongs to the trace id: it is set where the id is made, and copied unchanged.
    pub const RANDOM: TraceFlags = TraceFlags(2);

    /// Returns the flags with these bits, as on the wire.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        TraceFlags(bits)
    }

    /// Returns the bits of the flags, as on the wire.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns these flags and others.
    #[inline]
    #[must_use]
    pub const fn with(self, others: TraceFlags) -> Self {
        TraceFlags(self.0 | others.0)
    }

    /// Returns these flags without others.
    #[inline]
    #[must_use]
    pub const fn without(self, others: TraceFlags) -> Self {
        TraceFlags(self.0 & !others.0)
    }

    /// Returns true if these flags contain all others.
    #[inline]
    pub const fn contains(self, others: TraceFlags) -> bool {
        self.0 & others.0 == others.0
    }

    /// Returns the flags that the specification defines; the others have to be zero.
    #[inline]
    const fn defined(self) -> Self {
        TraceFlags(self.0 & (Self::SAMPLED.0 | Self::RANDOM.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&hex::write32(self.get())))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&hex::write16(self.get())))
    }
}

fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("digits and dashes are ASCII")
}

/// The error of an invalid `traceparent` header.
///
/// It does not hold the header: data of an unknown client must not be logged.
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
        let context = TraceContext::parse_traceparent(format!(" {OK}\t")).unwrap();
        assert_eq!(context.trace_id().get(), 0x0af7651916cd43dd8448eb211c80319c);
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert_eq!(context.flags().bits(), 1);
        let later = TraceContext::parse_traceparent(OK.replacen("00-", "cc-", 1)).unwrap();
        assert_eq!(later, context);
        let more = format!("{}-more", OK.replacen("00-", "cc-", 1));
        assert_eq!(TraceContext::parse_traceparent(&more), Ok(context));
    }

    #[test]
    fn flags_that_are_not_defined_are_left_out() {
        for (wire, read) in [
            ("00", 0),
            ("01", 1),
            ("02", 2),
            ("03", 3),
            ("fe", 2),
            ("ff", 3),
        ] {
            let header = format!("{}{wire}", &OK[..53]);
            let context = TraceContext::parse_traceparent(header).unwrap();
            assert_eq!(context.flags().bits(), read, "{wire}");
            assert_eq!(context.is_sampled(), read & 1 == 1);
        }
        let context = TraceContext::new(1, 1, TraceFlags::from_bits(0xff)).unwrap();
        assert!(context.to_traceparent().as_str().ends_with("-03"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let context = TraceContext::parse_traceparent(OK).unwrap();
        assert_eq!(context.to_traceparent().as_bytes(), OK.as_bytes());
        assert_eq!(context.to_traceparent().to_string(), OK);
        let ends = TraceContext::new(u128::MAX, u64::MAX, TraceFlags::RANDOM).unwrap();
        let again = TraceContext::parse_traceparent(ends.to_traceparent());
        assert_eq!(again, Ok(ends));
        assert_eq!(ends.trace_id().to_string(), "f".repeat(32));
    }

    #[test]
    fn only_what_is_said_to_be_remote_is() {
        let context = TraceContext::parse_traceparent(OK).unwrap();
        assert!(!context.is_remote());
        let parent = context.as_remote();
        assert!(parent.is_remote() && parent.with_flags(TraceFlags::RANDOM).is_remote());
        assert_eq!(parent, context);
        let child = parent.with_span(SpanId::new(1).unwrap());
        assert!(!child.is_remote());
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_eq!(child.flags(), parent.flags());
        assert_ne!(child, parent);
        // It is copied everywhere; the flag lies in padding and takes no space.
        assert_eq!(size_of::<Option<TraceContext>>(), 32);
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
            &OK.replacen('-', "_", 1),
            &OK.replacen('-', "_", 2),
            &OK.replacen('-', "_", 3),
            &OK.replacen("00-", "0g-", 1),
            &OK.replacen("-01", "-0g", 1),
            &OK.replacen("-01", "-0A", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-é0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert!(TraceContext::parse_traceparent(header).is_err(), "{header}");
        }
    }
}
