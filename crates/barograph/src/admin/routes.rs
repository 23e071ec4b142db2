//! Which path answers what.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, RETRY_AFTER, VARY,
};
use http::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::admin::body::{Answer, Busy, Paging};
use crate::page::Pages;
use crate::readiness::Readiness;

/// What the answers are made of. Clones share it.
#[derive(Clone)]
pub(crate) struct Routes {
    /// None when telemetry is disabled.
    pages: Option<Pages>,
    readiness: Readiness,
    places: Arc<Semaphore>,
}

impl Routes {
    pub(crate) fn new(pages: Option<Pages>, readiness: Readiness) -> Self {
        Routes {
            pages,
            readiness,
            places: Arc::new(Semaphore::new(MOST_PAGES)),
        }
    }

    /// The answer to a request on a connection that is `busy` or not.
    pub(super) async fn answer<B>(
        &self,
        request: Request<B>,
        connection: &Arc<AtomicBool>,
    ) -> Response<Answer> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            let mut response = words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            set(&mut response, ALLOW, "GET, HEAD");
            return response;
        }
        match (request.uri().path(), &self.pages) {
            ("/metrics", Some(pages)) => self.page(pages, &request, connection).await,
            ("/health", _) => words(StatusCode::OK, "alive\n"),
            ("/ready", _) if self.readiness.is_ready() => words(StatusCode::OK, "ready\n"),
            ("/ready", _) => words(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            (_, Some(_)) => words(
                StatusCode::NOT_FOUND,
                "here are /metrics, /health and /ready\n",
            ),
            (_, None) => words(StatusCode::NOT_FOUND, "here are /health and /ready\n"),
        }
    }

    async fn page<B>(
        &self,
        pages: &Pages,
        request: &Request<B>,
        connection: &Arc<AtomicBool>,
    ) -> Response<Answer> {
        let accept = joined(request.headers(), &ACCEPT);
        let encoding = joined(request.headers(), &ACCEPT_ENCODING);
        let negotiated = pages.negotiate(accept.as_deref(), encoding.as_deref());
        let body = if request.method() == Method::HEAD {
            Answer::words("")
        } else {
            let busy = Busy::begin(connection);
            let deadline = Instant::now() + PAGE_TIME;
            let Ok(Ok(permit)) = timeout(QUEUE_TIME, self.places.clone().acquire_owned()).await
            else {
                pages.busy();
                let mut response =
                    words(StatusCode::SERVICE_UNAVAILABLE, "too many pages at once\n");
                set(&mut response, RETRY_AFTER, "1");
                return response;
            };
            let pages = pages.clone();
            // Callbacks run at the begin of a page; those that take long must not stop `/health`.
            // The place goes with them, so that callbacks which never return stay few.
            let begin = move || (pages.scrape(negotiated), permit);
            let Ok((scrape, permit)) = tokio::task::spawn_blocking(begin).await else {
                return words(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the page was not begun\n",
                );
            };
            Answer::Page(Box::new(Paging {
                scrape,
                deadline,
                _permit: permit,
                _busy: busy,
            }))
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
}

/// All values of a header as one; what is no text counts as nothing.
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

/// Pages under way at once; the next ones wait.
pub(super) const MOST_PAGES: usize = 8;
/// How long they wait before they are sent away.
const QUEUE_TIME: Duration = Duration::from_secs(1);
/// How long one page may take in all. Scrapers give up long before.
const PAGE_TIME: Duration = Duration::from_secs(60);
