//! The running telemetry of a process.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use barograph_core::process;
use barograph_model::resource::Resource;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::admin::Admin;
use crate::diagnostics;
use crate::exit::{AtExit, PanicFlush};
use crate::page::{Page, Pages};
use crate::push::Pushing;
#[cfg(feature = "otlp")]
use crate::push::Unfinished;
use crate::readiness::Readiness;
#[cfg(feature = "axum")]
use crate::self_metrics::SelfMetrics;
use crate::signals::Requested;
use crate::subscriber::{Filters, InstalledLayers};

/// The running telemetry of a service, from [`init`](crate::init()) until it is shut down.
///
/// It serves the pages and exports. Recording does not need it: the global registry exists before and
/// after it. When it is dropped, queued telemetry is exported, which blocks for 5 s at most, and the
/// pages are closed.
#[must_use = "the pages are gone when it is dropped"]
pub struct Telemetry {
    pages: Pages,
    readiness: Readiness,
    resource: Resource,
    admin: Option<Admin>,
    /// None if nothing is pushed, and after shutdown.
    pushing: Option<Pushing>,
    installed: Arc<InstalledLayers>,
    /// In a mutex only to make `Telemetry` `Sync`; the lock is never contended.
    flushes: Mutex<Vec<Flush>>,
    /// While set, an exit of the process exports what is left. Cleared by an orderly shutdown.
    at_exit: Option<AtExit>,
    /// The generation of the process that owns the threads; it differs in a forked child.
    generation: u64,
    /// Set at the first [`shutdown_signal`](Self::shutdown_signal); holds `None` if signals cannot be
    /// handled.
    requested: OnceLock<Option<Arc<Requested>>>,
}

/// Exports what is left, until the given deadline.
pub(crate) type Flush = Box<dyn FnOnce(Instant) + Send>;

impl Telemetry {
    pub(crate) fn new(
        pages: Pages,
        readiness: Readiness,
        resource: Resource,
        admin: Option<Admin>,
        pushing: Option<Pushing>,
        installed: InstalledLayers,
        flushes: Vec<Flush>,
    ) -> Self {
        Telemetry {
            pages,
            readiness,
            resource,
            admin,
            pushing,
            installed: Arc::new(installed),
            flushes: Mutex::new(flushes),
            at_exit: None,
            generation: process::generation(),
            requested: OnceLock::new(),
        }
    }

    /// Makes an exit of the process export what is left, and wait for it no longer than `timeout`.
    pub(crate) fn flush_at_exit(&mut self, timeout: Duration) {
        self.at_exit = Some(self.last().at_exit(timeout));
    }

    /// Renders the page in the format that this `Accept` header selects.
    pub fn render(&self, accept: Option<&str>) -> Page {
        self.pages.render(accept)
    }

