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
use crate::exit::{AtExit, Last};
#[cfg(feature = "axum")]
use crate::own::Own;
use crate::page::{Page, Pages};
use crate::push::Pushing;
#[cfg(feature = "otlp")]
use crate::push::Unfinished;
use crate::readiness::Readiness;
use crate::signals::Requested;
use crate::subscriber::{Filters, Heard};

/// The telemetry of a service, from [`init`](crate::init()) on until it is shut down.
///
/// What is recorded needs it not: the global registry was there before, and stays. It serves the
/// pages and pushes. When it is dropped, what has to be sent is sent, which blocks for 5 s at the most,
/// and the pages are gone.
#[must_use = "the pages are gone when it is dropped"]
pub struct Telemetry {
    pages: Pages,
    readiness: Readiness,
    resource: Resource,
    admin: Option<Admin>,
    /// None where nothing is pushed, and when all is over.
    pushing: Option<Pushing>,
    heard: Arc<Heard>,
    /// Behind a lock that nobody else asks for, so that threads may share what holds it.
    flushes: Mutex<Vec<Flush>>,
    /// Has an exit of the process send what is left, until that was done in order.
    at_exit: Option<AtExit>,
    /// The process in which the threads are, and not a fork of it.
    generation: u64,
    /// Set at the first [`shutdown_signal`](Self::shutdown_signal); none in it where signals cannot be
    /// handled.
    requested: OnceLock<Option<Arc<Requested>>>,
}

/// Sends what is left, until the given moment at the latest.
pub(crate) type Flush = Box<dyn FnOnce(Instant) + Send>;

impl Telemetry {
    pub(crate) fn new(
        pages: Pages,
        readiness: Readiness,
        resource: Resource,
        admin: Option<Admin>,
        pushing: Option<Pushing>,
        heard: Heard,
        flushes: Vec<Flush>,
    ) -> Self {
        Telemetry {
            pages,
            readiness,
            resource,
            admin,
            pushing,
            heard: Arc::new(heard),
            flushes: Mutex::new(flushes),
            at_exit: None,
            generation: process::generation(),
            requested: OnceLock::new(),
        }
    }

    /// Has an exit of the process send what is left, and wait for that no longer than this.
    pub(crate) fn flush_at_exit(&mut self, timeout: Duration) {
        self.at_exit = Some(self.last().at_exit(timeout));
    }

    /// The page for a reader who sent this `Accept` header.
    pub fn page(&self, accept: Option<&str>) -> Page {
        self.pages.page(accept)
    }

