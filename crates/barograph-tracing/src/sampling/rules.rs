//! Sampling by name, kind and attributes of a span.

use barograph_model::span::SpanKind;
use barograph_model::value::{AnyValue, Attribute, Text};

use super::always::AlwaysOn;
use super::pattern::Pattern;
use super::sampler::{Sampler, SamplingResult, SpanStart};

/// Delegates to the sampler of the first rule that matches.
///
/// Used as the root of [`ParentBased`](super::ParentBased), it decides about traces by their root span.
/// Rules see the data that is known when a span starts.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::sampling::{AlwaysOff, ParentBased, Probability, Rule, Rules};
/// let rules = Rules::new()
///     .with_rule(Rule::new().with_route("/health*"), AlwaysOff)
///     .with_rule(Rule::new().with_attribute("user.tier", "gold"), Probability::new(1.0)?)
///     .with_rule(Rule::new(), Probability::new(0.05)?);
/// let sampler = ParentBased::new(rules);
/// # Ok::<(), barograph::sampling::InvalidRatio>(())
/// ```
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<(Rule, Box<dyn Sampler>)>,
}

impl Rules {
    /// Creates a sampler without rules. A span that matches no rule is sampled.
    pub fn new() -> Self {
        Rules::default()
    }

    /// Adds a sampler for the spans that match this rule and none of the earlier ones.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule, sampler: impl Sampler + 'static) -> Self {
        self.rules.push((rule, Box::new(sampler)));
        self
    }
}

impl Sampler for Rules {
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
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

/// The conditions of a rule. A rule without conditions matches every span.
///
/// In patterns `*` matches any text, including the empty text, and `?` matches one character.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    names: Vec<Pattern>,
    kind: Option<SpanKind>,
    attributes: Vec<(Text, Value)>,
}

/// The condition for the value of an attribute.
#[derive(Clone, Debug)]
enum Value {
    Exactly(AnyValue),
    /// The text form of the value matches.
    Like(Pattern),
}

impl Rule {
    /// Creates a rule that matches every span.
    pub fn new() -> Self {
        Rule::default()
    }

    /// Requires that the name matches a pattern: `GET /orders/*`.
    #[must_use]
    pub fn with_name(mut self, pattern: &str) -> Self {
        self.names.push(Pattern::new(pattern));
        self
    }

    /// Requires that the route matches a pattern: `/orders/*`. The route is the attribute
    /// `http.route`.
    #[must_use]
    pub fn with_route(self, pattern: &str) -> Self {
        self.with_attribute_like("http.route", pattern)
    }

    /// Requires this kind of span.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Requires an attribute with this value.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<Text>, value: impl Into<AnyValue>) -> Self {
        let value = Value::Exactly(value.into());
        self.attributes.push((key.into(), value));
        self
    }

    /// Requires an attribute whose value matches a pattern. Numbers and booleans are matched in
    /// their text form.
    #[must_use]
    pub fn with_attribute_like(mut self, key: impl Into<Text>, pattern: &str) -> Self {
        let value = Value::Like(Pattern::new(pattern));
        self.attributes.push((key.into(), value));
        self
    }

    /// Returns true if a span with this name, kind and attributes matches.
    /// Returns true if the rule has no conditions.
    pub(super) fn fits_all(&self) -> bool {
        self.kind.is_none() && self.names.is_empty() && self.attributes.is_empty()
    }

    pub(super) fn fits(&self, name: &str, kind: SpanKind, attributes: &[Attribute]) -> bool {
        let fits = |(key, value): &(Text, Value)| {
            let found = attributes.iter().find(|attribute| attribute.key == *key);
            found.is_some_and(|attribute| value.fits(&attribute.value))
        };
        self.kind.is_none_or(|wanted| wanted == kind)
            && self.names.iter().all(|names| names.fits(name))
            && self.attributes.iter().all(fits)
    }

    /// Formats the conditions in the syntax of the environment variable, see
    /// [`configured`](super::configured).
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