    /// Returns the renderer of the pages, for a route in the service's own app.
    ///
    /// ```
    /// use axum::{Router, http::HeaderMap, http::header::ACCEPT, routing::get};
    /// let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
    /// let pages = telemetry.pages();
    /// let metrics = async move |headers: HeaderMap| {
    ///     pages.render(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()))
    /// };
    /// let app: Router = Router::new().route("/internal/metrics", get(metrics));
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    pub fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// Returns the handle that sets the answer of `/ready`.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Returns the address of the pages, with the port that was picked if 0 was requested. None
    /// without a listener, and as long as another program has the port that the environment sets.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(Admin::address)
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns the layer that creates spans and log records, for a custom subscriber. Returns it once
    /// only, and None where this library has set a subscriber itself, or where telemetry is disabled.
    ///
    /// ```
    /// use tracing_subscriber::layer::SubscriberExt as _;
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .without_subscriber()
    ///     .without_listener()
    ///     .start()?;
    /// let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    /// # drop(subscriber);
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    pub fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.installed.layer()
    }

    /// Returns a layer like [`layer`](Self::layer), for a subscriber that is in use already and has a
    /// `reload::Layer`, into which no layer with a filter of `tracing_subscriber` may be loaded later.
    ///
    /// It costs a little more: the subscriber does not learn which levels the layer wants, so events
    /// of all levels are examined.
    ///
    /// ```
    /// use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _, reload};
    /// let (place, handle) = reload::Layer::new(None::<Box<dyn Layer<Registry> + Send + Sync>>);
    /// let subscriber = tracing_subscriber::registry().with(place);
    /// // When the service has read its configuration:
    /// let telemetry = barograph::Telemetry::builder("shop")
    ///     .without_subscriber()
    ///     .without_listener()
    ///     .start()?;
    /// handle.reload(telemetry.reload_layer())?;
    /// # drop(subscriber);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.installed.reload_layer()
    }

    /// Returns the filters of spans, log records and lines, which can be changed while the service
    /// runs.
    ///
    /// ```
    /// let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
    /// telemetry.filters().lines.set("warn,shop=debug")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filters(&self) -> &Filters {
        &self.installed.filters
    }

    /// Completes when SIGTERM or Ctrl-C asks the process to end; from then on `/ready` answers 503.
    ///
    /// For a program that does not use [`serve`](Self::serve), which handles signals itself: a
    /// worker, or another kind of server. Such a program also has to call
    /// [`shutdown`](Self::shutdown), or the spans and log records of its last seconds are lost:
    ///
    /// ```no_run
    /// # async fn next_job() {}
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = barograph::init("worker")?;
    /// loop {
    ///     tokio::select! {
    ///         () = telemetry.shutdown_signal() => break,
    ///         job = next_job() => { /* ... */ }
    ///     }
    /// }
    /// telemetry.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `axum::serve(..).with_graceful_shutdown(..)` and tonic's `serve_with_shutdown` take this
    /// future:
    ///
    /// ```no_run
    /// # async fn run(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = barograph::init("shop")?;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(telemetry.shutdown_signal())
    ///     .await?;
    /// telemetry.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The first call installs handlers of the two signals for the rest of the process, and starts a
    /// thread that receives them; the future needs no runtime. It can be dropped and requested again:
    /// a signal that arrived in between is remembered. A second signal exits the process at once,
    /// with 128 plus the number of the signal as its status: what was recorded is exported as at any
    /// exit. The first signal does the same when the telemetry was dropped, unless another telemetry
    /// of this process, or a server, follows it.
    pub fn shutdown_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        let requested = self.requested.get_or_init(|| {
            let begun = Requested::begin(self.readiness());
            begun
                .inspect_err(|error| {
                    diagnostics::warn(&format_args!(
                        "SIGTERM and Ctrl-C cannot be handled, and end the process: {error}"
                    ));
                })
                .ok()
        });
        let requested = requested.as_ref().map(|requested| requested.wait());
        async move {
            match requested {
                Some(requested) => requested.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Shuts the telemetry down in order: exports what is queued, then closes the pages after those
    /// that are being read are complete. Takes 5 s at most for each of the two.
    ///
    /// [`serve`](Self::serve) calls it itself. The future needs no runtime.
    pub async fn shutdown(self) {
        let (done, all_done) = tokio::sync::oneshot::channel::<()>();
        let run = move || {
            self.shutdown_blocking();
            drop(done);
        };
        // If no thread can be created, the closure is dropped here, which exports and blocks.
        let _ = std::thread::Builder::new()
            .name("barograph-shutdown".into())
            .spawn(run);
        // Nothing is ever sent: the receiver completes when the sender is dropped.
        let _: Result<(), _> = all_done.await;
    }

    /// Shuts down like [`shutdown`](Self::shutdown), but blocks, for programs without a runtime. It also
    /// works inside any runtime, even one whose only thread it blocks.
    pub fn shutdown_blocking(mut self) {
        if self.is_of_a_parent() {
            return;
        }
        self.readiness.not_ready();
        self.send_last();
        if let Some(admin) = self.admin.take() {
            admin.stop(CLOSE_TIME);
        }
    }

    /// Exports everything now, also to a receiver that was unavailable a moment ago. Blocks until
    /// done, for `limit` at most. Works inside any runtime, even one whose only thread it blocks.
    ///
    /// # Errors
    /// [`Unfinished`] if not everything was delivered, or stored in a persistent queue. The rest is
    /// counted in `barograph.export.dropped` on the page, or is exported later.
    #[cfg(feature = "otlp")]
    pub fn flush(&self, limit: Duration) -> Result<(), Unfinished> {
        match &self.pushing {
            Some(_) if self.is_of_a_parent() => Err(Unfinished::Ended),
            Some(pushing) => pushing.flush(limit),
            None => Ok(()),
        }
    }

    /// Flushes like [`flush`](Self::flush), without blocking. The future needs no runtime.
    ///
    /// # Errors
    /// Fails like [`flush`](Self::flush).
    #[cfg(feature = "otlp")]
    pub async fn flush_async(&self, limit: Duration) -> Result<(), Unfinished> {
        match &self.pushing {
            Some(_) if self.is_of_a_parent() => Err(Unfinished::Ended),
            Some(pushing) => pushing.flush_async(limit).await,
            None => Ok(()),
        }
    }

    /// Returns the self metrics.
    #[cfg(feature = "axum")]
    pub(crate) fn own(&self) -> Arc<SelfMetrics> {
        self.pages.own()
    }

    /// Returns what a panic hook or an exit of the process still has to export.
    pub(crate) fn last(&self) -> PanicFlush {
        PanicFlush {
            sender: self.pushing.as_ref().map(Pushing::sender),
            spans: self.installed.spans.clone(),
            terminal: self.installed.terminal.clone(),
        }
    }

    /// Exports what is left, unless that was done already.
    fn send_last(&mut self) {
        let deadline = Instant::now() + FLUSH_TIME;
        let flushes = self
            .flushes
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let flushes = begin(std::mem::take(flushes), deadline);
        if let Some(pushing) = self.pushing.take() {
            pushing.shutdown(self.installed.spans.as_ref(), deadline);
        }
        self.installed.end_lines(LINES_TIME);
        let left = deadline.saturating_duration_since(Instant::now());
        // Nothing is ever sent: it returns when the last flush has ended, or at the deadline.
        let _: Result<(), _> = flushes.recv_timeout(left);
        self.at_exit = None;
    }

    /// Returns true in a forked child. It has no threads to stop, locks may be held forever, and
    /// queued telemetry belongs to the parent.
    fn is_of_a_parent(&self) -> bool {
        self.generation != process::generation()
    }

    /// Leaks everything, so that nothing is dropped in the child.
    fn leave_to_parent(&mut self) {
        std::mem::forget(self.admin.take());
        std::mem::forget(self.pushing.take());
        std::mem::forget(std::mem::take(&mut self.flushes));
        // The last owner would drop the contents.
        std::mem::forget(Arc::clone(&self.installed));
        std::mem::forget(self.pages.clone());
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        match self.is_of_a_parent() {
            true => self.leave_to_parent(),
            false => self.send_last(),
        }
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry")
            .field("resource", &self.resource)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// Runs all of them, each on its own thread. The receiver disconnects when the last one has ended;
/// one that has not returned by the deadline is left behind.
fn begin(flushes: Vec<Flush>, deadline: Instant) -> Receiver<()> {
    let (done, all_done) = mpsc::channel();
    for flush in flushes {
        let done = done.clone();
        let run = move || {
            flush(deadline);
            drop(done);
        };
        // If no thread can be created, this flush does not run.
        let _ = std::thread::Builder::new()
            .name("barograph-flush".into())
            .spawn(run);
    }
    all_done
}

/// The time that exporting what is left may take.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// The time that writing log lines may take.
const LINES_TIME: Duration = Duration::from_millis(500);
/// The time that pages being read have to complete.
const CLOSE_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::RecvTimeoutError;

    #[test]
    fn a_flush_is_waited_for_until_the_deadline() {
        let flushed = Arc::new(AtomicU32::new(0));
        let counting = |by: u32, pause: Duration| -> Flush {
            let flushed = Arc::clone(&flushed);
            Box::new(move |_| {
                std::thread::sleep(pause);
                flushed.fetch_add(by, Ordering::Relaxed);
            })
        };
        let began = Instant::now();
        let quick = counting(1, Duration::from_millis(50));
        let endless = counting(100, Duration::from_secs(3600));
        let panicking: Flush = Box::new(|_| panic!("a flush that fails"));
        let limit = Duration::from_secs(1);
        let ended = begin(vec![quick, endless, panicking], began + limit);
        assert_eq!(ended.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
        assert_eq!(flushed.load(Ordering::Relaxed), 1);
        let ended = begin(vec![counting(1, Duration::ZERO)], began + limit);
        let gone = Err(RecvTimeoutError::Disconnected);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), gone);
        assert_eq!(flushed.load(Ordering::Relaxed), 2);
    }
}
