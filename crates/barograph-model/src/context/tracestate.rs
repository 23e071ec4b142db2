//! Tracestate: data of other tracing systems about a trace.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{READ_AT_MOST, trim};

/// The `tracestate` of a trace: a value for each tracing system that took part, the last one first.
///
/// The text is valid, has no empty members, at most 32 others and at most 512 characters: the amount
/// that the specification requires to be propagated. If there is more, members of more than 128
/// characters are dropped first, then those at the end.
///
/// Clones share the text; an empty tracestate costs nothing.
///
/// Source: W3C Trace Context level 2, "Tracestate Header".
///
/// ```
/// # extern crate barograph_model as barograph;
/// use barograph::context::TraceState;
/// let state = TraceState::parse(["rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"])?;
/// assert_eq!(state.get("congo"), Some("t61rcWkgMzE"));
/// let state = state.with("congo", "ucfJifl5GOE")?;
/// assert_eq!(state.as_str(), "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7");
/// # Ok::<(), barograph_model::context::InvalidTraceState>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// The most members that a tracestate can have.
    pub const MAX_MEMBERS: usize = 32;

    /// The most characters that a tracestate can have, including commas.
    pub const MAX_LENGTH: usize = 512;

    /// A tracestate without members.
    pub const EMPTY: TraceState = TraceState(None);

    /// Parses the values of all `tracestate` headers of a request, in their order.
    ///
    /// Of several members with the same key the first is kept: it is the latest.
    ///
    /// # Errors
    /// [`InvalidTraceState`] if a member is invalid, or there are more than 32 members or 32 KiB. The
    /// receiver continues without a tracestate; the `traceparent` is not affected.
    pub fn parse<'a, V: AsRef<[u8]> + ?Sized + 'a>(
        headers: impl IntoIterator<Item = &'a V>,
    ) -> Result<Self, InvalidTraceState> {
        let mut headers = headers.into_iter().peekable();
        if headers.peek().is_none() {
            return Ok(Self::EMPTY);
        }
        let mut room = READ_AT_MOST;
        let mut list = List::new();
        let mut count = 0;
        for header in headers {
            let header = header.as_ref();
            room = room.checked_sub(header.len()).ok_or(InvalidTraceState)?;
            for member in header.split(|byte| *byte == b',') {
                let member = trim(member);
                if member.is_empty() {
                    continue;
                }
                let member = Member::parse(member).ok_or(InvalidTraceState)?;
                count += 1;
                if count > Self::MAX_MEMBERS {
                    return Err(InvalidTraceState);
                }
                if !list.has(member.key) {
                    list.push(member);
                }
            }
        }
        list.fit(Self::MAX_LENGTH);
        Ok(list.into())
    }

    /// Returns the value of one system.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut all = members(self.as_str());
        all.find(|member| member.key == key).map(Member::value)
    }

    /// Returns an iterator over the key and value of each member, the latest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        members(self.as_str()).map(|member| (member.key, member.value()))
    }

    /// Returns the value of a `tracestate` header; empty if none is to be sent.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns true if there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns this tracestate with one member set, which then comes first.
    ///
    /// Members that no longer fit are dropped.
    ///
    /// # Errors
    /// [`InvalidTraceState`] if key or value are invalid, or together longer than the limit.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, InvalidTraceState> {
        let text = format!("{key}={value}");
        let fits = text.len() <= Self::MAX_LENGTH && !value.ends_with(' ');
        let new = Member::parse(text.as_bytes()).filter(|new| fits && new.key == key);
        let new = new.ok_or(InvalidTraceState)?;
        // The new member has its place; the others share the remaining room.
        let others = members(self.as_str()).filter(|member| member.key != key);
        let mut rest = List::new();
        for member in others.take(Self::MAX_MEMBERS - 1) {
            rest.push(member);
        }
        rest.fit((Self::MAX_LENGTH - text.len()).saturating_sub(1));
        let mut list = List::new();
        list.push(new);
        for member in rest.members() {
            list.push(*member);
        }
        Ok(list.into())
    }

    /// Returns this tracestate without one member.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        if self.get(key).is_none() {
            return self.clone();
        }
        let mut list = List::new();
        for member in members(self.as_str()).filter(|member| member.key != key) {
            list.push(member);
        }
        list.into()
    }
}

