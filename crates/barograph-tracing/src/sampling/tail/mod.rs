//! Tail sampling: traces that are exported although head sampling dropped them.
//!
//! A service that samples one trace in a hundred misses most of its failures. So the spans of a
//! local trace are buffered until its root ends. A local trace is the part of a trace in one
//! process, from a root without a local parent to the end of that root. Then it is known whether a
//! span failed, whether the root was slow, and whether a measurement became an exemplar, which has
//! to refer to an exported trace. In these cases the spans are exported; otherwise they are
//! dropped.
//!
//! The number of kept traces per second and the bytes of buffered spans are limited, so that a
//! burst of failures does not become a burst of spans. Everything beyond the limits is counted by
//! reason; every span that is handed in is exported, buffered, or counted as dropped.
//!
//! # How a layer uses it
//!
//! A span that is not sampled and has no parent in this process begins a [`BufferedTrace`]; its
//! descendants that are not sampled share it. While one of them is current, the
//! [`candidate`](BufferedTrace::candidate) of the trace is current too. Ended spans are handed in with
//! [`BufferedTrace::add`] or, for the root, [`BufferedTrace::end`]; the spans that these return go to the
//! queue of sampled spans.
//!
//! # Limits of a kept trace
//!
//! A kept trace is incomplete. Its context was propagated with a cleared sampled flag, and other
//! services acted on that. So its spans carry `barograph.tail_sampling.reason`, with the reason, and
//! their flags are unchanged.
//!
//! A kept trace is not a statistical sample. The probability with which it was kept is unknown: it
//! depends on the outcome of the trace, and on the other traces of that second. With a `th`, a
//! backend that counts spans would count a failure once for itself, and once more as part of the
//! spans that a sampled span represents. So a kept span has no `th`, which means that its adjusted
//! count is unknown; its `rv` is unchanged. The sum of the adjusted counts of all spans with a `th`
//! is the same as without tail sampling.
//!
//! Source: OpenTelemetry 1.60, "TraceState: Probability Sampling", "General requirements": stages
//! of unknown probability erase the threshold; and "Converting threshold to an adjusted count".

mod cost;
mod counts;
mod config;
mod trace;

use std::fmt;
use std::sync::Arc;

use barograph_core::clock::{Clock, SystemClock};

use self::trace::Shared;

pub use config::TailSamplingConfig;
pub use counts::{Reason, TailSamplingCounts};
pub use trace::BufferedTrace;

/// Tail sampling of traces that were not sampled. All clones share the same state.
///
/// ```
/// use std::time::Duration;
/// # mod barograph {
/// #     pub use barograph_tracing::sampling::tail::TailSampling;
/// #     pub mod sampling {
/// #         pub use barograph_tracing::sampling::{Rule, tail::TailSamplingConfig};
/// #     }
/// # }
/// use barograph::TailSampling;
/// use barograph::sampling::{Rule, TailSamplingConfig};
/// let config = TailSamplingConfig::new(10.0)?
///     .with_slow(Rule::new().with_route("/reports/*"), Duration::from_secs(30))
///     .with_slow(Rule::new(), Duration::from_secs(1));
/// let keep = TailSampling::new(config);
/// let trace = keep.begin();
/// assert_eq!(keep.counts().buffered_traces, 1);
/// # Ok::<(), barograph_tracing::sampling::InvalidRate>(())
/// ```
#[derive(Clone)]
pub struct TailSampling(Arc<Shared>);

impl TailSampling {
    /// Creates tail sampling with this configuration.
    pub fn new(config: TailSamplingConfig) -> Self {
        TailSampling::with_clock(config, SystemClock)
    }

    /// Creates tail sampling with a custom clock.
    pub fn with_clock(config: TailSamplingConfig, clock: impl Clock + 'static) -> Self {
        TailSampling(Arc::new(Shared::new(config, Box::new(clock))))
    }

    /// Returns the configuration.
    pub fn config(&self) -> &TailSamplingConfig {
        self.0.config()
    }

    /// Starts buffering a local trace whose root is not sampled.
    #[doc(hidden)]
    pub fn begin(&self) -> BufferedTrace {
        BufferedTrace::new(Arc::clone(&self.0))
    }

    /// Returns the counts of traces and spans by outcome.
    pub fn counts(&self) -> TailSamplingCounts {
        self.0.counts()
    }
}

impl fmt::Debug for TailSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TailSampling").field(&self.counts()).finish()
    }
}

#[cfg(test)]
mod tests;
