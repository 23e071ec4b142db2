//! The span of a request, made with `tracing`.

use barograph_model::context::TraceContext;
use barograph_model::span::SpanLink;

use crate::trace::SpanExt;

/// The span of a request. It ends when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Span(tracing::Span);

impl Span {
    /// No span.
    pub(crate) fn none() -> Self {
        Span(tracing::Span::none())
    }

    /// Makes it the span of this thread until the guard is dropped.
    pub(crate) fn enter(&self) -> impl Sized + '_ {
        self.0.enter()
    }

    /// Whether anybody wants it.
    pub(crate) fn is_on(&self) -> bool {
        !self.0.is_disabled()
    }

    pub(crate) fn text(&self, field: &'static str, value: &str) {
        self.0.record(field, value);
    }

    pub(crate) fn number(&self, field: &'static str, value: u64) {
        self.0.record(field, value);
    }

    /// It ends with an error of this type.
    pub(crate) fn fail(&self, error: &str) {
        self.text("error.type", error);
        self.text("otel.status_code", "ERROR");
    }

    /// It has to do with another span.
    pub(crate) fn link(&self, other: TraceContext) {
        self.0.add_link(SpanLink::new(other));
    }
}

impl From<tracing::Span> for Span {
    fn from(span: tracing::Span) -> Self {
        Span(span)
    }
}

/// The beginning of a text that somebody has sent: all of it, unless it is of absurd length.
pub(crate) fn bounded(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The most bytes of one piece of text that a span keeps of what somebody has sent.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_text_is_cut_between_characters() {
        assert_eq!(bounded("/orders"), "/orders");
        let long = format!("{}ä", "a".repeat(LONGEST - 1));
        assert_eq!(bounded(&long).len(), LONGEST - 1);
    }
}
