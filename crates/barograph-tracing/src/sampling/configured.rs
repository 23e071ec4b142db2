//! Samplers from `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

use std::fmt;
use std::sync::Arc;

use barograph_model::span::SpanKind;

use super::always::{AlwaysOff, AlwaysOn};
use super::bucket::EXPECTED_RATE;
use super::parent::ParentBased;
use super::probability::Probability;
use super::rate::RateLimited;
use super::ratio::TraceIdRatio;
use super::rules::{Rule, Rules};
use super::sampler::Sampler;

/// Returns the sampler for the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, and
/// the values that are ignored because they are invalid.
///
/// | sampler | argument |
/// |---|---|
/// | `always_on`, `always_off` | none |
/// | `traceidratio` | a ratio from 0 to 1; 1 by default |
/// | `probability` | the same, for [`Probability`] |
/// | `ratelimited` | spans per second; 100 by default |
/// | `rules` | rules, see below |
///
/// Each name may have the prefix `parentbased_`, which makes the sampler the root of
/// [`ParentBased`]; the default is `parentbased_always_on`. The last three samplers are extensions:
/// OpenTelemetry defines no names for them.
///
/// Rules are separated by semicolons, and the first rule that matches applies: `route:/health*=0;
/// kind:consumer&messaging.system:kafka=5/s; name:GET /admin/*=1; *=0.05`. On the left of the last
/// `=` are conditions joined by `&`: `name`, `route`, `kind` or the key of an attribute, each with
/// a colon and a pattern; or `*` for every span. On the right is a ratio from 0 to 1, for
/// [`Probability`], or a number of spans per second. A span that matches no rule is sampled.
///
/// An invalid argument is ignored as a whole, as if it were unset.
///
/// Source: OpenTelemetry 1.60, "Environment variable specification".
///
/// ```
/// use barograph_tracing::sampling::{Sampler, configured};
/// let (sampler, ignored) = configured(Some("traceidratio"), Some("1 %"));
/// assert_eq!(sampler.description(), "TraceIdRatioBased{1}");
/// assert_eq!(
///     ignored[0].to_string(),
///     "OTEL_TRACES_SAMPLER_ARG=\"1 %\" is ignored, expected a number from 0 to 1"
/// );
/// ```
pub fn configured(
    sampler: Option<&str>,
    argument: Option<&str>,
) -> (Arc<dyn Sampler>, Vec<Ignored>) {
    let clean = |value: Option<&str>| {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    };
    let (sampler, argument) = (clean(sampler), clean(argument));
    let mut ignored = Vec::new();
    let Some(name) = sampler else {
        // An argument without a sampler is ignored.
        ignored
            .extend(argument.map(|value| Ignored::argument(value, "OTEL_TRACES_SAMPLER with it")));
        return (Arc::new(ParentBased::default()), ignored);
    };
    let lower = name.to_ascii_lowercase();
    let (is_parent_based, word) = match lower.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, &*lower),
    };
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == word) else {
        ignored.push(Ignored {
            variable: SAMPLER,
            value: name,
            expected: "always_on, always_off, traceidratio, probability, ratelimited or rules, \
                       alone or after parentbased_",
        });
        // The argument of an unknown sampler does not apply to the default sampler.
        return (Arc::new(ParentBased::default()), ignored);
    };
    let root = argument.and_then(|argument| {
        let root = kind.sampler(&argument);
        if root.is_none() {
            ignored.push(Ignored::argument(argument, kind.expected()));
        }
        root
    });
    let root = root.unwrap_or_else(|| kind.without_argument());
    match is_parent_based {
        true => (Arc::new(ParentBased::new(root)), ignored),
        false => (root.into(), ignored),
    }
}

/// A value of an environment variable that is invalid and treated as unset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The name of the variable.
    pub variable: &'static str,
    /// The invalid value.
    pub value: String,
    /// A description of the valid values.
    pub expected: &'static str,
}

impl Ignored {
    fn argument(value: String, expected: &'static str) -> Self {
        Ignored {
            variable: ARGUMENT,
            value,
            expected,
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ignored {
            variable,
            value,
            expected,
        } = self;
        write!(f, "{variable}={value:?} is ignored, expected {expected}")
    }
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The samplers that have a name.
#[derive(Clone, Copy)]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    TraceIdRatio,
    Probability,
    RateLimited,
    Rules,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::AlwaysOn,
        Kind::AlwaysOff,
        Kind::TraceIdRatio,
        Kind::Probability,
        Kind::RateLimited,
        Kind::Rules,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::AlwaysOn => "always_on",
            Kind::AlwaysOff => "always_off",
            Kind::TraceIdRatio => "traceidratio",
            Kind::Probability => "probability",
            Kind::RateLimited => "ratelimited",
            Kind::Rules => "rules",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Kind::AlwaysOn | Kind::AlwaysOff => "no argument for this sampler",
            Kind::TraceIdRatio | Kind::Probability => "a number from 0 to 1",
            Kind::RateLimited => EXPECTED_RATE,
            Kind::Rules => "rules like route:/health*=0;kind:consumer=5/s;*=0.05",
        }
    }

    fn without_argument(self) -> Box<dyn Sampler> {
        let sampler = match self {
            Kind::AlwaysOff => Some(Box::new(AlwaysOff) as Box<dyn Sampler>),
            Kind::TraceIdRatio | Kind::Probability => self.sampler("1"),
            Kind::RateLimited => self.sampler("100"),
            Kind::AlwaysOn | Kind::Rules => None,
        };
        sampler.unwrap_or_else(|| Box::new(AlwaysOn))
    }

    fn sampler(self, argument: &str) -> Option<Box<dyn Sampler>> {
        Some(match self {
            Kind::AlwaysOn | Kind::AlwaysOff => return None,
            Kind::TraceIdRatio => Box::new(TraceIdRatio::new(argument.parse().ok()?).ok()?),
            Kind::Probability => Box::new(Probability::new(argument.parse().ok()?).ok()?),
            Kind::RateLimited => Box::new(RateLimited::new(argument.parse().ok()?).ok()?),
            Kind::Rules => Box::new(rules(argument)?),
        })
    }
}

fn rules(argument: &str) -> Option<Rules> {
    let all = argument.split(';').map(str::trim);
    let mut all = all.filter(|rule| !rule.is_empty()).peekable();
    all.peek()?;
    all.try_fold(Rules::new(), |rules, text| {
        let (conditions, to) = text.rsplit_once('=')?;
        let rule = rule(conditions.trim())?;
        Some(match to.trim().strip_suffix("/s") {
            Some(rate) => rules.with_rule(rule, RateLimited::new(rate.trim().parse().ok()?).ok()?),
            None => rules.with_rule(rule, Probability::new(to.trim().parse().ok()?).ok()?),
        })
    })
}

fn rule(conditions: &str) -> Option<Rule> {
    if conditions == "*" {
        return Some(Rule::new());
    }
    conditions
        .split('&')
        .try_fold(Rule::new(), |rule, condition| {
            let (key, pattern) = condition.split_once(':')?;
            let (key, pattern) = (key.trim(), pattern.trim());
            match key {
                "" => None,
                "name" => Some(rule.with_name(pattern)),
                "route" => Some(rule.with_route(pattern)),
                "kind" => Some(rule.with_kind(SpanKind::from_name(pattern)?)),
                key => Some(rule.with_attribute_like(key.to_owned(), pattern)),
            }
        })
}
