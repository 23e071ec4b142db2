//! Log records from events.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barograph_core::clock::{Clock, SystemClock};
use barograph_core::record_queue::Fanout;
use barograph_model::log::LogRecord;
use barograph_model::suppression;
use barograph_model::value::{AnyValue, Attribute};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::format::MOST_CAUSES;
use super::origin::{self, Origin};
use super::rate::{Limiter, RateDecision, RateLimit};
use super::record_pool;
use super::severity;
use crate::filter::Filter;
use crate::redact::{REDACTED, Redaction, RedactionRule};

/// The limits of the size of a log record.
///
/// Source: OpenTelemetry 1.60, "LogRecord Limits". The limit of the body is an extension, which
/// bounds the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLimits {
    /// The maximum number of attributes, 128 by default. Further attributes are dropped and
    /// counted.
    pub attributes: usize,
    /// The maximum length of the text of an attribute, in characters; 64 Ki by default.
    pub value_length: usize,
    /// The maximum length of a body, in bytes; 64 KiB by default.
    pub body: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        LogLimits {
            attributes: 128,
            value_length: 64 * 1024,
            body: 64 * 1024,
        }
    }
}

/// A layer that turns each event into a log record and puts it into a
/// [`RecordQueue`](barograph_core::record_queue::RecordQueue).
///
/// The message is the body and the target is the scope; fields are attributes with their types. A
/// field `event.name` is the name of the event. The source location is recorded as `code.file.path`
/// and `code.line.number`; an error is recorded as `exception.message` and, together with its
/// causes if it has any, as `exception.stacktrace`.
///
/// Source: OpenTelemetry semantic conventions 1.44, "Code attributes" and "Exceptions in logs".
pub struct LogLayer {
    queues: Fanout<LogRecord>,
    limits: LogLimits,
    redaction: Redaction,
    limiter: Option<Limiter>,
    /// The number of records that the rate limit dropped.
    suppressed: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    filter: Option<Filter>,
}

impl LogLayer {
    /// Creates a layer that puts its records into a queue, or into the queues of several exporters.
    pub fn new(queues: impl Into<Fanout<LogRecord>>) -> Self {
        LogLayer::builder(queues).build()
    }

    /// Returns a builder for a layer that puts its records into a queue, or into the queues of several
    /// exporters.
    pub fn builder(queues: impl Into<Fanout<LogRecord>>) -> LogLayerBuilder {
        LogLayerBuilder {
            layer: LogLayer {
                queues: queues.into(),
                limits: LogLimits::default(),
                redaction: Redaction::default(),
                limiter: None,
                suppressed: Arc::default(),
                clock: Arc::new(SystemClock),
                filter: None,
            },
        }
    }

    /// Makes the layer ignore what `filter` disables. Unlike `Layer::with_filter`, this also works for a
    /// layer that is added to a subscriber in use, and the subscriber does not know about it: see
    /// [`filter`](crate::filter).
    #[must_use]
    pub fn with_own_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Returns the counter of records that the rate limit dropped. It stays usable after the layer is
    /// installed.
    pub fn suppressed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.suppressed)
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A builder for a [`LogLayer`].
#[derive(Debug)]
#[must_use = "nothing is recorded before `build`"]
pub struct LogLayerBuilder {
    layer: LogLayer,
}

impl LogLayerBuilder {
    /// Sets the limits of the size of a record.
    pub fn with_limits(mut self, limits: LogLimits) -> Self {
        self.layer.limits = limits;
        self
    }

    /// Sets the redaction.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.layer.redaction = redaction;
        self
    }

    /// Sets the rate limit of each callsite. Records are not limited by default.
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.layer.limiter = Some(Limiter::new(limit));
        self
    }

    /// Sets the clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.layer.clock = Arc::new(clock);
        self
    }

    /// Builds the layer.
    pub fn build(self) -> LogLayer {
        self.layer
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, layers: Context<'_, S>) {
        if suppression::is_suppressed() {
            return;
        }
        let origin = Origin::of(event);
        if !origin.is_enabled_by(self.filter.as_ref()) {
            return;
        }
        let unix_nanos = self.clock.unix_nanos();
        let suppressed = match &self.limiter {
            None => 0,
            Some(limiter) => match limiter.ask(&origin, event, unix_nanos) {
                RateDecision::Pass { suppressed } => suppressed,
                RateDecision::Suppress => {
                    self.suppressed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            },
        };
        let metadata = origin.metadata();
        let lasting = origin.lasting();
        let owned = |text: &str| Cow::Owned(text.to_owned());
        let scope =
            lasting.map_or_else(|| owned(metadata.target()), |of| Cow::Borrowed(of.target()));
        let (mut record, text) =
            record_pool::record(&self.queues, metadata.fields().len() + CODE_ATTRIBUTES);
        record.time_unix_nano = unix_nanos;
        record.observed_unix_nano = unix_nanos;
        record.severity = severity(metadata.level());
        record.scope = scope;
        record.context = origin::context(event, &layers);
        let mut visitor = Records {
            layer: self,
            origin: &origin,
            record,
            text,
        };
        event.record(&mut visitor);
        if let Some(file) = metadata.file() {
            let file = lasting
                .and_then(|of| of.file())
                .map_or_else(|| owned(file), Cow::Borrowed);
            visitor.add("code.file.path", file);
        }
        if let Some(line) = metadata.line() {
            visitor.add("code.line.number", line);
        }
        if suppressed > 0 {
            visitor.add("barograph.log.suppressed", suppressed);
        }
        self.queues.push(visitor.record);
    }
}

