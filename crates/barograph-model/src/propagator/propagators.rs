//! The propagators of a service, as named by `OTEL_PROPAGATORS`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{B3, Jaeger, Propagator, W3cBaggage, W3cTraceContext};
use crate::carrier::{Carrier, CarrierMut};
use crate::context::Propagation;

/// Several propagators, used one after the other.
///
/// Each writes its own headers. When reading, the result of a later one replaces that of those before
/// it. By default they are `tracecontext` and `baggage`. Clones share them.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_model::propagator::Propagators;
/// # }
/// use barograph::Propagators;
/// let (propagators, unknown) = Propagators::parse("tracecontext, b3multi,ottrace");
/// let b3 = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
/// assert!(propagators.fields().eq(["traceparent", "tracestate"].into_iter().chain(b3)));
/// assert_eq!(unknown[0].to_string(), concat!(
///     "unknown propagator \"ottrace\": ",
///     "expected tracecontext, baggage, b3, b3multi, jaeger or none",
/// ));
/// ```
#[derive(Clone)]
pub struct Propagators(Arc<[Arc<dyn Propagator>]>);

impl Propagators {
    /// Returns these propagators, in this order.
    pub fn new(propagators: impl IntoIterator<Item = Arc<dyn Propagator>>) -> Self {
        Propagators(propagators.into_iter().collect())
    }

    /// Returns an empty list: nothing is read or written.
    pub fn none() -> Self {
        Propagators::new([])
    }

    /// Parses the value of `OTEL_PROPAGATORS`: a comma-separated list, `none` for no propagator.
    ///
    /// A repeated name counts once; `none` beside others is ignored. Unknown names are returned, so
    /// that the caller can log a warning. If nothing is left of the list, the default is used.
    ///
    /// Source: OpenTelemetry, "General SDK Configuration".
    pub fn parse(list: &str) -> (Self, Vec<UnknownPropagator>) {
        let mut names: Vec<&str> = Vec::new();
        let mut all: Vec<Arc<dyn Propagator>> = Vec::new();
        let mut unknown = Vec::new();
        let mut none = false;
        for name in list.split(',').map(str::trim) {
            if name.is_empty() || names.contains(&name) {
                continue;
            }
            names.push(name);
            match name {
                "tracecontext" => all.push(Arc::new(W3cTraceContext)),
                "baggage" => all.push(Arc::new(W3cBaggage)),
                "b3" => all.push(Arc::new(B3::Single)),
                "b3multi" => all.push(Arc::new(B3::Multi)),
                "jaeger" => all.push(Arc::new(Jaeger)),
                "none" => none = true,
                name => unknown.push(UnknownPropagator(name.to_owned())),
            }
        }
        if all.is_empty() && !none {
            return (Self::default(), unknown);
        }
        (Propagators::new(all), unknown)
    }

    /// Returns the names of all headers that are written, in lower case.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|one| one.fields().iter().copied())
    }

    /// Returns true if there is no propagator.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes a context into a carrier, with all propagators.
    pub fn inject(&self, propagation: &Propagation, carrier: &mut dyn CarrierMut) {
        for one in &*self.0 {
            one.inject(propagation, carrier);
        }
    }

    /// Reads a context from a carrier, with all propagators.
    pub fn extract(&self, carrier: &dyn Carrier) -> Propagation {
        let mut propagation = Propagation::default();
        for one in &*self.0 {
            one.extract(carrier, &mut propagation);
        }
        propagation
    }
}

impl Default for Propagators {
    fn default() -> Self {
        let all: [Arc<dyn Propagator>; 2] = [Arc::new(W3cTraceContext), Arc::new(W3cBaggage)];
        Propagators::new(all)
    }
}

impl fmt::Debug for Propagators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.0).finish()
    }
}

/// An unknown name in `OTEL_PROPAGATORS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPropagator(pub String);

impl fmt::Display for UnknownPropagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = "tracecontext, baggage, b3, b3multi, jaeger or none";
        write!(f, "unknown propagator {:?}: expected {expected}", self.0)
    }
}

impl Error for UnknownPropagator {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Sampling;

    #[track_caller]
    fn check(list: &str, expected: &str, expected_unknown: &[&str]) {
        let (propagators, unknown) = Propagators::parse(list);
        assert_eq!(format!("{propagators:?}"), expected, "{list:?}");
        let unknown: Vec<_> = unknown.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(unknown, expected_unknown, "{list:?}");
    }

    #[test]
    fn a_list_names_propagators() {
        const DEFAULT: &str = "[W3cTraceContext, W3cBaggage]";
        check("tracecontext,baggage", DEFAULT, &[]);
        check(
            "baggage, tracecontext ,",
            "[W3cBaggage, W3cTraceContext]",
            &[],
        );
        check("b3,b3multi,jaeger", "[Single, Multi, Jaeger]", &[]);
        check("b3,b3,jaeger,b3", "[Single, Jaeger]", &[]);
        check("none", "[]", &[]);
        check("none,b3", "[Single]", &[]);
        check("xray,none", "[]", &["xray"]);
        check("", DEFAULT, &[]);
        check(" , ", DEFAULT, &[]);
        check("xray", DEFAULT, &["xray"]);
        check("B3,jaeger,xray,B3", "[Jaeger]", &["B3", "xray"]);
    }

    #[test]
    fn the_last_that_finds_something_is_believed() {
        let ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let w3c = format!("00-{ids}-00");
        let b3 = "11111111111111112222222222222222-3333333333333333-d";
        let headers = |b3| {
            vec![
                ("traceparent", w3c.clone()),
                ("tracestate", "a=1".to_owned()),
                ("baggage", "b=2".to_owned()),
                ("b3", String::from(b3)),
            ]
        };
        let read = |list, b3| Propagators::parse(list).0.extract(&headers(b3));
        let all = read("tracecontext,baggage,b3", b3);
        assert_eq!(all.trace().unwrap().span_id().get(), 0x3333333333333333);
        assert_eq!(
            (all.sampling(), all.tracestate().as_str()),
            (Sampling::Debug, "")
        );
        assert_eq!(all.baggage().as_str(), "b=2");
        let all = read("tracecontext,b3", "nonsense");
        assert_eq!(all.trace().unwrap().to_traceparent().as_str(), w3c);
        assert_eq!(
            (all.sampling(), all.tracestate().as_str()),
            (Sampling::NotSampled, "a=1")
        );
        assert!(all.baggage().is_empty());
        let all = read("b3,tracecontext", b3);
        assert_eq!(all.trace().unwrap().to_traceparent().as_str(), w3c);
        assert_eq!(
            (all.sampling(), all.tracestate().as_str()),
            (Sampling::NotSampled, "a=1")
        );
        assert!(read("none", b3).is_empty());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let headers = vec![
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            ),
            ("tracestate", "a=1,b=2"),
            ("baggage", "c=3;p"),
        ];
        let received = Propagators::default().extract(&headers);
        let other = [("TraceState", "stale"), ("host", "x")];
        let mut carrier = other
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Propagators::default().inject(&received, &mut carrier);
        assert_eq!(carrier.len(), 4);
        assert_eq!(Propagators::default().extract(&carrier), received);
        let before = carrier.clone();
        Propagators::none().inject(&received, &mut carrier);
        Propagators::default().inject(&Propagation::default(), &mut carrier);
        assert_eq!(carrier, before);
        let own = received.with_tracestate(Default::default());
        Propagators::default().inject(&own, &mut carrier);
        assert_eq!(carrier.len(), 3, "a tracestate of another span is removed");
    }
}
