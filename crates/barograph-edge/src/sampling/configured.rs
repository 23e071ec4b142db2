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

/// The sampler that the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` ask for, and
/// what of them is ignored.
///
/// | sampler | argument |
/// |---|---|
/// | `always_on`, `always_off` | none |
/// | `traceidratio` | a share from 0 to 1, 1 where it is missing |
/// | `probability` | the same, for [`Probability`] |
/// | `ratelimited` | spans a second, 100 where it is missing |
/// | `rules` | rules, see below |
///
/// Each of them may stand after `parentbased_`, which makes it the root of [`ParentBased`]; the default
/// is `parentbased_always_on`. The last three are ours: OpenTelemetry has no names for them.
///
/// Rules stand between semicolons, and the first that fits counts: `route:/health*=0;
/// kind:consumer&messaging.system:kafka=5/s; name:GET /admin/*=1; *=0.05`. Left of the last `=` are
/// conditions between `&`: `name`, `route` or `kind`, or the key of an attribute, each with a pattern
/// after the colon; or `*` for every span. Right of it is a share from 0 to 1, for [`Probability`], or
/// a number of spans a second. What no rule fits is sampled.
///
/// An argument that makes no sense counts as missing, whole.
///
/// Source: OpenTelemetry 1.60, "Environment variable specification".
///
/// ```
/// use barograph_edge::sampling::{Sampler, configured};
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
        // The argument of a sampler that was not chosen is nobody's.
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
        // Whatever the argument is, it is not meant for the default.
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

/// A variable that makes no sense, and is as good as not set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Its name.
    pub variable: &'static str,
    /// What it is set to.
    pub value: String,
    /// What it might be set to.
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

/// What can be asked for by name.
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
