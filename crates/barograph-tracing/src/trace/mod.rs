//! Spans from `tracing`.
//!
//! [`TraceLayer`] is a layer for a `tracing_subscriber` registry. Each `tracing` span that it sees
//! has a trace context, which is current in [`current`](barograph_core::current) while the span is
//! entered: exemplars, log lines and headers find it there, whatever the order of the layers.
//! Sampled spans are recorded, and put into a queue when they close. [`SpanExt`] sets data that
//! `tracing` has no API for.
//!
//! A span that is not sampled is cheap: it costs new ids, a slot in a table, and a change of the
//! thread's context.
//!
//! # Fields with special meaning
//!
//! | field | |
//! |---|---|
//! | `otel.name` | the name of the span, instead of that of the callsite |
//! | `otel.kind` | `server`, `client`, `producer`, `consumer` or `internal` |
//! | `otel.status_code` | `ok` or `error` |
//! | `otel.status_description`, `otel.status_message` | the description of the error |
//! | an error, given as `&dyn Error` | its text, and the texts of what caused it as `<field>.chain` |
//!
//! All other fields become attributes with their types. If a key occurs more than once, the last
//! value is kept.
//!
//! A span that is exited by a panic that began inside of it gets the status `error` and the
//! `error.type` `panic`, unless its status is already `ok` or it already has an `error.type`.
//!
//! # Parents
//!
//! The parent of a span is the explicit parent, or else the current context of the thread: a span
//! of this layer, or the context of a received request. Spans that a filter hides from this layer
//! are skipped. `parent: None` starts a new trace.

mod limits;
mod span_pool;
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
pub use self::tracer::context_of;
