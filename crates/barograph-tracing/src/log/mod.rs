//! Log lines on the terminal, and log records for export.
//!
//! * [`ConsoleLog`] writes events as lines, for people or for machines, and never blocks the threads
//!   that log on a slow reader.
//! * [`LogLayer`] turns events into log records and puts them into a record queue.
//!
//! Inside of a span both have the ids of the span, whatever the position of the layer in the
//! subscriber and whatever its filter: the ids come from [`current`](barograph_core::current),
//! which is set when a span is entered. If `tracing_log::LogTracer` is installed, records of the
//! `log` crate are events too; they keep their own target and source location.

mod escape;
mod line;
mod origin;
mod rate;
mod buffer;
mod format;
mod console_log;
mod record_pool;
mod record;

use barograph_model::log::Severity;
use tracing::Level;

pub use self::buffer::{ConsoleCounts, Unwritten};
pub use self::console_log::{ConsoleLayer, ConsoleLog, ConsoleLogBuilder, ConsoleWriter};
pub use self::format::{Colors, Format};
pub(crate) use self::rate::OPERATIONS_TARGET;
pub use self::rate::RateLimit;
pub use self::record::{LogLayer, LogLayerBuilder, LogLimits};

/// Returns the severity of a level.
#[inline]
fn severity(level: &Level) -> Severity {
    match *level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}