    /// What makes the pages, to keep for a route in one's own app.
    ///
    /// ```
    /// use axum::{Router, http::HeaderMap, http::header::ACCEPT, routing::get};
    /// let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
    /// let pages = telemetry.pages();
    /// let metrics = async move |headers: HeaderMap| {
    ///     pages.page(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()))
    /// };
    /// let app: Router = Router::new().route("/internal/metrics", get(metrics));
    /// # Ok::<(), barograph::StartError>(())
    /// ```
    pub fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// What `/ready` answers.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Where the pages are served; the port that was picked when 0 was asked for. None without a
    /// listener, and as long as another program has the port that the environment chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(Admin::address)
    }

    /// Who is speaking.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The layer that makes spans and log records, for a subscriber of the service's own: it is given
    /// once, and not where this library has set a subscriber itself, or where telemetry is off.
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
        self.heard.layer()
    }

    /// As [`layer`](Self::layer), for a subscriber that is in use already and has a place for it: a
    /// `reload::Layer`, into which no layer with a filter of `tracing_subscriber` may come later.
    ///
    /// It costs a little more: the subscriber learns nothing of the levels that it wants, so that
    /// events of all levels are looked at.
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
    /// handle.reload(telemetry.late_layer())?;
    /// # drop(subscriber);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn late_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.heard.late_layer()
    }

    /// Which spans, log records and lines there are, to be changed while the service runs.
    ///
    /// ```
    /// let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
    /// telemetry.filters().lines.set("warn,shop=debug")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filters(&self) -> &Filters {
        &self.heard.filters
    }

    /// Ends when the process is asked to end, by SIGTERM or Ctrl-C; from then on `/ready` answers 503.
    ///
    /// For a program that does not use [`serve`](Self::serve), which handles signals itself: a worker,
    /// or a server of another kind. What ends it ends the telemetry too, by
    /// [`shutdown`](Self::shutdown), or the spans and log records of its last seconds are lost:
    ///
    /// ```no_run
    /// # async fn next_job() {}
    /// # async fn run() -> barograph::Result {
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
    /// It is what `axum::serve(..).with_graceful_shutdown(..)` and tonic's `serve_with_shutdown` take:
    ///
    /// ```no_run
    /// # async fn run(app: axum::Router) -> barograph::Result {
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
    /// The first call begins to handle the two signals, for the rest of the process, on a thread of its
    /// own; the future needs no runtime. It can be dropped and asked for again: a signal that came
    /// meanwhile is not forgotten. A second signal has the process exit at once, with 128 and the number
    /// of the signal as its status: what was recorded is sent as at any exit. The first signal does the
    /// same when the telemetry is gone, unless another one of this process, or a server, follows it.
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

    /// Ends the telemetry in order: what has to be sent is, then the pages go, those last that are
    /// being read. Takes 5 s for each of the two at the most.
    ///
    /// [`serve`](Self::serve) does it by itself. The future needs no runtime.
    pub async fn shutdown(self) {
        let (done, all_done) = tokio::sync::oneshot::channel::<()>();
        let run = move || {
            self.shutdown_blocking();
            drop(done);
        };
        // Where no thread can be made, what the closure held is dropped here, which blocks.
        let _ = std::thread::Builder::new()
            .name("barograph-shutdown".into())
            .spawn(run);
        // Nothing is ever sent: it is over when the sender is gone.
        let _: Result<(), _> = all_done.await;
    }

    /// As [`shutdown`](Self::shutdown), for programs without a runtime: it blocks. Works inside of any
    /// runtime too, also of one whose only thread it blocks.
    pub fn shutdown_blocking(mut self) {
        if self.is_of_a_parent() {
            return;
        }
        self.readiness.set(false);
        self.send_last();
        if let Some(admin) = self.admin.take() {
            admin.stop(CLOSE_TIME);
        }
    }

    /// Pushes everything now, also to a receiver that was away a moment ago. Blocks until it is done,
    /// for `limit` at the most; inside of any runtime, also of one whose only thread it blocks.
    ///
    /// # Errors
    /// [`Unfinished`] when not everything was delivered. What that was is in `barograph.push.dropped`
    /// on the page, or is pushed later.
    #[cfg(feature = "otlp")]
    pub fn flush(&self, limit: Duration) -> Result<(), Unfinished> {
        match &self.pushing {
            Some(_) if self.is_of_a_parent() => Err(Unfinished::Ended),
            Some(pushing) => pushing.flush(limit),
            None => Ok(()),
        }
    }

    /// As [`flush`](Self::flush), without blocking. The future needs no runtime.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    #[cfg(feature = "otlp")]
    pub async fn flush_async(&self, limit: Duration) -> Result<(), Unfinished> {
        match &self.pushing {
            Some(_) if self.is_of_a_parent() => Err(Unfinished::Ended),
            Some(pushing) => pushing.flush_async(limit).await,
            None => Ok(()),
        }
    }

    /// Counts for the library.
    #[cfg(feature = "axum")]
    pub(crate) fn own(&self) -> Arc<Own> {
        self.pages.own()
    }

    /// What is left to do when a panic ends the process.
    pub(crate) fn last(&self) -> Last {
        Last {
            sender: self.pushing.as_ref().map(Pushing::sender),
            spans: self.heard.spans.clone(),
            terminal: self.heard.terminal.clone(),
        }
    }

    /// Sends what is left, if that was not done yet.
    fn send_last(&mut self) {
        let deadline = Instant::now() + FLUSH_TIME;
        let flushes = self
            .flushes
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let flushes = begin(std::mem::take(flushes), deadline);
        if let Some(pushing) = self.pushing.take() {
            pushing.shutdown(self.heard.spans.as_ref(), deadline);
        }
        self.heard.end_lines(LINES_TIME);
        let left = deadline.saturating_duration_since(Instant::now());
        // Nothing is ever sent: it returns when the last of them has ended, or at the deadline.
        let _: Result<(), _> = flushes.recv_timeout(left);
        self.at_exit = None;
    }

    /// In the child of a fork there are no threads that could end, locks may be held for good, and what
    /// waits is the parent's.
    fn is_of_a_parent(&self) -> bool {
        self.generation != process::generation()
    }

    /// Leaves everything as it is, for good.
    fn leave_to_parent(&mut self) {
        std::mem::forget(self.admin.take());
        std::mem::forget(self.pushing.take());
        std::mem::forget(std::mem::take(&mut self.flushes));
        // Whoever has the last of them would drop what is in it.
        std::mem::forget(Arc::clone(&self.heard));
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

/// Runs all on threads of their own. What is returned ends with the last of them; one that has not
/// returned by the deadline is left behind.
fn begin(flushes: Vec<Flush>, deadline: Instant) -> Receiver<()> {
    let (done, all_done) = mpsc::channel();
    for flush in flushes {
        let done = done.clone();
        let run = move || {
            flush(deadline);
            drop(done);
        };
        // Without a thread there is nobody to flush.
        let _ = std::thread::Builder::new()
            .name("barograph-flush".into())
            .spawn(run);
    }
    all_done
}

/// How long what is left may take to be sent.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long lines may take to be written.
const LINES_TIME: Duration = Duration::from_millis(500);
/// How long pages that are being read have to end.
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