/// Visits the fields of an event and adds them to a record.
struct Records<'a> {
    layer: &'a LogLayer,
    origin: &'a Origin<'a>,
    record: Box<LogRecord>,
    /// Memory for the body.
    text: String,
}

/// The number of attributes with the source location.
const CODE_ATTRIBUTES: usize = 2;

impl Records<'_> {
    #[inline]
    fn field<V: Into<AnyValue>>(
        &mut self,
        field: &Field,
        value: impl FnOnce(&LogLayer, RedactionRule, Room) -> V,
    ) {
        let name = field.name();
        if self.origin.is_own(name) {
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let LogLimits { body, .. } = self.layer.limits;
        // A second `message` becomes an attribute.
        if name == "message" && self.record.body.is_none() {
            let room = Room {
                text: mem::take(&mut self.text),
                most: body,
            };
            let value = value(self.layer, RedactionRule::Search, room);
            self.record.body = Some(value.into());
            return;
        }
        match self.layer.redaction.rule_of(name) {
            RedactionRule::Redact => self.add(name, REDACTED),
            rule => {
                // A character has at most four bytes.
                let most = self.layer.limits.value_length.saturating_mul(4).min(body);
                let value = value(self.layer, rule, Room::of(most)).into();
                match (name, value) {
                    ("event.name", AnyValue::Str(name)) => self.record.event_name = Some(name),
                    (name, value) => self.add(name, value),
                }
            }
        }
    }

    /// Adds an attribute, unless there are too many. The last value of a key is kept.
    fn add(&mut self, key: &'static str, value: impl Into<AnyValue>) {
        let mut value = value.into();
        value.truncate(self.layer.limits.value_length);
        let attributes = &mut self.record.attributes;
        if let Some(same) = attributes.iter_mut().find(|other| other.key == key) {
            same.value = value;
        } else if attributes.len() < self.layer.limits.attributes {
            attributes.push(Attribute::new(key, value));
        } else {
            self.record.dropped_attributes += 1;
        }
    }

    /// Adds an error with its causes.
    fn add_error(&mut self, error: &(dyn Error + 'static)) {
        let has = |key: &str| self.record.attributes.iter().any(|other| other.key == key);
        if has("exception.message") {
            return;
        }
        let body = self.layer.limits.body;
        let message = Room::of(body).format(format_args!("{error}"));
        let mut chain = message.clone();
        let mut cause = error.source();
        let has_cause = cause.is_some();
        // An error may be its own cause.
        for _ in 0..MOST_CAUSES {
            let Some(error) = cause else {
                break;
            };
            let room = Room::of(body.saturating_sub(chain.len()));
            chain.push_str(&room.format(format_args!("\ncaused by: {error}")));
            cause = error.source();
        }
        let redaction = &self.layer.redaction;
        let (message, chain) = (
            redaction.owned_text(message.into()),
            redaction.owned_text(chain.into()),
        );
        self.add("exception.message", message);
        if has_cause {
            self.add("exception.stacktrace", chain);
        }
    }
}

impl Visit for Records<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |_, _, _| value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |_, _, _| value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |_, _, _| value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.field(field, |_, _, _| value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.field(field, |_, _, _| value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |_, _, _| value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |layer, rule, room| {
            text(layer, rule, room.copy(value))
        });
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.field(field, |_, _, room| {
            AnyValue::Bytes(value[..value.len().min(room.most)].into())
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, |layer, _, room| {
            let message = room.format(format_args!("{value}"));
            text(layer, RedactionRule::Search, message)
        });
        if self.layer.redaction.rule_of(field.name()) != RedactionRule::Redact {
            self.add_error(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |layer, rule, room| {
            let value = room.format(format_args!("{value:?}"));
            text(layer, rule.of_debug(), value)
        });
    }
}

fn text(layer: &LogLayer, rule: RedactionRule, value: String) -> AnyValue {
    match rule {
        RedactionRule::Search => AnyValue::from(layer.redaction.owned_text(value.into())),
        _ => AnyValue::from(value),
    }
}

/// Memory for a text of at most `most` bytes.
struct Room {
    text: String,
    most: usize,
}

impl Room {
    /// Returns room of which nothing is allocated yet.
    fn of(most: usize) -> Self {
        Room {
            text: String::new(),
            most,
        }
    }

    /// Copies a text, which takes less time than to format it.
    fn copy(mut self, value: &str) -> String {
        // It is full when this fails.
        let _ = self.write_str(value);
        self.text
    }

    /// Formats a text. The formatter is stopped when the text is full.
    fn format(mut self, value: fmt::Arguments<'_>) -> String {
        let known = value.as_str().map_or(0, str::len);
        self.text.reserve(known.min(self.most));
        if self.write_fmt(value).is_err() && self.most > 0 && self.text.is_empty() {
            self.text.push_str("<error in Debug>");
        }
        self.text
    }
}

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.most - self.text.len();
        if text.len() <= room {
            self.text.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end));
        self.text.push_str(&text[..end.unwrap_or(0)]);
        Err(fmt::Error)
    }
}
