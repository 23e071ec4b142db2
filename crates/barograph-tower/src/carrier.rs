//! HTTP headers as carriers of a context, in addition to the maps and lists that are carriers already.
//!
//! They are wrapped because the traits and the map are both defined in other crates. The gRPC metadata
//! of tonic are such a map too: `Headers(metadata.as_ref())`, `HeadersMut(metadata.as_mut())`.
//!
//! ```
//! use barograph_tower::carrier::{Headers, HeadersMut};
//! use barograph_model::propagator::Propagators;
//! # let received = http::Request::get("/").body(())?;
//! # let mut request = http::Request::get("/").body(())?;
//! let propagators = Propagators::default();
//! let context = propagators.extract(&Headers(received.headers()));
//! propagators.inject(&context, &mut HeadersMut(request.headers_mut()));
//! # Ok::<(), http::Error>(())
//! ```

use std::fmt;

pub use barograph_model::carrier::{Carrier, CarrierMut, Environment, Values};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a received message, to read a context from.
#[derive(Clone, Copy)]
pub struct Headers<'a>(pub &'a HeaderMap);

/// The headers of a message that is sent, to write a context to.
pub struct HeadersMut<'a>(pub &'a mut HeaderMap);

impl Carrier for Headers<'_> {
    fn values_of(&self, name: &str) -> Values<'_> {
        let Some(known) = known(name) else {
            return bytes(self.0.get_all(name).iter()).collect();
        };
        if self.0.len() > FEW {
            return bytes(self.0.get_all(known).iter()).collect();
        }
        if !self.0.keys().any(|name| name == known) {
            return Values::default();
        }
        let found = self.0.iter().filter(|(name, _)| *name == known);
        bytes(found.map(|(_, value)| value)).collect()
    }

    fn value_of(&self, name: &str) -> Option<&[u8]> {
        let Some(known) = known(name).filter(|_| self.0.len() <= FEW) else {
            return self.values_of(name).one();
        };
        let at = self.0.keys().position(|name| name == known)?;
        if self.0.keys_len() < self.0.len() {
            return self.values_of(name).one();
        }
        // As no name occurs twice, the values have the same order as the names.
        self.0.values().nth(at).map(HeaderValue::as_bytes)
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        self.0.keys().map(HeaderName::as_str).for_each(see);
    }
}

/// Skips values that are not valid in a header; no propagator of this library produces them.
impl CarrierMut for HeadersMut<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.set_bytes(name, value.as_bytes());
    }

    fn set_bytes(&mut self, name: &str, value: &[u8]) {
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        if let Some(name) = known(name) {
            // A request that is retried or forwarded already has the header.
            match only_mut(self.0, name) {
                Some(place) => *place = value,
                None => drop(self.0.insert(name, value)),
            }
        } else if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            self.0.insert(name, value);
        }
    }

    fn unset(&mut self, name: &str) {
        match known(name) {
            Some(name) if self.0.len() <= FEW && !self.0.keys().any(|n| n == name) => None,
            Some(name) => self.0.remove(name),
            None => self.0.remove(name),
        };
    }
}

/// Shows only the number of headers, because headers hold secrets.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.0.len())
    }
}

impl fmt::Debug for HeadersMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadersMut({})", self.0.len())
    }
}

/// Returns the only value of a name, if there are few enough headers to search without hashing the name.
fn only_mut<'a>(headers: &'a mut HeaderMap, name: &HeaderName) -> Option<&'a mut HeaderValue> {
    if headers.len() > FEW {
        return None;
    }
    let mut found = headers.iter_mut().filter(|(n, _)| *n == name);
    let (_, one) = found.next()?;
    found.next().is_none().then_some(one)
}

fn bytes<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    values.map(HeaderValue::as_bytes)
}

/// The number of headers up to which a linear search is faster than hashing the name.
const FEW: usize = 16;

macro_rules! known {
    ($($name:literal)*) => {
        /// Returns the static form of a well-known name, so that it is not parsed and copied each time.
        #[inline]
        fn known(name: &str) -> Option<&'static HeaderName> {
            match name {
                $($name => {
                    static NAME: HeaderName = HeaderName::from_static($name);
                    Some(&NAME)
                })*
                _ => None,
            }
        }
    };
}

