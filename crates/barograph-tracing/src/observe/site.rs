//! The site of an operation: its names, its callsite, its instrument.

use std::sync::OnceLock;

use barograph_core::{Histogram, registry};
use barograph_model::span::SpanKind;
use tracing::{Level, Span, Value};

use super::callsite::{Callsite, SourceLocation, Wanted};
use super::convention::Convention;
use super::instruments::Instruments;
use crate::log::OPERATIONS_TARGET;

/// The target of spans and events that have no source location of their own.
pub(super) const TARGET: &str = OPERATIONS_TARGET;

/// The static data of an operation. `#[observe]` makes a static of it.
#[expect(missing_debug_implementations, reason = "for the macros only")]
pub struct Site {
    /// The target of the operation, if the span is named after it.
    pub(super) subject: Option<&'static str>,
    pub(super) declared: Declaration,
    callsite: Callsite,
    /// The callsites of the log lines of failures by level, each created by the first line.
    failures: [OnceLock<&'static Callsite>; LEVELS],
    info: OnceLock<SiteInfo>,
    /// The histogram for successful operations in the registry of the process, if all its labels are
    /// known.
    histogram: OnceLock<Option<Histogram>>,
}

/// The description of an operation in the source.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// The part of the program that it belongs to.
    pub service: &'static str,
    /// The name of the operation.
    pub name: &'static str,
    /// The name of its span.
    pub span: &'static str,
    /// The target of its span.
    pub target: &'static str,
    /// The source file and line.
    pub place: Option<(&'static str, u32)>,
    /// The level of its span.
    pub level: Level,
    /// The level of the log line of a failure; none for no line.
    pub error_level: Option<Level>,
    /// The kind of its span.
    pub kind: SpanKind,
    /// The attributes with constant values.
    pub constants: &'static [(&'static str, &'static str)],
    /// The keys of the attributes that each call sets.
    pub keys: &'static [&'static str],
}

/// The data that is derived from a declaration.
pub(super) struct SiteInfo {
    pub(super) convention: Convention,
    /// The attributes that all its spans have.
    pub(super) constants: Vec<(&'static str, &'static str)>,
}

/// The number of levels.
const LEVELS: usize = 5;

/// The fields of the log line of a failure.
const OF_FAILURE: [&str; 5] = [
    "message",
    "operation.service",
    "operation.name",
    "error.type",
    "error",
];

/// The fields that are empty unless the operation fails.
const AT_END: [&str; 3] = ["error.type", "otel.status_code", "otel.status_description"];

impl Site {
    /// Creates a site.
    pub const fn new(declared: Declaration) -> Self {
        let (file, line) = declared.location();
        Site {
            subject: None,
            callsite: Callsite::new(SourceLocation {
                name: declared.span,
                target: declared.target,
                level: declared.level,
                is_event: false,
                file,
                line,
                module: declared.module(),
            }),
            failures: [const { OnceLock::new() }; LEVELS],
            declared,
            info: OnceLock::new(),
            histogram: OnceLock::new(),
        }
    }

    /// Creates the site of an operation on this target.
    pub(super) fn of(subject: Option<&'static str>, declared: Declaration) -> Self {
        Site {
            subject,
            ..Site::new(declared)
        }
    }

    pub(super) fn info(&self) -> &SiteInfo {
        self.info.get_or_init(|| self.declared.derive())
    }

    /// Creates a span with the values of its keys, in their order. None if no subscriber is interested.
    #[inline]
    pub(super) fn span(&'static self, values: &[&dyn Value]) -> Option<Span> {
        let wanted = self.callsite.wanted(|| {
            let constants = self.info().constants.iter().map(|(key, _)| *key);
            let keys = self.declared.keys.iter().copied();
            AT_END.into_iter().chain(constants).chain(keys).collect()
        });
        Some(self.make_span(wanted?, values))
    }

    #[inline(never)]
    fn make_span(&self, wanted: Wanted, values: &[&dyn Value]) -> Span {
        let constants = self.info().constants.iter();
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

    /// Emits the log line of a failure in the current span. The line has the source location of the
    /// operation, and a callsite of its own, so that its rate is limited apart from other operations.
    #[cold]
    pub(super) fn emit_failure(
        &'static self,
        level: Level,
        message: &dyn Value,
        error_type: &dyn Value,
        error: Option<&dyn Value>,
    ) {
        let declared = &self.declared;
        let callsite = self.failures[index(level)].get_or_init(|| {
            let (file, line) = declared.location();
            Box::leak(Box::new(Callsite::new(SourceLocation {
                name: declared.span,
                target: TARGET,
                level,
                is_event: true,
                file,
                line,
                module: declared.module(),
            })))
        });
        if let Some(wanted) = callsite.wanted(|| OF_FAILURE.to_vec()) {
            let (service, name) = (&declared.service as &dyn Value, &declared.name);
            let values = [
                Some(message),
                Some(service),
                Some(name),
                Some(error_type),
                error,
            ];
            wanted.event(None, values.into_iter());
        }
    }

    /// Returns the histogram for successes of this operation, in the registry of the process. None if
    /// some labels become known only at the end.
    #[inline]
    pub(super) fn histogram(
        &'static self,
        instruments: &Instruments,
    ) -> Option<&'static Histogram> {
        let histogram = registry::get_or_init(&self.histogram, || {
            let is_general = self.info().convention == Convention::General;
            let Declaration { service, name, .. } = self.declared;
            is_general
                .then(|| instruments.bind(service, name))
                .flatten()
        });
        histogram.as_ref()
    }
}

fn index(level: Level) -> usize {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

impl Declaration {
    const fn location(&self) -> (Option<&'static str>, Option<u32>) {
        match self.place {
            Some((file, line)) => (Some(file), Some(line)),
            None => (None, None),
        }
    }

    const fn module(&self) -> Option<&'static str> {
        match self.place {
            Some(_) => Some(self.target),
            None => None,
        }
    }

    fn derive(&self) -> SiteInfo {
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
        SiteInfo {
            convention,
            constants,
        }
    }
}
