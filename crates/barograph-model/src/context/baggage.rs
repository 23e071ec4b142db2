//! Baggage: data of the application that is propagated with its requests.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::READ_AT_MOST;

/// Names and values that are propagated with a request to the services that handle it later.
///
/// It is kept as the text of the `baggage` header, so that a service that only passes it on copies just
/// a pointer. Names are unique and as they are on the wire; values are any text. A value may have
/// properties, which have no defined meaning and are kept as they are. The text is valid, has at most
/// 64 members and at most 8,192 bytes.
///
/// Clones share the text; empty baggage costs nothing.
///
/// Source: W3C Baggage, "Baggage HTTP Header Format".
///
/// ```
/// # extern crate barograph_model as barograph;
/// use barograph::context::Baggage;
/// let baggage = Baggage::parse(["user=al%C3%AFce;ttl=3 , tier = gold"]);
/// assert_eq!(baggage.get("user").as_deref(), Some("alïce"));
/// let baggage = baggage.with("tier", "50% off")?;
/// assert_eq!(baggage.as_str(), "user=al%C3%AFce;ttl=3,tier=50%25%20off");
/// # Ok::<(), barograph_model::context::InvalidBaggage>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Baggage(Option<Arc<str>>);

/// One member of the baggage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaggageEntry<'a> {
    /// Its name, unique in the baggage.
    pub name: &'a str,
    /// Its value. Bytes that were not UTF-8 are replaced by U+FFFD.
    pub value: Cow<'a, str>,
    /// Its properties as they are on the wire, `a=1;b`; mostly empty.
    pub properties: &'a str,
}

impl Baggage {
    /// The most members that baggage can have.
    pub const MAX_MEMBERS: usize = 64;

    /// The most bytes that baggage can have, including commas.
    pub const MAX_LENGTH: usize = 8_192;

    /// Baggage without members.
    pub const EMPTY: Baggage = Baggage(None);

    /// Parses the values of all `baggage` headers of a request, in their order.
    ///
    /// Members that are invalid or do not fit are left out, each by itself. Of several members with the
    /// same name the last value is kept.
    pub fn parse<'a, V: AsRef<[u8]> + ?Sized + 'a>(
        headers: impl IntoIterator<Item = &'a V>,
    ) -> Self {
        let mut headers = headers.into_iter().map(AsRef::as_ref);
        let Some(first) = headers.next() else {
            return Self::EMPTY;
        };
        let second = headers.next();
        if let (Some(text), None) = (clean_header(first), second) {
            return Baggage(Some(text.into()));
        }
        let mut room = READ_AT_MOST;
        let mut list = List::default();
        for header in [first].into_iter().chain(second).chain(headers) {
            let read = &header[..header.len().min(room)];
            room -= read.len();
            let mut members = read.split(|byte| *byte == b',');
            if read.len() < header.len() {
                // The last one may have been cut off.
                members.next_back();
            }
            for member in members.filter_map(Received::parse) {
                // Members that do not fit are left out.
                let _ = list.put(member);
            }
        }
        list.into()
    }