known! {
    "traceparent" "tracestate" "baggage"
    "b3" "x-b3-traceid" "x-b3-spanid" "x-b3-sampled" "x-b3-flags"
    "uber-trace-id"
}

#[cfg(test)]
mod tests {
    use barograph_model::context::Propagation;
    use barograph_model::propagator::Propagators;

    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        };
        headers.iter().map(parsed).collect()
    }

    #[test]
    fn headers_are_read_in_any_case_and_all_of_them() {
        let map = map(&[
            (
                "TraceParent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", "a=1"),
            ("TRACESTATE", "b=2"),
            ("Baggage", "c=3"),
            ("UberCtx-d", "4"),
            ("authorization", "secret"),
        ]);
        let headers = Headers(&map);
        let propagators = Propagators::parse("tracecontext,baggage,jaeger").0;
        let received = propagators.extract(&headers);
        assert!(received.trace().unwrap().is_remote());
        assert_eq!(received.tracestate().as_str(), "a=1,b=2");
        assert_eq!(received.baggage().as_str(), "c=3,d=4");
        assert_eq!(format!("{headers:?}"), "Headers(6)");
        let bytes = HeaderMap::from_iter([(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_bytes(b"00-\xff").unwrap(),
        )]);
        assert!(propagators.extract(&Headers(&bytes)).is_empty());
    }

    #[test]
    fn an_injected_context_is_extracted_again() {
        for list in ["tracecontext,baggage", "b3", "b3multi", "jaeger"] {
            let propagators = Propagators::parse(list).0;
            let stale = [
                ("tracestate", "x=1"),
                ("x-b3-sampled", "1"),
                ("x-b3-flags", "1"),
            ];
            let mut out = map(&stale);
            let sent = Propagation::from(
                barograph_model::context::TraceContext::parse_traceparent(
                    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
                )
                .unwrap(),
            );
            propagators.inject(&sent, &mut HeadersMut(&mut out));
            assert_eq!(propagators.extract(&Headers(&out)), sent, "{list}");
            for field in propagators
                .fields()
                .filter(|field| out.contains_key(*field))
            {
                assert_eq!(out.get_all(field).iter().count(), 1);
            }
        }
    }

    #[test]
    fn few_headers_and_many_are_the_same() {
        for others in [0, 1, FEW - 2, FEW - 1, FEW, 3 * FEW] {
            let mut map = HeaderMap::new();
            for at in 0..others {
                let name: HeaderName = format!("x-{at}").parse().unwrap();
                map.insert(name, HeaderValue::from_static("other"));
            }
            let mut expected = map.clone();
            for name in ["tracestate", "unknown"] {
                map.append(name, HeaderValue::from_static("a=1"));
                assert_eq!(Headers(&map).value_of(name), Some(&b"a=1"[..]));
                map.append(name, HeaderValue::from_static("b=2"));
                assert_eq!(Headers(&map).value_of(name), None);
                let headers = Headers(&map);
                let values = headers.values_of(name).into_iter();
                assert!(values.eq([b"a=1", b"b=2"]));
                for value in ["c=3", "d=4"] {
                    HeadersMut(&mut map).set(name, value);
                    let headers = Headers(&map);
                    let values = headers.values_of(name);
                    assert_eq!(values.one(), Some(value.as_bytes()));
                }
                HeadersMut(&mut map).unset(name);
                HeadersMut(&mut map).unset(name);
                assert!(Headers(&map).values_of(name).is_empty());
                assert_eq!(Headers(&map).value_of(name), None);
            }
            assert_eq!(map, expected);
            HeadersMut(&mut map).set("baggage", "a=1");
            expected.insert("baggage", HeaderValue::from_static("a=1"));
            assert_eq!(map, expected);
        }
    }

    #[test]
    fn a_value_that_is_no_header_is_not_written() {
        let mut map = HeaderMap::new();
        let mut headers = HeadersMut(&mut map);
        headers.set("a", "line\nbreak");
        headers.set("no name", "x");
        assert_eq!(format!("{headers:?}"), "HeadersMut(0)");
        headers.set("Other", "1");
        headers.set("other", "2");
        assert_eq!(Headers(headers.0).values_of("other").one(), Some(&b"2"[..]));
        headers.unset("other");
        assert!(map.is_empty());
    }
}
