//! The client layer as a middleware for reqwest.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request, Response};
use reqwest::{Body, ResponseBuilderExt as _};
use reqwest_middleware::{Error, Middleware, Next};

use super::HttpClientLayer;
use super::attempts::Attempts;
use super::exchange::HttpClientExchange;
use super::recorder::HttpClientRecorder;
use crate::lifecycle::{Layers, Ongoing, ResponseFuture};
use barograph_tracing::instrument;
use barograph_tracing::instrument::ReceivedContext;

/// A middleware of `reqwest-middleware` that records the requests of a reqwest client, as an
/// [`HttpClientLayer`] does.
///
/// Add it after a middleware that retries: then each attempt has a span with its number. Redirects that
/// reqwest follows by itself are part of their request. The template of a request's path, a
/// [`Route`](crate::http::Route), goes into its extensions.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tower::http::HttpClientLayer;
/// #     pub use barograph_tower::http::client::HttpClientMiddleware;
/// # }
/// use barograph::{HttpClientLayer, HttpClientMiddleware};
/// use reqwest_middleware::ClientBuilder;
///
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(HttpClientMiddleware::from(HttpClientLayer::builder().build()))
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct HttpClientMiddleware {
    recorder: Arc<HttpClientRecorder>,
}

impl From<HttpClientLayer> for HttpClientMiddleware {
    fn from(layer: HttpClientLayer) -> Self {
        HttpClientMiddleware {
            recorder: layer.recorder,
        }
    }
}

#[async_trait::async_trait]
impl Middleware for HttpClientMiddleware {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<reqwest::Response, Error> {
        let Ok(uri) = request.url().as_str().parse() else {
            return next.run(request, extensions).await;
        };
        let layers = &self.recorder.layers;
        if layers.is_nested::<HttpClientMiddleware>(extensions) {
            return next.run(request, extensions).await;
        }
        let marked = Marked(extensions);
        let extensions = &mut *marked.0;
        // The request in the form that layers see; the headers are moved back below.
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = request.method().clone();
        parts.uri = uri;
        parts.version = request.version();
        parts.headers = std::mem::take(request.headers_mut());
        extensions.get_or_insert_default::<Attempts>();
        parts.extensions = extensions.clone();
        let exchange = HttpClientExchange::begin(&self.recorder, &parts);
        let exchange = exchange.map(|exchange| exchange.with_errors(error_type));
        if exchange.is_some() {
            layers.mark::<HttpClientMiddleware>(extensions);
        }
        let ongoing = Ongoing::new(ReceivedContext::default(), exchange);
        let sent = {
            let _entered = ongoing.enter_exchange();
            self.recorder.inject(&mut parts);
            *request.headers_mut() = parts.headers;
            next.run(request, extensions)
        };
        let sent = async {
            let response = sent.await?;
            let url = response.url().clone();
            let mut response = Response::<Body>::from(response);
            response.extensions_mut().insert(Asked(url));
            Ok::<_, Error>(response)
        };
        let response = ResponseFuture::new(sent, ongoing).await?;
        Ok(whole(response.map(Body::wrap)))
    }
}

/// Removes the mark of a layer when the request is over, because attempts share their extensions.
struct Marked<'a>(&'a mut Extensions);

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        Layers::unmark::<HttpClientMiddleware>(self.0);
    }
}

/// The final URL, after redirects.
#[derive(Clone)]
struct Asked(reqwest::Url);

/// Rebuilds a response with its URL, which only a builder can set.
fn whole(response: Response<Body>) -> reqwest::Response {
    let (head, body) = response.into_parts();
    let mut response = Response::builder();
    if let Some(Asked(url)) = head.extensions.get().cloned() {
        response = response.url(url);
    }
    let mut response = response.body(body).expect("nothing in it is invalid");
    *response.status_mut() = head.status;
    *response.version_mut() = head.version;
    *response.headers_mut() = head.headers;
    response.extensions_mut().extend(head.extensions);
    response.into()
}

/// Returns the kind of a reqwest error.
fn error_type(error: &dyn Any) -> Option<&'static str> {
    let error = match error.downcast_ref::<Error>() {
        Some(Error::Reqwest(error)) => error,
        Some(Error::Middleware(error)) => {
            return Some(instrument::cause(&**error).unwrap_or(instrument::OTHER));
        }
        None => error.downcast_ref::<reqwest::Error>()?,
    };
    Some(match instrument::cause(error) {
        Some(cause) => cause,
        None if error.is_connect() => "connection_failed",
        None if error.is_redirect() => "too_many_redirects",
        None => instrument::OTHER,
    })
}

impl fmt::Debug for HttpClientMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientMiddleware")
            .finish_non_exhaustive()
    }
}
