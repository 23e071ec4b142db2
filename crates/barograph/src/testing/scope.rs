//! Code that runs in a capture.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_core::registry::CaptureScopeGuard;
use barograph_tracing::filter::Filter;
use tracing::dispatcher::{self, DefaultGuard};

use super::capture::Capture;

impl Capture {
    /// Sets the clock that the captured code reads. Without it, a capture has a clock of its own.
    ///
    /// Call it before code runs in the capture: spans and log records of earlier code are forgotten.
    #[must_use]
    pub fn with_clock(mut self, clock: ManualClock) -> Self {
        self.recorder.set_clock(clock);
        self
    }

    /// Sets the spans and events that are captured: by default those of the level `INFO` and above, as
    /// in a service.
    ///
    /// Call it before code runs in the capture: spans and log records of earlier code are forgotten.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// let capture = Capture::new().with_filter("info,shop=debug".parse()?);
    /// # Ok::<(), barograph::filter::InvalidFilter>(())
    /// ```
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.recorder.set_filter(filter);
        self
    }

    /// Runs a function on this thread, and captures its telemetry.
    ///
    /// Everything is captured that the function does on this thread, a runtime included that it runs
    /// here: with a runtime of the current thread, that is all tasks that are spawned. Other threads do
    /// not belong to the capture unless they run in it, too.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// use barograph::{assert_telemetry, counter};
    ///
    /// let capture = Capture::new();
    /// let orders = capture.run(|| {
    ///     counter!("orders", kind = "web").inc();
    ///     7
    /// });
    /// assert_eq!(orders, 7);
    /// assert_telemetry!(capture, r#"counter orders{kind="web"} 1"#);
    /// ```
    pub fn run<T>(&self, function: impl FnOnce() -> T) -> T {
        let _inside = self.enter();
        function()
    }

    /// Returns a future that runs in the capture, on whatever thread it is polled and dropped.
    ///
    /// A task that the future spawns is not captured, because a runtime polls it by itself. Spawn what
    /// this function returns instead: `tokio::spawn(capture.run_async(task))`. If the code under test
    /// spawns the tasks, use a runtime of the current thread in [`run`](Self::run), or
    /// [`enter`](Self::enter) the capture in a `#[tokio::test]`.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// use barograph::{assert_telemetry, counter};
    ///
    /// # #[tokio::main]
    /// # async fn main() {
    /// let capture = Capture::new();
    /// let task = tokio::spawn(capture.run_async(async { counter!("orders").inc() }));
    /// assert!(task.await.is_ok());
    /// assert_telemetry!(capture, "counter orders{} 1");
    /// # }
    /// ```
    pub fn run_async<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        Captured {
            capture: self.clone(),
            future: Some(Box::pin(future)),
        }
    }

    /// Captures what this thread does until the guard is dropped.
    ///
    /// In a `#[tokio::test]`, whose runtime has one thread, a guard at the beginning captures the spawned
    /// tasks as well. Where a future may change its thread, use [`run_async`](Self::run_async).
    #[must_use = "the capture is left when the guard is dropped"]
    pub fn enter(&self) -> CaptureGuard {
        let recording = self.recorder.begin(self.registry());
        CaptureGuard {
            _dispatch: dispatcher::set_default(&recording.dispatch),
            _scope: recording.scope.enter(),
        }
    }

    /// Returns the clock that the captured code reads instead of the clock of the system. It begins at
    /// 2020-01-01T00:00:00Z, and stands still until it is [advanced](Self::advance).
    ///
    /// It is the clock of all telemetry: of timers, durations, spans and log records. It does not change
    /// what `Instant::now` and `tokio::time` return.
    pub fn clock(&self) -> &ManualClock {
        &self.recorder.clock
    }

    /// Advances the clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use barograph::testing::Capture;
    /// use barograph::{assert_telemetry, histogram};
    ///
    /// let capture = Capture::new();
    /// capture.run(|| {
    ///     let _timer = histogram!("job.duration").start_timer();
    ///     capture.advance(Duration::from_millis(250));
    /// });
    /// assert_telemetry!(capture, "histogram job.duration{} count=1 sum=0.25");
    /// ```
    pub fn advance(&self, by: Duration) {
        self.recorder.clock.advance(by);
    }
}

/// A guard that leaves a capture when dropped.
///
/// Guards must be dropped in the reverse order of their creation. A guard stays on its thread.
pub struct CaptureGuard {
    _dispatch: DefaultGuard,
    _scope: CaptureScopeGuard,
}

impl fmt::Debug for CaptureGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureGuard").finish_non_exhaustive()
    }
}

/// A future that enters the capture at each poll, and when it is dropped.
struct Captured<F> {
    capture: Capture,
    /// None while it is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Captured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Captured { capture, future } = &mut *self;
        let _inside = capture.enter();
        let future = future.as_mut().expect("it is there until it is dropped");
        future.as_mut().poll(cx)
    }
}

impl<F> Drop for Captured<F> {
    fn drop(&mut self) {
        let _inside = self.capture.enter();
        self.future = None;
    }
}
