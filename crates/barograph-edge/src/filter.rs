//! Which spans and events one output has, changed while the service runs.
//!
//! Each output has a filter of its own (`layer.with_filter(filter)`), so that fewer lines on the
//! terminal do not make traces thinner: `RUST_LOG=warn` belongs to the terminal's filter, and the
//! spans of requests stay for the others.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{self, Context};

/// The filter of one output, in the words of `RUST_LOG`: `info,hyper=warn,[request{id=7}]=trace`.
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
                directives: RwLock::new(Arc::new(level_alone(level))),
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
        let (directives, kind) = parse(directives)?;
        filter.shared.set(directives, kind);
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
        let (directives, kind) = parse(directives)?;
        self.shared.set(directives, kind);
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
        self.shared.read(|directives| directives.to_string())
    }
}

/// Text that is no filter.
#[derive(Debug)]
pub struct InvalidFilter {
    directives: String,
    source: Option<tracing_subscriber::filter::ParseError>,
}

impl fmt::Display for InvalidFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidFilter { directives, .. } = self;
        write!(
            f,
            "invalid filter {directives:?}: expected directives such as info,hyper=warn"
        )
    }
}

impl Error for InvalidFilter {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[derive(Debug)]
struct Shared {
    /// The kind, so that the lock is left alone where it says enough.
    kind: AtomicUsize,
    directives: RwLock<Arc<EnvFilter>>,
}

impl Shared {
    fn set(&self, directives: EnvFilter, kind: Kind) {
        let held = self.directives.write();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(directives);
        // Whoever still sees the other kind decides as a moment before.
        self.kind.store(kind.encode(), Ordering::Relaxed);
    }

    fn read<T>(&self, f: impl FnOnce(&EnvFilter) -> T) -> T {
        let held = self.directives.read();
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
    /// Spans and their fields too.
    Spans,
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
            None if number == LEVELS.len() => Kind::Targets,
            None => Kind::Spans,
        }
    }

    fn encode(self) -> usize {
        let level = |level| LEVELS.iter().position(|other| *other == level);
        match self {
            // A level that is not known is left to the directives.
            Kind::Level(of) => level(of).unwrap_or(LEVELS.len()),
            Kind::Targets => LEVELS.len(),
            Kind::Spans => LEVELS.len() + 1,
        }
    }
}

/// The directives, and what they have to look at.
fn parse(directives: &str) -> Result<(EnvFilter, Kind), InvalidFilter> {
    let kind = match directives.trim().parse() {
        Ok(level) => Kind::Level(level),
        Err(_) if directives.contains('[') => Kind::Spans,
        Err(_) => Kind::Targets,
    };
    let invalid = |source| InvalidFilter {
        directives: directives.to_owned(),
        source,
    };
    // The parser of tracing-subscriber 0.3.23 panics on some other characters.
    if !directives.is_ascii() {
        return Err(invalid(None));
    }
    let parser = EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into());
    match parser.parse(directives) {
        Ok(parsed) => Ok((parsed, kind)),
        Err(source) => Err(invalid(Some(source))),
    }
}

fn level_alone(level: LevelFilter) -> EnvFilter {
    EnvFilter::default().add_directive(level.into())
}

impl<S: Subscriber> layer::Filter<S> for Filter {
    #[inline]
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        match self.shared.kind() {
            Kind::Level(level) => *metadata.level() <= level,
            _ => self
                .shared
                .read(|directives| directives.enabled(metadata, context.clone())),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.shared
            .read(|directives| layer::Filter::<S>::callsite_enabled(directives, metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.shared.read(EnvFilter::max_level_hint)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.with_directives(|directives| directives.on_new_span(attributes, id, context));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.with_directives(|directives| directives.on_record(id, values, context));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.with_directives(|directives| directives.on_enter(id, context));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.with_directives(|directives| directives.on_exit(id, context));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.with_directives(|directives| directives.on_close(id, context));
    }
}

impl Filter {
    #[inline]
    fn with_directives(&self, f: impl FnOnce(&EnvFilter)) {
        if self.shared.kind() == Kind::Spans {
            // Not under the lock: fields of a span are matched by `Debug`, which may log in its turn.
            let held = self.shared.directives.read();
            let directives = Arc::clone(&held.unwrap_or_else(PoisonError::into_inner));
            f(&directives);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_shown() {
        let error = "info,=,,[".parse::<Filter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid filter \"info,=,,[\": expected directives such as info,hyper=warn"
        );
        assert!(error.source().is_some());
    }

    #[test]
    fn characters_that_the_parser_cannot_take_are_refused() {
        for directives in ["0\0 \u{2082}\u{2082}", "s\u{fc}d=info", "\u{1f600}"] {
            let error = directives.parse::<Filter>().unwrap_err();
            assert!(error.to_string().contains("expected directives"), "{error}");
        }
    }

    #[test]
    fn the_lock_is_left_alone_where_the_kind_says_enough() {
        for (directives, kind) in [
            ("info", Kind::Level(LevelFilter::INFO)),
            (" WARN ", Kind::Level(LevelFilter::WARN)),
            ("off", Kind::Level(LevelFilter::OFF)),
            ("0", Kind::Level(LevelFilter::OFF)),
            ("info,hyper=warn", Kind::Targets),
            ("hyper", Kind::Targets),
            ("info,[request{id=7}]=debug", Kind::Spans),
        ] {
            let filter: Filter = directives.parse().unwrap();
            assert_eq!(filter.shared.kind(), kind, "{directives}");
        }
        // Nothing asked for is errors alone, as it is of `RUST_LOG`.
        let filter: Filter = "".parse().unwrap();
        let most = filter.shared.read(EnvFilter::max_level_hint);
        assert_eq!(most, Some(LevelFilter::ERROR));
    }
}
