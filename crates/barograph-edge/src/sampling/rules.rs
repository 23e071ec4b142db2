//! Sampling by what a span is.

use barograph_model::span::SpanKind;
use barograph_model::value::{AnyValue, Attribute, Text};

use super::always::AlwaysOn;
use super::pattern::Pattern;
use super::sampler::{Sampler, SpanStart, Verdict};

/// Asks the sampler of the first rule that fits.
///
/// As the root of [`ParentBased`](super::ParentBased) it decides about traces by the span that begins
/// them. Rules see what is known when a span starts.
///
/// ```
/// use barograph_edge::sampling::{AlwaysOff, ParentBased, Probability, Rule, Rules};
/// let rules = Rules::new()
///     .with_rule(Rule::new().with_route("/health*"), AlwaysOff)
///     .with_rule(Rule::new().with_attribute("user.tier", "gold"), Probability::new(1.0)?)
///     .with_rule(Rule::new(), Probability::new(0.05)?);
/// let sampler = ParentBased::new(rules);
/// # Ok::<(), barograph_edge::sampling::InvalidRatio>(())
/// ```
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<(Rule, Box<dyn Sampler>)>,
}

impl Rules {
    /// No rules. What none fits is sampled.
    pub fn new() -> Self {
        Rules::default()
    }

    /// Asks a sampler about what fits the rule, and none of those before.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule, sampler: impl Sampler + 'static) -> Self {
        self.rules.push((rule, Box::new(sampler)));
        self
    }
}

impl Sampler for Rules {
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
        let fits = |rule: &Rule| rule.fits(span.name, span.kind, span.attributes);
        match self.rules.iter().find(|(rule, _)| fits(rule)) {
            Some((_, sampler)) => sampler.sample(span),
            None => AlwaysOn.sample(span),
        }
    }

    fn needs_attributes(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|(rule, sampler)| !rule.attributes.is_empty() || sampler.needs_attributes())
    }

    fn description(&self) -> String {
        let rules = self.rules.iter();
        let rules = rules.map(|(rule, to)| format!("{}={}", rule.description(), to.description()));
        format!("Rules{{{}}}", rules.collect::<Vec<_>>().join(";"))
    }
}

/// What a span has to be for a rule to fit. Without conditions it fits all.
///
/// In patterns `*` stands for any text, none too, and `?` for one character.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    names: Vec<Pattern>,
    kind: Option<SpanKind>,
    attributes: Vec<(Text, Value)>,
}

/// What an attribute has to be.
#[derive(Clone, Debug)]
enum Value {
    Exactly(AnyValue),
    /// A text that fits.
    Like(Pattern),
}

impl Rule {
    /// A rule that fits every span.
    pub fn new() -> Self {
        Rule::default()
    }

    /// Only spans whose name fits a pattern: `GET /orders/*`.
    #[must_use]
    pub fn with_name(mut self, pattern: &str) -> Self {
        self.names.push(Pattern::new(pattern));
        self
    }

    /// Only requests whose route fits a pattern: `/orders/*`. It is the attribute `http.route`.
    #[must_use]
    pub fn with_route(self, pattern: &str) -> Self {
        self.with_attribute_like("http.route", pattern)
    }

    /// Only spans of a kind.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only spans with an attribute of this value.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<Text>, value: impl Into<AnyValue>) -> Self {
        let value = Value::Exactly(value.into());
        self.attributes.push((key.into(), value));
        self
    }

    /// Only spans with an attribute that fits a pattern. Numbers and truth values are taken as they
    /// are written.
    #[must_use]
    pub fn with_attribute_like(mut self, key: impl Into<Text>, pattern: &str) -> Self {
        let value = Value::Like(Pattern::new(pattern));
        self.attributes.push((key.into(), value));
        self
    }

    /// Whether a span with this name, kind and attributes fits.
    pub(super) fn fits(&self, name: &str, kind: SpanKind, attributes: &[Attribute]) -> bool {
        let fits = |(key, value): &(Text, Value)| {
            let found = attributes.iter().find(|attribute| attribute.key == *key);
            found.is_some_and(|attribute| value.fits(&attribute.value))
        };
        self.kind.is_none_or(|wanted| wanted == kind)
            && self.names.iter().all(|names| names.fits(name))
            && self.attributes.iter().all(fits)
    }

    /// The conditions in the words of the environment, see [`configured`](super::configured).
    fn description(&self) -> String {
        let names = self.names.iter();
        let names = names.map(|pattern| format!("name:{}", pattern.as_str()));
        let kind = self.kind.map(|kind| format!("kind:{}", kind.as_str()));
        let attributes = self.attributes.iter().map(|(key, value)| match value {
            Value::Exactly(value) => format!("{key}:{value:?}"),
            Value::Like(pattern) => format!("{key}:{}", pattern.as_str()),
        });
        let all: Vec<String> = names.chain(kind).chain(attributes).collect();
        if all.is_empty() {
            "*".to_owned()
        } else {
            all.join("&")
        }
    }
}

impl Value {
    fn fits(&self, found: &AnyValue) -> bool {
        match (self, found) {
            (Value::Exactly(wanted), found) => wanted == found,
            (Value::Like(pattern), AnyValue::Str(text)) => pattern.fits(text),
            (Value::Like(pattern), AnyValue::Bool(true)) => pattern.fits("true"),
            (Value::Like(pattern), AnyValue::Bool(false)) => pattern.fits("false"),
            (Value::Like(pattern), AnyValue::I64(number)) => pattern.fits(&number.to_string()),
            (Value::Like(pattern), AnyValue::F64(number)) => pattern.fits(&number.to_string()),
            (Value::Like(_), _) => false,
        }
    }
}
