//! Filters of spans and events by target and level, which can be changed at run time.
//!
//! Each output has a separate filter, so that fewer lines on the terminal do not mean fewer spans in
//! traces: `RUST_LOG=warn` applies to the terminal's filter, and the spans of requests are still
//! recorded for the other outputs. There are two ways to put a [`Filter`] on a layer:
//!
//! * `layer.with_filter(filter)` of `tracing_subscriber`, beside layers of other crates.
//! * `layer.with_own_filter(filter)` of the layers of this crate, in a subscriber without other layers,
//!   or for a layer that is added to a subscriber in use. It costs less, because the registry does not
//!   have to be asked at each event which layers see a span. [`AnyFilter`] then disables what no
//!   output wants.
//!
//! Why not `EnvFilter`? A crate that enables the feature `env-filter` of tracing-subscriber enables
//! it for the whole build, and from then on `tracing_subscriber::fmt::init()` of a service shows
//! errors only. A service that needs directives by span or field can put `EnvFilter` on the layer
//! itself.

mod any;
mod decisions;

pub use self::any::AnyFilter;

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{self, Context};

use self::decisions::Decisions;

/// The filter of one output, given by directives as in `RUST_LOG`, each a level, a target or
/// `target=level`: `info,hyper=warn`.
///
/// The most specific directive for a target applies; a target without a matching directive is
/// filtered out. A directive without a level enables all levels of its target; an empty list of
/// directives enables errors only. Directives by span or field, such as `[request{id=7}]=trace`,
/// are not supported. Clones share the directives.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::filter::Filter;
/// use tracing::level_filters::LevelFilter;
/// let filter: Filter = "warn,my_service=debug".parse()?;
/// let handle = filter.handle();
/// handle.set("warn,my_service=trace")?;
/// handle.set_level(LevelFilter::INFO);
/// assert_eq!(handle.directives(), "info");
/// # Ok::<(), barograph::filter::InvalidFilter>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    shared: Arc<Shared>,
}

impl Filter {
    /// Creates a filter that enables this level and all less verbose ones, for every target.
    pub fn level(level: LevelFilter) -> Self {
        Filter {
            shared: Arc::new(Shared {
                kind: AtomicUsize::new(Kind::Level(level).encode()),
                targets: RwLock::new(level_alone(level)),
                decisions: Decisions::new(),
            }),
        }
    }

    /// Returns a handle that changes this filter at run time.
    pub fn handle(&self) -> LevelHandle {
        LevelHandle {
            shared: self.shared.clone(),
        }
    }

    /// Returns true if the filter enables the spans or events of this callsite.
    #[inline]
    pub fn enables(&self, metadata: &'static Metadata<'static>) -> bool {
        match self.shared.kind() {
            Kind::Level(level) => *metadata.level() <= level,
            Kind::Targets => {
                let decide = || self.shared.read(|targets| enable(targets, metadata));
                self.shared.decisions.get(metadata, decide)
            }
        }
    }

    /// Returns true if the filter enables this event. The callsite of a record of the `log` crate is
    /// that of the bridge, so such a record is judged by its own target.
    #[inline]
    pub(crate) fn enables_event(&self, event: &Event<'_>) -> bool {
        match event.normalized_metadata() {
            None => self.enables(event.metadata()),
            Some(metadata) => self.enables_once(&metadata),
        }
    }

    /// Returns true if the filter enables spans or events with this metadata, which may not live long.
    #[inline]
    pub(crate) fn enables_once(&self, metadata: &Metadata<'_>) -> bool {
        match self.shared.kind() {
            Kind::Level(level) => *metadata.level() <= level,
            Kind::Targets => self.shared.read(|targets| enable(targets, metadata)),
        }
    }
}

fn enable(targets: &Targets, metadata: &Metadata<'_>) -> bool {
    targets.would_enable(metadata.target(), metadata.level())
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

/// A handle that changes a filter at run time. All clones change the same filter.
#[derive(Clone, Debug)]
pub struct LevelHandle {
    shared: Arc<Shared>,
}

impl LevelHandle {
    /// Replaces the directives of the filter.
    ///
    /// Spans that were filtered out when they started stay disabled.
    ///
    /// # Errors
    /// Returns [`InvalidFilter`] if the directives are invalid; the filter is then unchanged.
    pub fn set(&self, directives: &str) -> Result<(), InvalidFilter> {
        let (targets, kind) = parse(directives)?;
        self.shared.set(targets, kind);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Replaces the directives of the filter by one level for all targets.
    pub fn set_level(&self, level: LevelFilter) {
        self.shared.set(level_alone(level), Kind::Level(level));
        tracing::callsite::rebuild_interest_cache();
    }

    /// Returns the directives in effect.
    pub fn directives(&self) -> String {
        self.shared.read(Targets::to_string)
    }
}

/// The error for text that is not a valid filter.
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
    /// Describes the accepted syntax.
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
    /// A copy of the kind, so that the lock is not taken when the level alone decides.
    kind: AtomicUsize,
    targets: RwLock<Targets>,
    /// The decisions of the targets, so that the lock is not taken at each event.
    decisions: Decisions,
}

impl Shared {
    fn set(&self, targets: Targets, kind: Kind) {
        let stored = self.targets.write();
        *stored.unwrap_or_else(PoisonError::into_inner) = targets;
        self.decisions.clear();
        // A thread that still reads the old kind decides by the previous filter, which is harmless.
        self.kind.store(kind.encode(), Ordering::Relaxed);
    }

    fn read<T>(&self, f: impl FnOnce(&Targets) -> T) -> T {
        let stored = self.targets.read();
        f(&stored.unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn kind(&self) -> Kind {
        Kind::decode(self.kind.load(Ordering::Relaxed))
    }
}

/// The metadata that a filter has to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Only the level.
    Level(LevelFilter),
    /// The target and the level.
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
            // An unknown level is handled by the directives.
            Kind::Level(of) => level(of).unwrap_or(LEVELS.len()),
            Kind::Targets => LEVELS.len(),
        }
    }
}

/// Parses directives, and returns them with the kind of filter that they make.
fn parse(directives: &str) -> Result<(Targets, Kind), InvalidFilter> {
    let invalid = |reason| InvalidFilter {
        directives: directives.to_owned(),
        reason,
    };
    if directives.contains(['[', ']', '{', '}']) {
        return Err(invalid(Reason::Unsupported));
    }
    // Blank directives are removed, because the parser reads them as the level ERROR.
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
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.enables_once(metadata)
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
    fn an_invalid_filter_is_shown_in_its_error() {
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
    fn the_lock_is_not_taken_where_the_kind_is_enough() {
        for (directives, kind) in [
            ("info", Kind::Level(LevelFilter::INFO)),
            (" WARN ", Kind::Level(LevelFilter::WARN)),
            ("off", Kind::Level(LevelFilter::OFF)),
            ("0", Kind::Level(LevelFilter::OFF)),
            // An empty filter enables errors only, as an empty `RUST_LOG` does.
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