/// Shows the number of members, but not their content: it belongs to others, and must not be logged.
impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceState({} members)", members(self.as_str()).count())
    }
}

/// A checked member of the list.
#[derive(Clone, Copy)]
struct Member<'a> {
    key: &'a str,
    text: &'a str,
}

impl<'a> Member<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let at = text.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&text[..at], &text[at + 1..]);
        let key_fits = matches!(key, [first, rest @ ..] if is_first(*first)
            && rest.len() < LONGEST_KEY
            && rest.iter().all(|byte| is_first(*byte) || b"_-*/@".contains(byte)));
        // Spaces at the end are already removed; those at the beginning are part of the value.
        let value_fits = (1..=LONGEST_VALUE).contains(&value.len())
            && value
                .iter()
                .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='));
        if !(key_fits && value_fits) {
            return None;
        }
        let text = str::from_utf8(text).ok()?;
        let key = text.get(..at)?;
        Some(Member { key, text })
    }

    fn value(self) -> &'a str {
        self.text.get(self.key.len() + 1..).unwrap_or_default()
    }
}

fn is_first(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
}

/// Returns the members of a text that this module put together.
fn members(text: &str) -> impl Iterator<Item = Member<'_>> {
    text.split(',').filter_map(|text| {
        let (key, _) = text.split_once('=')?;
        Some(Member { key, text })
    })
}

/// Members that are to form a tracestate.
struct List<'a> {
    members: [Member<'a>; TraceState::MAX_MEMBERS],
    count: usize,
}

impl<'a> List<'a> {
    fn new() -> Self {
        let none = Member { key: "", text: "" };
        List {
            members: [none; TraceState::MAX_MEMBERS],
            count: 0,
        }
    }

    fn members(&self) -> &[Member<'a>] {
        &self.members[..self.count]
    }

    fn has(&self, key: &str) -> bool {
        self.members().iter().any(|member| member.key == key)
    }

    /// Adds a member at the end; one that does not fit is left out.
    fn push(&mut self, member: Member<'a>) {
        if let Some(place) = self.members.get_mut(self.count) {
            *place = member;
            self.count += 1;
        }
    }

    /// Returns the number of characters of all members, and the commas between them.
    fn length(&self) -> usize {
        let texts = self.members().iter().map(|member| member.text.len());
        texts.sum::<usize>() + self.count.saturating_sub(1)
    }

    /// Leaves out whole members until at most `length` characters are left: first the long ones, then
    /// the others, both beginning at the end.
    fn fit(&mut self, length: usize) {
        for shortest in [LONG_MEMBER + 1, 0] {
            for at in (0..self.count).rev() {
                if self.length() <= length {
                    return;
                }
                if self.members[at].text.len() >= shortest {
                    self.members.copy_within(at + 1..self.count, at);
                    self.count -= 1;
                }
            }
        }
    }
}

impl From<List<'_>> for TraceState {
    fn from(list: List<'_>) -> Self {
        // Put together on the stack, so that the shared text is the only allocation.
        let mut text = [b','; TraceState::MAX_LENGTH + 1];
        let mut length = 0;
        for member in list.members() {
            text[length..][..member.text.len()].copy_from_slice(member.text.as_bytes());
            length += member.text.len() + 1;
        }
        let text = &text[..length.saturating_sub(1)];
        let text = str::from_utf8(text).expect("members are ASCII, and there are commas");
        TraceState((!text.is_empty()).then(|| text.into()))
    }
}

const LONGEST_KEY: usize = 256;
const LONGEST_VALUE: usize = 256;
const LONG_MEMBER: usize = 128;

/// The error of an invalid `tracestate`.
///
/// It does not hold the header: data of an unknown client must not be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceState;

impl fmt::Display for InvalidTraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid tracestate: expected at most 32 members `key=value`")
    }
}

