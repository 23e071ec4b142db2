//! Filters of spans and events by target and level, changed while the service runs.
//!
//! Each output has a filter of its own (`layer.with_filter(filter)`), so that fewer lines on the
//! terminal do not make traces thinner: `RUST_LOG=warn` belongs to the terminal's filter, and the
//! spans of requests stay for the others.
//!
//! Why not `EnvFilter`? A crate that turns on the feature `env-filter` of tracing-subscriber turns it on for
//! the whole build, and `tracing_subscriber::fmt::init()` of a service shows errors only from then on. Who
//! needs directives by span or field puts `EnvFilter` on the layer himself.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{self, Context};

/// The filter of one output, by directives as in `RUST_LOG`, each a level, a target or `target=level`:
/// `info,hyper=warn`.
///
/// The most specific directive for a target counts, and where there is none nothing is let through.
/// A target without a level lets all levels through; no directive at all, errors. Directives by span or
/// field, such as `[request{id=7}]=trace`, are not supported.
///
/// ```
/// use barograph_edge::filter::Filter;
/// use tracing::level_filters::LevelFilter;
/// let filter: Filter = "warn,my_service=debug".parse()?;
/// let handle = filter.handle();
/// handle.set("warn,my_service=trace")?;
/// handle.set_level(LevelFilter::INFO);
/// assert_eq!(handle.directives(), "info");
/// # Ok::<(), barograph_edge::filter::InvalidFilter>(())
/// ```
#[derive(Debug)]
pub struct Filter {
    shared: Arc<Shared>,
}

impl Filter {
    /// Everything up to this level.
    pub fn level(level: LevelFilter) -> Self {
        Filter {
            shared: Arc::new(Shared {
                kind: AtomicUsize::new(Kind::Level(level).encode()),
                targets: RwLock::new(level_alone(level)),
            }),
        }
    }

    /// Changes this filter later.
    pub fn handle(&self) -> LevelHandle {
        LevelHandle {
            shared: self.shared.clone(),
        }
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(directives: &str) -> Result<Self, InvalidFilter> {
        let filter = Filter::level(LevelFilter::OFF);
        let (targets, kind) = parse(directives)?;
        filter.shared.set(targets, kind);
        Ok(filter)
    }
}

/// Changes a filter while the service runs. Clones change the same one.
#[derive(Clone, Debug)]
pub struct LevelHandle {
    shared: Arc<Shared>,
}

impl LevelHandle {
    /// Puts other directives in place of those that hold.
    ///
    /// Spans that were filtered out when they began do not come back.
    ///
    /// # Errors
    /// [`InvalidFilter`], and nothing has changed.
    pub fn set(&self, directives: &str) -> Result<(), InvalidFilter> {
        let (targets, kind) = parse(directives)?;
        self.shared.set(targets, kind);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Puts a level in place of the directives that hold.
    pub fn set_level(&self, level: LevelFilter) {
        self.shared.set(level_alone(level), Kind::Level(level));
        tracing::callsite::rebuild_interest_cache();
    }

    /// The directives that hold.
    pub fn directives(&self) -> String {
        self.shared.read(Targets::to_string)
    }
}

/// Text that is no filter.
#[derive(Debug)]
pub struct InvalidFilter {
    directives: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unsupported,
    Unparsable(tracing_subscriber::filter::ParseError),
}

impl InvalidFilter {
    /// Says what a filter has to be.
    pub fn expected(&self) -> &'static str {
        match self.reason {
            Reason::Unsupported => {
                "directives such as info,hyper=warn; those by span or field are not supported"
            }
            Reason::Unparsable(_) => "directives such as info,hyper=warn",
        }
    }
}

impl fmt::Display for InvalidFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directives, expected) = (&self.directives, self.expected());
        write!(f, "invalid filter {directives:?}: expected {expected}")
    }
}

impl Error for InvalidFilter {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unsupported => None,
            Reason::Unparsable(source) => Some(source),
        }
    }
}

#[derive(Debug)]
struct Shared {
    /// The kind, so that the lock is left alone where it says enough.
    kind: AtomicUsize,
    targets: RwLock<Targets>,
}

impl Shared {
    fn set(&self, targets: Targets, kind: Kind) {
        let held = self.targets.write();
        *held.unwrap_or_else(PoisonError::into_inner) = targets;
        // Whoever still sees the other kind decides as a moment before.
        self.kind.store(kind.encode(), Ordering::Relaxed);
    }