    /// Returns the value of one member.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut all = self.iter();
        all.find(|entry| entry.name == name)
            .map(|entry| entry.value)
    }

    /// Returns an iterator over the members.
    pub fn iter(&self) -> impl Iterator<Item = BaggageEntry<'_>> {
        members(self.as_str()).map(|member| BaggageEntry {
            name: member.name,
            value: decode(member.value),
            properties: member.properties,
        })
    }

    /// Returns an iterator over the name and value of each member, as they are on the wire.
    pub(crate) fn encoded(&self) -> impl Iterator<Item = (&str, &str)> {
        members(self.as_str()).map(|member| (member.name, member.value))
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        members(self.as_str()).count()
    }

    /// Returns true if there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value of a `baggage` header; empty if none is to be sent.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns this baggage with one member set: an earlier value is replaced, with its properties.
    ///
    /// # Errors
    /// [`InvalidBaggage`] if the name is not an HTTP token, or the member does not fit.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, InvalidBaggage> {
        self.with_properties(name, value, "")
    }

    /// Returns this baggage with one member and its properties set, `a=1;b`.
    ///
    /// # Errors
    /// [`InvalidBaggage`] if name or properties are invalid, or the member does not fit.
    pub fn with_properties(
        &self,
        name: &str,
        value: &str,
        properties: &str,
    ) -> Result<Self, InvalidBaggage> {
        if !is_token(name) {
            return Err(InvalidBaggage::Name(name.to_owned()));
        }
        let properties = clean(properties).ok_or(InvalidBaggage::Properties)?;
        let mut list = List::default();
        for member in members(self.as_str()) {
            list.put(member.into())?;
        }
        list.put(Received {
            name,
            value: encode(value),
            properties,
        })?;
        Ok(list.into())
    }

    /// Returns this baggage with more members; those that are invalid or do not fit are left out.
    pub(crate) fn with_all<'a>(&self, new: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Self {
        let mut list = List::default();
        for member in members(self.as_str()) {
            // There was room for each.
            let _ = list.put(member.into());
        }
        for (name, value) in new.filter(|(name, _)| is_token(name)) {
            let value = match value {
                Cow::Borrowed(value) => encode(value),
                Cow::Owned(value) => Cow::Owned(encode(&value).into_owned()),
            };
            // Members that do not fit are left out.
            let _ = list.put(Received {
                name,
                value,
                properties: Cow::Borrowed(""),
            });
        }
        list.into()
    }

    /// Returns this baggage without one member.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut list = List::default();
        for member in members(self.as_str()).filter(|member| member.name != name) {
            // There was room for more.
            let _ = list.put(member.into());
        }
        list.into()
    }
}

/// Shows the number of members, but not their content: it may be personal data, and must not be logged.
impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Baggage({} members)", self.len())
    }
}

/// A member of a text that this module put together.
#[derive(Clone, Copy)]
struct Member<'a> {
    name: &'a str,
    value: &'a str,
    properties: &'a str,
}

fn members(text: &str) -> impl Iterator<Item = Member<'_>> {
    text.split(',').filter_map(|text| {
        let (name, rest) = text.split_once('=')?;
        let (value, properties) = rest.split_once(';').unwrap_or((rest, ""));
        Some(Member {
            name,
            value,
            properties,
        })
    })
}

/// Returns a header that is kept as it is, because it is what would be written. That is the common
/// case, in which the text is the only allocation.
fn clean_header(header: &[u8]) -> Option<&str> {
    if header.len() > Baggage::MAX_LENGTH {
        return None;
    }
    let mut names = [""; Baggage::MAX_MEMBERS];
    let text = str::from_utf8(header).ok()?;
    for (at, member) in text.split(',').enumerate() {
        let (pair, properties) = match member.split_once(';') {
            Some((pair, properties)) => (pair, Some(properties)),
            None => (member, None),
        };
        let (name, value) = pair.split_once('=')?;
        let is_clean = is_token(name)
            && value.bytes().all(is_octet)
            && properties.is_none_or(|text| text.split(';').all(is_clean_property))
            && !names[..at].contains(&name);
        if !is_clean {
            return None;
        }
        *names.get_mut(at)? = name;
    }
    Some(text)
}

fn is_clean_property(property: &str) -> bool {
    let (name, value) = property.split_once('=').unwrap_or((property, ""));
    is_token(name) && value.bytes().all(is_octet)
}

/// A member that is to be added to a baggage.
struct Received<'a> {
    name: &'a str,
    value: Cow<'a, str>,
    properties: Cow<'a, str>,
}

impl<'a> Received<'a> {
    /// Parses a member of a header. Returns `None` if it is invalid.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (trimmed(name), trimmed(value));
        if !(is_token(name) && value.bytes().all(is_octet)) {
            return None;
        }
        Some(Received {
            name,
            value: Cow::Borrowed(value),
            properties: clean(properties)?,
        })
    }

    fn length(&self) -> usize {
        let properties = match self.properties.len() {
            0 => 0,
            length => length + 1,
        };
        self.name.len() + 1 + self.value.len() + properties
    }
}

impl<'a> From<Member<'a>> for Received<'a> {
    fn from(member: Member<'a>) -> Self {
        Received {
            name: member.name,
            value: member.value.into(),
            properties: member.properties.into(),
        }
    }
}

