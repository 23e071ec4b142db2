//! One call, from the call of the service to the end of the stream.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use barograph_core::clock::Stopwatch;
use barograph_model::context::TraceContext;
use barograph_model::grpc::Code;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, response};

use super::recorder::{Answered, Duration, Made, Recorder, Side, is_grpc};
use super::spans;
use super::status;
use crate::lifecycle::{self, End};
use barograph_tracing::instrument::OperationSpan;
use barograph_tracing::instrument::{BoxError, OTHER};

/// A call that a server is answering or that a client is waiting for.
pub struct GrpcExchange {
    recorder: Arc<Recorder>,
    span: OperationSpan,
    start: Stopwatch,
    uri: Uri,
    method: Option<Arc<str>>,
    status: Option<Code>,
    /// True if the status came from a header or trailer and was not derived from the HTTP status.
    is_received: bool,
    /// The status that the client's caller sees instead, if an error ended the call.
    failed: Option<Code>,
}

impl fmt::Debug for GrpcExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcExchange").finish_non_exhaustive()
    }
}

impl GrpcExchange {
    /// Begins an exchange when a service is called. Returns none for requests that are not recorded.
    ///
    /// The current span is the parent of the new one; `linked` is another span context to link to.
    pub(super) fn begin(
        recorder: &Arc<Recorder>,
        linked: Option<TraceContext>,
        request: &Parts,
    ) -> Option<Self> {
        let settings = &recorder.settings;
        if !settings.wants(request) {
            return None;
        }
        let name = name_of(&request.uri);
        let method = settings.methods.get(name).or_else(|| match recorder.side {
            // The program itself chooses what it calls, so these names can be trusted.
            Side::Client => settings.methods.learn(name),
            Side::Server => None,
        });
        let span = spans::call(settings, recorder.side, request, method.as_deref());
        if let Some(linked) = linked {
            span.link(linked);
        }
        Some(GrpcExchange {
            recorder: recorder.clone(),
            span,
            start: Stopwatch::start(),
            uri: request.uri.clone(),
            method,
            status: None,
            is_received: false,
            failed: None,
        })
    }

    /// Learns the called method, once it is certain that the server has it.
    fn learn(&mut self) {
        if self.method.is_none() {
            let name = name_of(&self.uri);
            self.method = self.recorder.settings.methods.learn(name);
            if let Some(method) = &self.method {
                spans::name_late(&self.span, method);
            }
        }
    }

    fn record(mut self, end: End) {
        if self.is_received && self.status.is_some_and(status::is_of_a_method) {
            self.learn();
        }
        if self.method.is_none() {
            spans::name_original(&self.span, name_of(&self.uri));
        }
        let Recorder {
            settings,
            side,
            duration,
            ..
        } = &*self.recorder;
        let (status, cause) = match (end, self.status) {
            (End::Panic, _) => (None, "panic"),
            // A received status is the outcome of the call, whatever happens afterwards.
            (_, Some(status)) => (Some(status), ""),
            (End::Complete | End::Upgrade, None) => (Some(Code::Unknown), ""),
            (End::Dropped, None) => (Some(Code::Cancelled), ""),
            (End::ServiceError(_), None) if *side == Side::Server => (None, "service_error"),
            (End::BodyError(_), None) if *side == Side::Server => (None, "body_error"),
            (End::ServiceError(cause) | End::BodyError(cause), None) => (self.failed, cause),
        };
        let error = match status {
            // The reason why a client got no answer says more than the status derived from it.
            _ if !matches!(cause, "" | OTHER) => cause,
            Some(code) if status::is_servers_fault(code) => code.as_str(),
            Some(code) if *side == Side::Client && code != Code::Ok => code.as_str(),
            _ => cause,
        };
        let status = status.map_or("", Code::as_str);
        if !status.is_empty() {
            self.span.text("rpc.response.status_code", status);
        }
        if !error.is_empty() {
            self.span.fail(error);
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let _entered = self.span.enter();
        let method = self.method.as_deref().unwrap_or("_OTHER");
        match duration {
            Duration::Server(Some(family)) => {
                let call = Answered {
                    system: "grpc",
                    method,
                    status,
                    error,
                };
                family.with(&call).observe(seconds);
            }
            Duration::Client(Some(family)) => {
                let (address, port) = settings.called(&self.uri);
                let call = Made {
                    system: "grpc",
                    method,
                    status,
                    error,
                    address,
                    port,
                };
                family.with(&call).observe(seconds);
            }
            Duration::Server(None) | Duration::Client(None) => {}
        }
    }
}

/// Returns `package.Service/Method`, which is the path without its leading slash.
fn name_of(uri: &Uri) -> &str {
    uri.path().strip_prefix('/').unwrap_or_default()
}

impl lifecycle::Exchange for GrpcExchange {
    fn enter(&self) -> impl Sized + '_ {
        self.span.enter()
    }

    fn respond(&mut self, head: &mut response::Parts) -> Option<End> {
        self.status = status::of(&head.headers);
        self.is_received = self.status.is_some();
        if self.is_received {
            return None;
        }
        if head.status != StatusCode::OK {
            self.status = Some(status::of_http(head.status));
        } else if is_grpc(&head.headers) {
            // Messages may follow, if the client waits for them: only a method's own code answers so.
            self.learn();
        }
        None
    }

    fn awaits_trailers(&self) -> bool {
        !self.is_received
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = status::of(trailers) {
            self.status = Some(status);
            self.is_received = true;
        }
    }

    fn fail(&mut self, error: &dyn Any) -> Option<&'static str> {
        if self.recorder.side == Side::Client {
            let error = error.downcast_ref::<BoxError>();
            self.failed = error.map(|error| status::of_error(&**error));
        }
        None
    }

    fn end(self, end: End) {
        self.record(end);
    }
}
