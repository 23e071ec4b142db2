//! The routes of the admin pages.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, RETRY_AFTER, VARY,
};
use http::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use crate::admin::body::Answer;
use crate::admin::hosts::Hosts;
use crate::admin::page_slots::{Activity, PageSlots};
use crate::page::Pages;
use crate::readiness::Readiness;
use crate::self_metrics::{AdminFailure, SelfMetrics};

/// The state that responses are made from. Clones share it.
#[derive(Clone)]
pub(crate) struct Routes {
    /// None if telemetry is disabled.
    pages: Option<Pages>,
    readiness: Readiness,
    hosts: Hosts,
    slots: PageSlots,
    makers: Arc<Semaphore>,
    own: Option<Arc<SelfMetrics>>,
}

/// The connection on which a request arrived.
#[derive(Clone)]
pub(super) struct On {
    pub(super) listener: SocketAddr,
    pub(super) activity: Arc<Activity>,
    /// True if it uses the last file descriptor, which it has to release soon.
    pub(super) is_last: bool,
}

impl Routes {
    pub(crate) fn new(
        pages: Option<Pages>,
        readiness: Readiness,
        hosts: Hosts,
        own: Option<Arc<SelfMetrics>>,
    ) -> Self {
        Routes {
            pages,
            readiness,
            hosts,
            slots: PageSlots::new(),
            makers: Arc::new(Semaphore::new(MAKERS)),
            own,
        }
    }

    /// Returns the self metrics.
    pub(super) fn own(&self) -> Option<&Arc<SelfMetrics>> {
        self.own.as_ref()
    }

    /// Counts a failure from which the server recovers.
    pub(super) fn failed(&self, reason: AdminFailure) {
        if let Some(own) = &self.own {
            own.admin_failed(reason);
        }
    }

    /// Returns the response to a request, also if a handler panics.
    pub(super) async fn answer<B>(&self, request: Request<B>, on: &On) -> Response<Answer> {
        let mut answer = Box::pin(self.route(request, on));
        let answer =
            poll_fn(
                |cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
                    Ok(polled) => polled.map(Some),
                    Err(_) => Poll::Ready(None),
                },
            );
        answer.await.unwrap_or_else(|| self.panicked())
    }

    async fn route<B>(&self, request: Request<B>, on: &On) -> Response<Answer> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            let mut response = words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            set(&mut response, ALLOW, "GET, HEAD");
            return response;
        }
        match (request.uri().path(), &self.pages) {
            ("/health", _) => words(StatusCode::OK, "alive\n"),
            ("/ready", _) if self.readiness.is_ready() => words(StatusCode::OK, "ready\n"),
            ("/ready", _) => words(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ if !self.hosts.allow(&request, on.listener) => words(
                StatusCode::MISDIRECTED_REQUEST,
                "only for this machine, by an address or name of it; TelemetryBuilder::with_allowed_host or \
                 BAROGRAPH_ALLOWED_HOSTS allow other names\n",
            ),
            ("/metrics", Some(pages)) => self.page(pages, &request, on).await,
            (_, Some(_)) => words(
                StatusCode::NOT_FOUND,
                "not found: this server has /metrics, /health and /ready\n",
            ),
            (_, None) => words(
                StatusCode::NOT_FOUND,
                "not found: this server has /health and /ready\n",
            ),
        }
    }

    async fn page<B>(&self, pages: &Pages, request: &Request<B>, on: &On) -> Response<Answer> {
        let accept = joined(request.headers(), &ACCEPT);
        let encoding = joined(request.headers(), &ACCEPT_ENCODING);
        let negotiated = pages.negotiate(accept.as_deref(), encoding.as_deref());
        let body = if request.method() == Method::HEAD {
            Answer::words("")
        } else {
            let deadline = Instant::now() + PAGE_TIME;
            let slot = match on.is_last {
                true => None,
                false => self.slots.take(&on.activity).await,
            };
            let Some(slot) = slot else {
                pages.busy();
                let mut response = words(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many concurrent scrapes\n",
                );
                set(&mut response, RETRY_AFTER, "1");
                return response;
            };
            let pages = pages.clone();
            // Callbacks run when a page is begun; slow ones must not block `/health`. They hold the
            // slot, so that the number of callbacks that never return is limited.
            let begin = move || (pages.scrape(negotiated), slot);
            let Ok((scrape, slot)) = tokio::task::spawn_blocking(begin).await else {
                return self.panicked();
            };
            Answer::page(scrape, slot, deadline, Arc::clone(&self.makers))
        };
        let mut response = Response::new(body);
        set(&mut response, CONTENT_TYPE, &negotiated.content_type());
        if let Some(encoding) = negotiated.content_encoding() {
            set(&mut response, CONTENT_ENCODING, encoding);
        }
        set(&mut response, VARY, "accept, accept-encoding");
        set(&mut response, CACHE_CONTROL, "no-store");
        response
    }

    fn panicked(&self) -> Response<Answer> {
        self.failed(AdminFailure::Request);
        words(StatusCode::INTERNAL_SERVER_ERROR, "it was not begun\n")
    }
}

/// Joins all values of a header; values that are not text are ignored.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn words(status: StatusCode, words: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::words(words));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn set(response: &mut Response<Answer>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The number of threads that render chunks of pages, which limits the CPU time taken from the
/// service.
pub(super) const MAKERS: usize = 2;
/// The time that one page may take in total. Scrapers give up long before.
const PAGE_TIME: Duration = Duration::from_secs(60);
