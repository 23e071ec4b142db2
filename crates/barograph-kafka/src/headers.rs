//! Headers of `rdkafka` records as carriers of a context.
//!
//! Names are written in lower case and values as text, as other Kafka clients do. The headers of other
//! clients, such as lists of names and bytes, are carriers without these wrappers.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use barograph_model::carrier::{Carrier, CarrierMut, MAX_ENTRIES, Values};
use rdkafka::message::{Header, Headers, OwnedHeaders};

/// The headers of a received record, to read a context from.
///
/// `rdkafka` panics on a header name that is not UTF-8, and anyone who may write to the topic can send
/// one. The panic is caught here and the header is skipped. With `panic = "abort"` it cannot be caught
/// and ends the process; read the headers by other means there. Only the first [`MAX_ENTRIES`] headers
/// of a record are read.
#[derive(Clone, Copy)]
pub struct KafkaHeaders<'a, H>(pub &'a H);

/// The headers of a record that is sent, to write a context to.
pub struct KafkaHeadersMut<'a>(pub &'a mut OwnedHeaders);

impl<H: Headers> Carrier for KafkaHeaders<'_, H> {
    fn values_of(&self, name: &str) -> Values<'_> {
        values_of(self.0, name)
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        each_name(self.0, see);
    }
}

/// Reads the headers too: a producer first checks whether the record already has a context.
impl Carrier for KafkaHeadersMut<'_> {
    fn values_of(&self, name: &str) -> Values<'_> {
        values_of(&*self.0, name)
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        each_name(&*self.0, see);
    }
}

impl CarrierMut for KafkaHeadersMut<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        let headers = mem::replace(self.0, OwnedHeaders::new_with_capacity(0));
        *self.0 = headers.insert(Header {
            key: name,
            value: Some(value),
        });
    }

    fn unset(&mut self, name: &str) {
        let is_it = |header: &Header<'_, _>| header.key.eq_ignore_ascii_case(name);
        if !readable(self.0).any(|header| is_it(&header)) {
            return;
        }
        // `OwnedHeaders` can only be appended to, so the remaining headers are copied.
        let others = readable(self.0).filter(|header| !is_it(header));
        *self.0 = others.fold(OwnedHeaders::new(), OwnedHeaders::insert);
    }
}

fn values_of<'a>(headers: &'a impl Headers, name: &str) -> Values<'a> {
    let all = readable(headers).take(MAX_ENTRIES);
    all.filter(|header| header.key.eq_ignore_ascii_case(name))
        .filter_map(|header| header.value)
        .collect()
}

fn each_name<'a>(headers: &'a impl Headers, see: &mut dyn FnMut(&'a str)) {
    let all = readable(headers).take(MAX_ENTRIES);
    all.map(|header| header.key).for_each(see);
}

fn readable<H: Headers>(headers: &H) -> impl Iterator<Item = Header<'_, &[u8]>> {
    (0..headers.count()).filter_map(|at| {
        // Unwind safety: reading changes nothing, so a panic leaves nothing half done.
        catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok()?
    })
}

/// Shows only the number of headers, because headers may hold secrets.
impl<H: Headers> fmt::Debug for KafkaHeaders<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaHeaders({})", self.0.count())
    }
}

impl fmt::Debug for KafkaHeadersMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaHeadersMut({})", self.0.count())
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::propagator::Propagators;

    use super::*;

    fn owned(headers: &[(&str, &[u8])]) -> OwnedHeaders {
        let pairs = headers.iter();
        pairs.fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header {
                key,
                value: Some(*value),
            })
        })
    }

    #[test]
    fn an_injected_context_is_extracted_again() {
        let propagators = Propagators::default();
        let record = owned(&[
            (
                "TraceParent",
                b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", b"a=1"),
            ("tracestate", b"b=2"),
            ("baggage", b"c=3"),
            ("other", b"\xff"),
        ]);
        let headers = KafkaHeaders(&record);
        let received = propagators.extract(&headers);
        assert!(received.trace().unwrap().is_remote());
        assert_eq!(received.tracestate().as_str(), "a=1,b=2");
        assert_eq!(received.baggage().as_str(), "c=3");
        assert_eq!(format!("{headers:?}"), "KafkaHeaders(5)");

        let mut sent = owned(&[("Tracestate", b"stale=1"), ("other", b"\xff"), ("b", b"")]);
        propagators.inject(&received, &mut KafkaHeadersMut(&mut sent));
        let mut names = Vec::new();
        KafkaHeaders(&sent).each_name(&mut |name| names.push(name.to_owned()));
        assert_eq!(
            names,
            ["other", "b", "traceparent", "tracestate", "baggage"]
        );
        assert_eq!(propagators.extract(&KafkaHeaders(&sent)), received);
        assert_eq!(
            KafkaHeaders(&sent).values_of("other").one(),
            Some(&b"\xff"[..])
        );
    }

    /// Headers that panic like those of `rdkafka` with a name that is not UTF-8.
    struct Panicking;

    impl Headers for Panicking {
        fn count(&self) -> usize {
            2
        }

        fn try_get(&self, at: usize) -> Option<Header<'_, &[u8]>> {
            assert_ne!(at, 0, "a name that is no text");
            let value = Some(&b"abc:def:0:1"[..]);
            Some(Header {
                key: "uber-trace-id",
                value,
            })
        }
    }

    #[test]
    fn of_very_many_headers_the_first_are_read() {
        let others = vec![("other", &b"x"[..]); MAX_ENTRIES];
        let first = [&[("b3", &b"0"[..])][..], &others].concat();
        let last = [&others[..], &[("b3", &b"0"[..])]].concat();
        let propagators = Propagators::parse("b3").0;
        assert!(
            !propagators
                .extract(&KafkaHeaders(&owned(&first)))
                .is_empty()
        );
        assert!(propagators.extract(&KafkaHeaders(&owned(&last))).is_empty());
    }

    #[test]
    fn a_name_that_is_no_text_is_passed_over() {
        let received = Propagators::parse("jaeger")
            .0
            .extract(&KafkaHeaders(&Panicking));
        assert_eq!(received.trace().unwrap().trace_id().get(), 0xabc);
    }
}
