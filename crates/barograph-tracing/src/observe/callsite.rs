//! A `tracing` callsite whose name and fields are set at run time, on first use.
//!
//! The macros of `tracing` need names and fields at compile time. Operations differ in both, and a
//! layer that filters, samples or prints by span name must see the operation's name and not one name
//! for all. So each operation has a callsite, which is created once and never freed; the code that
//! creates callsites bounds their number.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Once, OnceLock};

use tracing::callsite::Identifier;
use tracing::field::{Field, FieldSet};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Event, Id, Level, Metadata, Span, Value};

use super::attribute::MOST_ATTRIBUTES;

/// The maximum number of fields of a callsite: those of the caller, and those added here.
const MOST_FIELDS: usize = MOST_ATTRIBUTES + 12;
/// Enough for an operation without attributes. A list of all fields takes longer to fill than the rest of
/// a span takes.
const FEW_FIELDS: usize = 6;

/// A `tracing` callsite that is created at run time.
pub(super) struct Callsite {
    place: SourceLocation,
    state: OnceLock<State>,
    registered: Once,
    interest: AtomicU8,
}

/// The data of a callsite that is known when it is created.
#[derive(Clone, Copy)]
pub(super) struct SourceLocation {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    pub(super) level: Level,
    pub(super) is_event: bool,
    pub(super) file: Option<&'static str>,
    pub(super) line: Option<u32>,
    /// The module of the source location, if there is one.
    pub(super) module: Option<&'static str>,
}

struct State {
    metadata: Metadata<'static>,
    fields: Box<[Field]>,
}

const NEVER: u8 = 0;
const ALWAYS: u8 = 1;
/// Also the value before any subscriber was asked.
const SOMETIMES: u8 = 2;

/// A callsite that a subscriber is interested in.
#[derive(Clone, Copy)]
pub(super) struct Wanted(&'static State);

impl Callsite {
    pub(super) const fn new(place: SourceLocation) -> Self {
        Callsite {
            place,
            state: OnceLock::new(),
            registered: Once::new(),
            interest: AtomicU8::new(SOMETIMES),
        }
    }

    /// Returns the callsite if a subscriber is interested. The first call takes the fields from `names`.
    #[inline]
    pub(super) fn wanted(
        &'static self,
        names: impl FnOnce() -> Vec<&'static str>,
    ) -> Option<Wanted> {
        let level = self.place.level;
        if level > STATIC_MAX_LEVEL || level > LevelFilter::current() {
            return None;
        }
        self.ask(names)
    }

    #[inline(never)]
    fn ask(&'static self, names: impl FnOnce() -> Vec<&'static str>) -> Option<Wanted> {
        let state = self.state.get_or_init(|| self.describe(names()));
        self.registered
            .call_once(|| tracing::callsite::register(self));
        let is_wanted = match self.interest.load(Ordering::Relaxed) {
            NEVER => false,
            ALWAYS => true,
            _ => tracing::dispatcher::get_default(|now| now.enabled(&state.metadata)),
        };
        is_wanted.then_some(Wanted(state))
    }

    fn describe(&'static self, mut names: Vec<&'static str>) -> State {
        names.truncate(MOST_FIELDS);
        let SourceLocation {
            name,
            target,
            level,
            is_event,
            file,
            line,
            module,
        } = self.place;
        let kind = if is_event { Kind::EVENT } else { Kind::SPAN };
        let names = FieldSet::new(names.leak(), Identifier(self));
        let metadata = Metadata::new(name, target, level, file, line, module, names, kind);
        State {
            fields: metadata.fields().iter().collect(),
            metadata,
        }
    }
}

impl tracing::Callsite for Callsite {
    fn set_interest(&self, interest: Interest) {
        let interest = if interest.is_never() {
            NEVER
        } else if interest.is_always() {
            ALWAYS
        } else {
            SOMETIMES
        };
        self.interest.store(interest, Ordering::Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        let state = self.state.get();
        &state
            .expect("it is registered after it is described")
            .metadata
    }
}

impl Wanted {
    /// Creates a span with these values, in the order of the fields; fields without a value are empty.
    pub(super) fn span<'v>(self, values: impl Iterator<Item = Option<&'v dyn Value>>) -> Span {
        self.with(values, |values| Span::new(&self.0.metadata, values))
    }

    /// Emits an event with these values, in this span or else in the current one.
    pub(super) fn event<'v>(
        self,
        parent: Option<Id>,
        values: impl Iterator<Item = Option<&'v dyn Value>>,
    ) {
        self.with(values, |values| match parent {
            Some(parent) => Event::child_of(parent, &self.0.metadata, values),
            None => Event::dispatch(&self.0.metadata, values),
        });
    }

    fn with<'v, T>(
        self,
        values: impl Iterator<Item = Option<&'v dyn Value>>,
        f: impl FnOnce(&tracing::field::ValueSet<'_>) -> T,
    ) -> T {
        match self.0.fields.len() {
            0..=FEW_FIELDS => self.with_room::<FEW_FIELDS, _>(values, f),
            _ => self.with_room::<MOST_FIELDS, _>(values, f),
        }
    }

    #[inline(always)]
    fn with_room<'v, const ROOM: usize, T>(
        self,
        values: impl Iterator<Item = Option<&'v dyn Value>>,
        f: impl FnOnce(&tracing::field::ValueSet<'_>) -> T,
    ) -> T {
        let State { metadata, fields } = self.0;
        let Some(first) = fields.first() else {
            return f(&metadata.fields().value_set(&[] as &[_; 0]));
        };
        let mut all: [(&Field, Option<&dyn Value>); ROOM] = [(first, None); ROOM];
        for ((place, field), value) in all.iter_mut().zip(&**fields).zip(values) {
            *place = (field, value);
        }
        f(&metadata.fields().value_set(&all))
    }
}