    fn read<T>(&self, f: impl FnOnce(&Targets) -> T) -> T {
        let held = self.targets.read();
        f(&held.unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn kind(&self) -> Kind {
        Kind::decode(self.kind.load(Ordering::Relaxed))
    }
}

/// What a filter has to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The level alone.
    Level(LevelFilter),
    /// Targets too.
    Targets,
}

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

impl Kind {
    #[inline]
    fn decode(number: usize) -> Self {
        match LEVELS.get(number) {
            Some(level) => Kind::Level(*level),
            None => Kind::Targets,
        }
    }

    fn encode(self) -> usize {
        let level = |level| LEVELS.iter().position(|other| *other == level);
        match self {
            // A level that is not known is left to the directives.
            Kind::Level(of) => level(of).unwrap_or(LEVELS.len()),
            Kind::Targets => LEVELS.len(),
        }
    }
}

/// The directives, and what they have to look at.
fn parse(directives: &str) -> Result<(Targets, Kind), InvalidFilter> {
    let invalid = |reason| InvalidFilter {
        directives: directives.to_owned(),
        reason,
    };
    if directives.contains(['[', ']', '{', '}']) {
        return Err(invalid(Reason::Unsupported));
    }
    // Without the blank ones, which the parser takes for the level ERROR.
    let written = directives.split(',').map(str::trim);
    let written: Vec<_> = written.filter(|directive| !directive.is_empty()).collect();
    let targets = written.join(",").parse();
    let targets: Targets = targets.map_err(|source| invalid(Reason::Unparsable(source)))?;
    let kind = match (targets.default_level(), targets.iter().next()) {
        (Some(level), None) => Kind::Level(level),
        _ => Kind::Targets,
    };
    Ok((targets, kind))
}

fn level_alone(level: LevelFilter) -> Targets {
    Targets::new().with_default(level)
}

impl<S: Subscriber> layer::Filter<S> for Filter {
    #[inline]
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        match self.shared.kind() {
            Kind::Level(level) => *metadata.level() <= level,
            Kind::Targets => self
                .shared
                .read(|targets| layer::Filter::enabled(targets, metadata, context)),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.shared
            .read(|targets| layer::Filter::<S>::callsite_enabled(targets, metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.shared.read(layer::Filter::<S>::max_level_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tracing_subscriber::Registry;

    #[test]
    fn what_is_no_filter_is_shown() {
        let error = "info,a=b=c".parse::<Filter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid filter \"info,a=b=c\": expected directives such as info,hyper=warn"
        );
        assert!(error.source().is_some());
    }

    #[test]
    fn directives_by_span_or_field_are_refused() {
        for directives in [
            "info,[request{id=7}]=trace",
            "[request]",
            "shop[{id}]=debug",
            "a}=info",
        ] {
            let error = directives.parse::<Filter>().unwrap_err();
            assert!(error.to_string().contains("not supported"), "{error}");
        }
    }

    #[test]
    fn blank_directives_and_blanks_around_them_are_nothing() {
        for directives in [
            "info,hyper=warn,",
            " info , hyper=warn",
            ",,info,,hyper=warn",
        ] {
            let filter: Filter = directives.parse().unwrap();
            assert_eq!(filter.handle().directives(), "hyper=warn,info");
        }
        let filter: Filter = "s\u{fc}d=info".parse().unwrap();
        assert_eq!(filter.handle().directives(), "s\u{fc}d=info");
    }

    #[test]
    fn the_lock_is_left_alone_where_the_kind_says_enough() {
        for (directives, kind) in [
            ("info", Kind::Level(LevelFilter::INFO)),
            (" WARN ", Kind::Level(LevelFilter::WARN)),
            ("off", Kind::Level(LevelFilter::OFF)),
            ("0", Kind::Level(LevelFilter::OFF)),
            // Nothing asked for is errors alone, as it is of `RUST_LOG`.
            ("", Kind::Level(LevelFilter::ERROR)),
            ("info,hyper=warn", Kind::Targets),
            ("hyper", Kind::Targets),
        ] {
            let filter: Filter = directives.parse().unwrap();
            assert_eq!(filter.shared.kind(), kind, "{directives}");
        }
    }

    #[test]
    fn the_most_verbose_level_is_the_hint() {
        for (directives, level) in [
            ("", LevelFilter::ERROR),
            ("off", LevelFilter::OFF),
            ("warn,shop=debug", LevelFilter::DEBUG),
            ("shop", LevelFilter::TRACE),
        ] {
            let filter: Filter = directives.parse().unwrap();
            let hint = layer::Filter::<Registry>::max_level_hint(&filter);
            assert_eq!(hint, Some(level), "{directives}");
        }
    }
}
