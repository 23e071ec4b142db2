//! Names of labels and of label values, with their position in the source.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Error, Ident, LitStr, Result};

use crate::report;

/// A name and its position in the source.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl From<&Ident> for Name {
    fn from(ident: &Ident) -> Self {
        Name {
            text: ident.unraw().to_string(),
            span: ident.span(),
        }
    }
}

impl From<&LitStr> for Name {
    fn from(literal: &LitStr) -> Self {
        Name {
            text: literal.value(),
            span: literal.span(),
        }
    }
}

impl Name {
    /// Refuses names that no label can have.
    pub(crate) fn check_label(&self) -> Result<()> {
        let refused = match self.text.as_str() {
            "" => "the name of a label is empty, expected at least one character".to_owned(),
            "le" => "label name `le` is reserved for the buckets of histograms, \
                     expected another name"
                .to_owned(),
            "quantile" => "label name `quantile` is reserved for summaries, \
                           expected another name"
                .to_owned(),
            text if text.starts_with("__") => format!(
                "label name `{text}` is reserved, expected a name that does not start with `__`"
            ),
            _ => return Ok(()),
        };
        Err(Error::new(self.span, refused))
    }

    /// Converts the name of a variant to snake case, as it is written in a label.
    pub(crate) fn snake_case(self) -> Self {
        Name {
            text: snake_case(&self.text),
            span: self.span,
        }
    }
}

/// Refuses duplicate names, each at its later position; `what` says what they are the names of.
pub(crate) fn check_distinct<'a>(
    what: &str,
    names: impl IntoIterator<Item = &'a Name>,
) -> Result<()> {
    let mut first: HashMap<&str, Span> = HashMap::new();
    report::all(names.into_iter().map(|name| {
        let Some(&before) = first.get(name.text.as_str()) else {
            first.insert(&name.text, name.span);
            return Ok(());
        };
        let text = &name.text;
        let message = format!("{what} `{text}` is given twice, expected distinct names");
        let mut error = Error::new(name.span, message);
        error.combine(Error::new(before, format!("`{text}` is given here first")));
        Err(error)
    }))
    .map(drop)
}

/// Converts `PhoneCall` to `phone_call`, `HTTPServer` to `http_server`, `Http2` to `http2`.
fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    let mut before: Option<char> = None;
    let mut chars = camel.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_uppercase() {
            let word_ended = before.is_some_and(|b| b.is_lowercase() || b.is_numeric());
            let acronym_ended = before.is_some_and(char::is_uppercase)
                && chars.peek().is_some_and(|next| next.is_lowercase());
            if word_ended || acronym_ended {
                snake.push('_');
            }
        }
        snake.extend(c.to_lowercase());
        before = Some(c);
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name {
            text: text.to_owned(),
            span: Span::call_site(),
        }
    }

    #[test]
    fn variants_become_snake_case() {
        for (camel, snake) in [
            ("Web", "web"),
            ("PhoneCall", "phone_call"),
            ("HTTPServer", "http_server"),
            ("GET", "get"),
            ("Http2", "http2"),
            ("V1Beta", "v1_beta"),
            ("Already_Split", "already_split"),
            ("ÜberGroß", "über_groß"),
            ("A", "a"),
        ] {
            assert_eq!(snake_case(camel), snake, "{camel}");
        }
    }

    #[test]
    fn reserved_and_empty_label_names_are_refused() {
        for refused in ["", "le", "quantile", "__name__", "__"] {
            assert!(name(refused).check_label().is_err(), "{refused}");
        }
        for accepted in ["kind", "http.route", "level", "_", "_le", "Le", "größe"] {
            assert!(name(accepted).check_label().is_ok(), "{accepted}");
        }
    }

    #[test]
    fn each_later_name_is_reported_with_the_first() {
        let names = ["a", "b", "a", "a"].map(name);
        let error = check_distinct("label", &names).unwrap_err();
        assert_eq!(error.into_iter().count(), 4);
        assert!(check_distinct("label", &names[..2]).is_ok());
    }
}
