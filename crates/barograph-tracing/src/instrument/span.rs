//! The span of a request or message, made with `tracing`.

use barograph_model::context::TraceContext;
use barograph_model::span::SpanLink;

use crate::trace::SpanExt;

/// The span of a request or message. It ends when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct OperationSpan(tracing::Span);

impl OperationSpan {
    /// Returns a disabled span.
    pub fn none() -> Self {
        OperationSpan(tracing::Span::none())
    }

    /// Enters the span on this thread until the guard is dropped.
    pub fn enter(&self) -> impl Sized + '_ {
        self.0.enter()
    }

    /// Returns true if a subscriber has enabled the span.
    pub fn is_on(&self) -> bool {
        !self.0.is_disabled()
    }

    /// Records a field with a text.
    pub fn text(&self, field: &'static str, value: &str) {
        self.0.record(field, value);
    }

    /// Records a field with a number.
    pub fn number(&self, field: &'static str, value: u64) {
        self.0.record(field, value);
    }

    /// Sets the status of the span to error, with this value of `error.type`.
    pub fn fail(&self, error: &str) {
        self.text("error.type", error);
        self.text("otel.status_code", "ERROR");
    }

    /// Links the span to another one.
    pub fn link(&self, other: TraceContext) {
        self.0.add_link(SpanLink::new(other));
    }
}

impl From<tracing::Span> for OperationSpan {
    fn from(span: tracing::Span) -> Self {
        OperationSpan(span)
    }
}

/// Returns the beginning of a text received from a peer: at most `LONGEST` bytes, cut between
/// characters.
pub fn bounded(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The maximum length, in bytes, of a received text that is recorded in a span.
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
