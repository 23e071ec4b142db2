//! Spans out of `tracing`.
//!
//! [`TraceLayer`] is a layer for a `tracing_subscriber` registry. Each span of `tracing` that it sees
//! has a trace context, which is current in [`current`](barograph_core::current) while the span is
//! entered: exemplars, log lines and headers find it there, whatever the order of layers. Those that
//! are sampled are recorded, and put into a queue when they close. [`SpanExt`] says to a span what
//! `tracing` has no words for.
//!
//! A span whose trace is not sampled costs next to nothing: ids, a place in a table, and the change of
//! the thread's context.
//!
//! # Fields with a meaning
//!
//! | field | |
//! |---|---|
//! | `otel.name` | the name of the span, instead of that of the callsite |
//! | `otel.kind` | `server`, `client`, `producer`, `consumer` or `internal` |
//! | `otel.status_code` | `ok` or `error` |
//! | `otel.status_description`, `otel.status_message` | why it failed |
//! | an error, given as `&dyn Error` | its text, and the texts of what caused it as `<field>.chain` |
//!
//! All others are attributes with their types. Where a key comes again, the later value stays.
//!
//! A span that a panic leaves, and in which the panic began, has failed with the `error.type` `panic`,
//! unless something else is said of it.
//!
//! # Parents
//!
//! The parent of a span is the one that is given, or what is current on the thread: a span of this
//! layer, or the context of a request from elsewhere. Spans that a filter keeps from this layer are
//! passed over. `parent: None` begins a new trace.

mod limits;
mod sink;
mod spare;
mod settings;
mod metrics;
mod open;
mod table;
mod stack;
mod fields;
mod tracer;
mod start;
mod handle;
mod layer;
mod ext;

pub use self::ext::SpanExt;
pub use self::handle::TraceHandle;
pub use self::layer::{TraceLayer, TraceLayerBuilder};
pub use self::limits::SpanLimits;
pub use self::metrics::SpanMetrics;
pub use self::settings::{ErrorEvents, Events};
pub use self::sink::SpanSink;
pub use self::spare::give_back;
pub use self::tracer::context_of;
