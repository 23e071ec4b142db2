//! Traces that are exported though head sampling said no.
//!
//! Who samples one trace in a hundred does not see most of the failures. So the spans of a local
//! trace, which are those of one process between a root that came from elsewhere or nowhere and its
//! end, are held until that root ends. Then it is known whether something in it failed, whether it
//! took long, and whether one of its measurements became an exemplar, which ought to lead somewhere.
//! If so they are exported, if not forgotten.
//!
//! It is within bounds, so that a storm of failures is no storm of spans: so many traces a second,
//! so many bytes of spans that wait. What is over them is counted by reason; every span that comes
//! in is exported, waiting, or counted.
//!
//! # How a layer uses it
//!
//! A span that is not sampled and whose parent is none of this process begins a [`KeepTrace`]; its
//! descendants that are not sampled share it. While one of them is current, so is the trace's
//! [`candidate`](KeepTrace::candidate). What was recorded is handed in when a span ends, with
//! [`KeepTrace::add`] or, for the first one, [`KeepTrace::end`]; what comes back goes to the queue of
//! sampled spans.
//!
//! # What a kept trace is not
//!
//! It is not whole. Its context went out with a sampled flag that says no, and other services acted
//! on that. So its spans say `barograph.kept`, with the reason, and their flags stay as they were.
//!
//! It is not a sample. Nobody knows the probability with which it was kept: that depends on what
//! happened, and on what else did in that second. A `th` on it would have those who count spans count
//! a failure once for itself and, as part of those that one that was sampled stands for, once more.
//! So a kept span carries none, which means that what it stands for is unknown; its `rv` stays. Those
//! who add up what spans with a `th` stand for get the same as if nothing was kept.
//!
//! Source: OpenTelemetry 1.60, "TraceState: Probability Sampling", "General requirements": stages of
//! unknown probability erase the threshold; and "Converting threshold to an adjusted count".

mod cost;
mod counts;
mod config;
mod trace;

use std::fmt;
use std::sync::Arc;

use barograph_core::clock::{Clock, SystemClock};

use self::trace::Shared;

pub use config::KeepConfig;
pub use counts::{KeepCounts, Reason};
pub use trace::KeepTrace;

/// Keeps traces that were not sampled. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use barograph_edge::sampling::Rule;
/// use barograph_edge::sampling::keep::{Keep, KeepConfig};
/// let config = KeepConfig::new(10.0)?
///     .with_slow(Rule::new().with_route("/reports/*"), Duration::from_secs(30))
///     .with_slow(Rule::new(), Duration::from_secs(1));
/// let keep = Keep::new(config);
/// let trace = keep.begin();
/// assert_eq!(keep.counts().pending_traces, 1);
/// # Ok::<(), barograph_edge::sampling::InvalidRate>(())
/// ```
#[derive(Clone)]
pub struct Keep(Arc<Shared>);

impl Keep {
    /// Keeps what the configuration says.
    pub fn new(config: KeepConfig) -> Self {
        Keep::with_clock(config, SystemClock)
    }

    /// The same by another clock.
    pub fn with_clock(config: KeepConfig, clock: impl Clock + 'static) -> Self {
        Keep(Arc::new(Shared::new(config, Box::new(clock))))
    }

    /// A local trace that begins, and whose root is not sampled.
    pub fn begin(&self) -> KeepTrace {
        KeepTrace::new(Arc::clone(&self.0))
    }

    /// What became of everything.
    pub fn counts(&self) -> KeepCounts {
        self.0.counts()
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keep").field(&self.counts()).finish()
    }
}

#[cfg(test)]
mod tests;
