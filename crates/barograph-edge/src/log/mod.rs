//! What the service says: lines on the terminal, and log records for whoever collects them.
//!
//! * [`Terminal`] makes lines of events, for people or for machines, and never waits for whoever reads
//!   them.
//! * [`LogLayer`] makes log records of events and offers them to a [`LogSink`].
//!
//! Inside of a span both have its ids, wherever the layer stands in the subscriber and whatever its
//! filter: they come from [`current`](barograph_core::current), which whoever enters a span sets.
//! Records of the `log` crate are events too where `tracing_log::LogTracer` is installed; their target
//! and place are their own.

mod escape;
mod time;
mod line;
mod origin;
mod rate;
mod buffer;
mod format;
mod terminal;
mod record;

use barograph_model::log::Severity;
use tracing::Level;

pub use self::buffer::{TerminalCounts, Unwritten};
pub use self::format::{Colors, Format};
pub use self::rate::RateLimit;
pub use self::record::{LogLayer, LogLayerBuilder, LogLimits, LogSink};
pub use self::terminal::{Terminal, TerminalBuilder, TerminalLayer, TerminalWriter};

/// How important an event of this level is.
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