impl Error for InvalidTraceState {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expected: Option<&str>) {
        let state = TraceState::parse(headers.iter().copied());
        let state = state.as_ref().map(TraceState::as_str);
        assert_eq!(state.ok(), expected, "{headers:?}");
    }

    #[test]
    fn headers_are_combined_and_cleaned() {
        check(&[], Some(""));
        check(&["", " ,\t, "], Some(""));
        check(&["a=1", "b=2,c=3", "", "d=4"], Some("a=1,b=2,c=3,d=4"));
        check(&["a=1 \t ,\t b= 2 ,,c=3"], Some("a=1,b= 2,c=3"));
        check(&["a=1,b=2,a=3", "b=4"], Some("a=1,b=2"));
        let all = concat!(
            "abcdefghijklmnopqrstuvwxyz0123456789_-*/@=",
            " !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`",
            "abcdefghijklmnopqrstuvwxyz{|}~"
        );
        check(&[all], Some(all));
        check(&["1@=v,a@@b=v,a@b@c=v"], Some("1@=v,a@@b=v,a@b@c=v"));
    }

    #[test]
    fn one_member_that_is_not_valid_is_too_many() {
        for bad in [
            "a", "a=", "=1", "a =1", "A=1", "a.b=1", "@a=1", "_a=1", "a=b=c", "a=\t", "a=\u{7f}",
            "a=é", "é=1", "a=1\n", "a\0=1",
        ] {
            check(&[bad], None);
            check(&["ok=1", bad], None);
        }
        check(&[&format!("{}=1", "k".repeat(257))], None);
        check(&[&format!("k={}", "v".repeat(257))], None);
    }

    #[test]
    fn thirty_two_members_are_the_most() {
        let list = |count| {
            (0..count)
                .map(|at| format!("k{at}=v"))
                .collect::<Vec<_>>()
                .join(",")
        };
        check(&[&list(32)], Some(&list(32)));
        check(&[&list(33)], None);
        let full = TraceState::parse([list(32).as_str()]).unwrap();
        let with = full.with("new", "1").unwrap();
        assert_eq!(with.as_str(), format!("new=1,{}", list(31)));
    }

    #[test]
    fn what_is_too_long_loses_long_members_first_and_then_the_last() {
        let long = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - 2));
        // Up to 512 characters everything stays, long or not.
        let (a, b) = (long("a", 255), long("b", 256));
        let whole = format!("{a},{b}");
        check(&[&whole], Some(&whole));
        // One more, and the last long member is dropped; the short ones are not.
        check(&[&whole, "c=1"], Some(&format!("{a},c=1")));
        // No more long ones are dropped than necessary.
        let (a, b, c) = (long("a", 200), long("b", 200), long("c", 200));
        check(
            &["x=1", &a, &b, &c, "y=1"],
            Some(&format!("x=1,{a},{b},y=1")),
        );
        // Members of exactly 128 characters are not long.
        let members: Vec<_> = ["a", "b", "c", "d", "e"].map(|key| long(key, 128)).into();
        check(&[&members.join(",")], Some(&members[..3].join(",")));
        let read_too_much = ",".repeat(READ_AT_MOST + 1);
        check(&[&read_too_much], None);
    }

    #[test]
    fn a_member_that_is_set_comes_first_and_stays() {
        let state = TraceState::parse(["a=1,b=2,c=3"]).unwrap();
        assert_eq!(state.with("b", "x y").unwrap().as_str(), "b=x y,a=1,c=3");
        assert_eq!(state.with("d", "4").unwrap().as_str(), "d=4,a=1,b=2,c=3");
        assert_eq!(state.without("b").as_str(), "a=1,c=3");
        assert_eq!(state.without("x"), state);
        assert!(state.without("a").without("b").without("c").is_empty());
        for (key, value) in [
            ("A", "1"),
            ("a", ""),
            ("a", "1 "),
            ("a", "1,b=2"),
            ("a=b", "1"),
        ] {
            assert_eq!(
                state.with(key, value),
                Err(InvalidTraceState),
                "{key}={value}"
            );
        }
        let key = "k".repeat(256);
        let whole = state.with(&key, &"v".repeat(255)).unwrap();
        assert_eq!(
            whole.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            [key.as_str()]
        );
        assert_eq!(state.with(&key, &"v".repeat(256)), Err(InvalidTraceState));
        assert_eq!(state.iter().last(), Some(("c", "3")));
        assert_eq!(format!("{state:?}"), "TraceState(3 members)");
    }
}
