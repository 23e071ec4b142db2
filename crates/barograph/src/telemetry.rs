//! The running telemetry of a process.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use barograph_model::resource::Resource;

use crate::admin::Admin;
use crate::page::{Page, Pages};
use crate::readiness::Readiness;

/// The telemetry of a service, from [`init`](crate::init()) on until it is shut down.
///
/// What is recorded needs it not: the global registry was there before, and stays. It serves the
/// pages; when it is dropped, they are gone.
#[must_use = "the pages are gone when it is dropped"]
pub struct Telemetry {
    pages: Pages,
    readiness: Readiness,
    resource: Resource,
    admin: Option<Admin>,
    flushes: Vec<Flush>,
}

/// Sends what is left, until the given moment at the latest.
pub(crate) type Flush = Box<dyn FnOnce(Instant) + Send>;

impl Telemetry {
    pub(crate) fn new(
        pages: Pages,
        readiness: Readiness,
        resource: Resource,
        admin: Option<Admin>,
        flushes: Vec<Flush>,
    ) -> Self {
        Telemetry {
            pages,
            readiness,
            resource,
            admin,
            flushes,
        }
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
    /// listener.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Who is speaking.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Ends the telemetry in order: what has to be sent is, then the pages go, those last that are
    /// being read. Takes 5 s for each of the two at the most, and blocks meanwhile.
    ///
    /// [`serve`](Self::serve) does it by itself.
    pub fn shutdown(mut self) {
        self.readiness.set(false);
        let flushes = std::mem::take(&mut self.flushes);
        flush(flushes, Instant::now() + FLUSH_TIME);
        if let Some(admin) = self.admin.take() {
            admin.stop(CLOSE_TIME);
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

/// Runs all on threads of their own and waits for them until the deadline. One that has not
/// returned by then is left behind.
fn flush(flushes: Vec<Flush>, deadline: Instant) {
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
    drop(done);
    let left = deadline.saturating_duration_since(Instant::now());
    // Nothing is ever sent: it returns when the last sender is gone, or at the deadline.
    let _: Result<(), _> = all_done.recv_timeout(left);
}

/// How long what is left may take to be sent.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long pages that are being read have to end.
const CLOSE_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

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
        flush(
            vec![quick, endless, panicking],
            began + Duration::from_secs(1),
        );
        assert_eq!(flushed.load(Ordering::Relaxed), 1);
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
