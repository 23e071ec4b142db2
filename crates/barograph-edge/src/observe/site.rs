//! An operation that a program knows: its names, its callsite, its instrument.

use std::sync::OnceLock;

use barograph_core::histogram::Histogram;
use barograph_model::span::SpanKind;
use tracing::{Level, Span, Value};

use super::callsite::{Callsite, Place, Wanted};
use super::convention::Convention;
use super::instruments::Instruments;

/// The target of spans and events that are made without a place in the program of their own.
pub(super) const TARGET: &str = "barograph::observe";

/// An operation that a program knows. What `#[observe]` makes a static of.
pub struct Site {
    /// What it is done to, where its span is called by that.
    pub(super) subject: Option<&'static str>,
    pub(super) declared: Declaration,
    callsite: Callsite,
    known: OnceLock<Known>,
    /// The histogram of the process in which it ends well, where that has no other labels.
    histogram: OnceLock<Option<Histogram>>,
}

/// What is said about an operation where it is written.
#[derive(Clone, Copy)]
pub struct Declaration {
    /// The part of the program that it belongs to.
    pub service: &'static str,
    /// What is done.
    pub name: &'static str,
    /// The name of its span.
    pub span: &'static str,
    /// The target of its span.
    pub target: &'static str,
    /// Where it is written.
    pub place: Option<(&'static str, u32)>,
    /// The level of its span.
    pub level: Level,
    /// The level of the log line that tells of a failure; none for no line.
    pub error_level: Option<Level>,
    /// Its place between services.
    pub kind: SpanKind,
    /// Attributes that are always the same.
    pub constants: &'static [(&'static str, &'static str)],
    /// The keys of the attributes that each call gives.
    pub keys: &'static [&'static str],
}

/// What follows from that.
pub(super) struct Known {
    pub(super) convention: Convention,
    /// What all its spans say.
    pub(super) constants: Vec<(&'static str, &'static str)>,
}

/// The fields that are empty until an operation ends otherwise than well.
const AT_END: [&str; 3] = ["error.type", "otel.status_code", "otel.status_description"];

impl Site {
    /// A site.
    pub const fn new(declared: Declaration) -> Self {
        let (file, line) = match declared.place {
            Some((file, line)) => (Some(file), Some(line)),
            None => (None, None),
        };
        Site {
            subject: None,
            callsite: Callsite::new(Place {
                name: declared.span,
                target: declared.target,
                level: declared.level,
                is_event: false,
                file,
                line,
            }),
            declared,
            known: OnceLock::new(),
            histogram: OnceLock::new(),
        }
    }

    /// A site of an operation that is done to this.
    pub(super) fn of(subject: Option<&'static str>, declared: Declaration) -> Self {
        Site {
            subject,
            ..Site::new(declared)
        }
    }

    pub(super) fn known(&self) -> &Known {
        self.known.get_or_init(|| self.declared.know())
    }

    /// A span with the values of its keys, in their order. None where nobody wants it.
    #[inline]
    pub(super) fn span(&'static self, values: &[&dyn Value]) -> Option<Span> {
        let wanted = self.callsite.wanted(|| {
            let constants = self.known().constants.iter().map(|(key, _)| *key);
            let keys = self.declared.keys.iter().copied();
            AT_END.into_iter().chain(constants).chain(keys).collect()
        });
        Some(self.make_span(wanted?, values))
    }

    #[inline(never)]
    fn make_span(&self, wanted: Wanted, values: &[&dyn Value]) -> Span {
        let constants = self.known().constants.iter();
        let constants = constants.map(|(_, value)| Some(value as &dyn Value));
        let values = values.iter().map(|value| Some(*value));
        wanted.span(
            AT_END
                .map(|_| None)
                .into_iter()
                .chain(constants)
                .chain(values),
        )
    }

    /// The histogram that this operation is counted in when it ends well, in the registry of the
    /// process. None where the labels are known only then.
    #[inline]
    pub(super) fn histogram(&self, instruments: &Instruments) -> Option<&Histogram> {
        let histogram = self.histogram.get_or_init(|| {
            let is_general = self.known().convention == Convention::General;
            let Declaration { service, name, .. } = self.declared;
            is_general
                .then(|| instruments.bind(service, name))
                .flatten()
        });
        histogram.as_ref()
    }
}

impl Declaration {
    fn know(&self) -> Known {
        let given: Vec<&str> = self
            .constants
            .iter()
            .map(|(key, _)| *key)
            .chain(self.keys.iter().copied())
            .collect();
        let convention = Convention::of(self.kind, &given);
        let mut constants = Vec::new();
        if self.kind != SpanKind::Internal {
            constants.push(("otel.kind", self.kind.as_str()));
        }
        let (service, name) = (self.service, self.name);
        let implied: &[_] = match convention {
            Convention::General => &[("operation.service", service), ("operation.name", name)],
            Convention::Database => &[("db.operation.name", name)],
            Convention::MessagingClient | Convention::MessagingProcess => {
                &[("messaging.operation.name", name)]
            }
        };
        let implied = implied.iter().filter(|(key, _)| !given.contains(key));
        constants.extend(implied.copied());
        constants.extend(self.constants);
        Known {
            convention,
            constants,
        }
    }
}