/// Members with different names, within the limits.
#[derive(Default)]
struct List<'a> {
    members: Vec<Received<'a>>,
    /// The bytes of all members, each with a comma.
    length: usize,
}

impl<'a> List<'a> {
    /// Adds a member, or replaces the one with its name.
    fn put(&mut self, member: Received<'a>) -> Result<(), InvalidBaggage> {
        let place = self.members.iter().position(|m| m.name == member.name);
        let before = place.map_or(0, |at| self.members[at].length() + 1);
        let length = self.length - before + member.length() + 1;
        let count = self.members.len() + usize::from(place.is_none());
        // The last comma is not written.
        if length > Baggage::MAX_LENGTH + 1 || count > Baggage::MAX_MEMBERS {
            return Err(InvalidBaggage::Full);
        }
        self.length = length;
        match place {
            Some(at) => self.members[at] = member,
            None => self.members.push(member),
        }
        Ok(())
    }
}

impl From<List<'_>> for Baggage {
    fn from(list: List<'_>) -> Self {
        let mut text = String::with_capacity(list.length);
        for member in &list.members {
            if !text.is_empty() {
                text.push(',');
            }
            text.extend([member.name, "=", &member.value]);
            if !member.properties.is_empty() {
                text.extend([";", &member.properties]);
            }
        }
        Baggage((!text.is_empty()).then(|| text.into()))
    }
}

/// Returns the properties without spaces around their parts, or `None` if one is invalid.
fn clean(properties: &str) -> Option<Cow<'_, str>> {
    let mut clean = String::new();
    for property in properties.split(';') {
        let (name, value) = match property.split_once('=') {
            Some((name, value)) => (trimmed(name), Some(trimmed(value))),
            None => (trimmed(property), None),
        };
        if name.is_empty() && value.is_none() {
            continue;
        }
        if !(is_token(name) && value.is_none_or(|value| value.bytes().all(is_octet))) {
            return None;
        }
        if !clean.is_empty() {
            clean.push(';');
        }
        clean.push_str(name);
        if let Some(value) = value {
            clean.extend(["=", value]);
        }
    }
    Some(Cow::Owned(clean))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns true for a `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

/// Returns true for a `baggage-octet`.
fn is_octet(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// Encodes any text as octets, with `%` and all other bytes spelled as `%XX`.
fn encode(value: &str) -> Cow<'_, str> {
    let stays = |byte: u8| is_octet(byte) && byte != b'%';
    if value.bytes().all(stays) {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Cow::Owned(text)
}

/// Decodes octets to text, as with percent-encoding elsewhere. A `%` without two digits after it stays
/// as it is.
pub(crate) fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let (byte, read) = pair.map_or((*first, 0), |(high, low)| (high << 4 | low, 2));
        bytes.push(byte);
        rest = &after[read..];
    }
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The error of invalid baggage. It does not hold the value, which may be personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidBaggage {
    /// The name is not an HTTP token: letters, digits and some marks, at least one.
    Name(String),
    /// The properties do not have the form `a=1;b`.
    Properties,
    /// There are 64 members already, or 8,192 bytes are not enough.
    Full,
}

impl fmt::Display for InvalidBaggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "invalid baggage name {name:?}: expected a token of HTTP")
            }
            Self::Properties => f.write_str("invalid baggage properties: expected `a=1;b`"),
            Self::Full => {
                f.write_str("no room for more baggage: expected 64 members and 8192 bytes at most")
            }
        }
    }
}

impl Error for InvalidBaggage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expected: &str) {
        let baggage = Baggage::parse(headers.iter().copied());
        assert_eq!(baggage.as_str(), expected, "{headers:?}");
        assert_eq!(baggage.is_empty(), expected.is_empty());
        assert_eq!(Baggage::parse([expected]), baggage, "cleaned is clean");
    }

    #[test]
    fn headers_are_combined_and_cleaned() {
        check(&[], "");
        check(&["", " , "], "");
        check(&["a=1", "b=2,c=3"], "a=1,b=2,c=3");
        check(&["a = 1 ; p = x ;q;; r= ,\tb=\t2"], "a=1;p=x;q;r=,b=2");
        check(&["a=b=c,empty=,x=y%20z"], "a=b=c,empty=,x=y%20z");
        check(&["a=1;p,b=2,a=3"], "a=3,b=2");
        check(
            &["!#$%&'*+-.^_`|~=!#$%&'()*+-./:<=>?@[]^_`{|}~"],
            "!#$%&'*+-.^_`|~=!#$%&'()*+-./:<=>?@[]^_`{|}~",
        );
    }

    #[test]
    fn what_is_not_valid_is_left_out_member_by_member() {
        for bad in [
            "a",
            "=1",
            "a b=1",
            "a=b c",
            "a=\"1\"",
            "a=\\",
            "é=1",
            "a=é",
            "a=1;p q",
            "a=1;=x",
            "a=1;p=x y",
            "a=\r\n",
            "a(=1",
            "a=\u{7f}",
        ] {
            check(&[&format!("x=1,{bad},y=2")], "x=1,y=2");
        }
    }

    #[test]
    fn values_are_any_text() {
        for value in [
            "",
            "x",
            "a b",
            "50%",
            "%41",
            "a,b;c=d\\\"",
            "alïce",
            "💼\u{0}\n",
            "a=b",
        ] {
            let baggage = Baggage::EMPTY.with("n", value).unwrap();
            assert_eq!(baggage.get("n").as_deref(), Some(value));
            check(&[baggage.as_str()], baggage.as_str());
        }
        let got = |text| Baggage::parse([text]).get("n").map(Cow::into_owned);
        // As the specification requires: bytes that are not UTF-8 are replaced.
        assert_eq!(got("n=a%ffb").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(got("n=%4a%4A%zz%4").as_deref(), Some("JJ%zz%4"));
        assert_eq!(got("n=%C3%AF").as_deref(), Some("ï"));
        assert_eq!(got("N=1"), None, "names are told apart by case");
    }

    #[test]
    fn members_are_set_replaced_and_removed() {
        let baggage = Baggage::parse(["a=1;p,b=2"]).with("a", "3").unwrap();
        assert_eq!(baggage.as_str(), "a=3,b=2");
        let baggage = baggage.with_properties("c", "4", " q ; r = 1 ").unwrap();
        assert_eq!(baggage.as_str(), "a=3,b=2,c=4;q;r=1");
        let last = baggage.iter().last().unwrap();
        assert_eq!(
            (last.name, &*last.value, last.properties),
            ("c", "4", "q;r=1")
        );
        assert_eq!(baggage.without("a").as_str(), "b=2,c=4;q;r=1");
        assert!(baggage.without("a").without("b").without("c").is_empty());
        assert_eq!(
            baggage.with("a b", "1"),
            Err(InvalidBaggage::Name("a b".into()))
        );
        assert_eq!(
            baggage.with("", "1"),
            Err(InvalidBaggage::Name(String::new()))
        );
        let properties = baggage.with_properties("a", "1", "p q");
        assert_eq!(properties, Err(InvalidBaggage::Properties));
        assert_eq!(format!("{baggage:?}"), "Baggage(3 members)");
    }

    #[test]
    fn limits_hold_to_the_member_and_the_byte() {
        let list = |count| {
            (0..count)
                .map(|at| format!("k{at}=v"))
                .collect::<Vec<_>>()
                .join(",")
        };
        check(&[&list(64)], &list(64));
        check(&[&list(65)], &list(64));
        let full = Baggage::parse([list(64).as_str()]);
        assert_eq!(full.with("new", "1"), Err(InvalidBaggage::Full));
        assert!(full.with("k0", "1").is_ok());

        let value = "v".repeat(8_192 - 2);
        let full = Baggage::EMPTY.with("k", &value).unwrap();
        assert_eq!(full.as_str().len(), Baggage::MAX_LENGTH);
        assert_eq!(
            full.with("k", &format!("{value}v")),
            Err(InvalidBaggage::Full)
        );
        // A member that does not fit is left out; one after it that fits is not.
        check(&["a=1", &format!("b={value}"), "c=3"], "a=1,c=3");
        let cut = format!("a=1,{},b=2", "x".repeat(READ_AT_MOST));
        check(&[&cut], "a=1");
        check(&[&",".repeat(READ_AT_MOST), "a=1"], "");
    }
}
