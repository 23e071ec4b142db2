//! Replaces `push` without the feature `otlp`: nothing is pushed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use barograph_core::record_queue::Fanout;
use barograph_encode::otlp::Signal;
use barograph_model::log::LogRecord;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use barograph_model::span::SpanRecord;
use barograph_tracing::trace::TraceHandle;

use crate::error::StartError;
use crate::self_metrics::SelfMetrics;

#[derive(Default)]
pub(crate) struct Pushes {}

impl Pushes {
    pub(crate) fn targets(&self) -> Vec<(Signal, String)> {
        Vec::new()
    }

    pub(crate) fn spans(&self) -> Fanout<SpanRecord> {
        Fanout::default()
    }

    pub(crate) fn log_records(&self) -> Fanout<LogRecord> {
        Fanout::default()
    }

    pub(crate) fn report_left_out(&mut self, _own: &Arc<SelfMetrics>) {}

    pub(crate) fn accounts(&self) -> Option<Arc<dyn Source>> {
        None
    }

    pub(crate) fn ready(
        self,
        _resource: &Resource,
        _sources: &[Arc<dyn Source>],
    ) -> Result<Ready, StartError> {
        Ok(Ready)
    }
}

/// Replaces the prepared pipelines; nothing is pushed.
pub(crate) struct Ready;

impl Ready {
    #[expect(clippy::unnecessary_wraps, reason = "as the other")]
    pub(crate) fn run(self) -> Result<Option<Pushing>, StartError> {
        Ok(None)
    }
}

/// Never exists, since nothing is pushed.
#[derive(Debug)]
pub(crate) enum Pushing {}

impl Pushing {
    pub(crate) fn sender(&self) -> Sender {
        match *self {}
    }

    pub(crate) fn shutdown(self, _spans: Option<&TraceHandle>, _deadline: Instant) {
        match self {}
    }
}

/// Never exists, since nothing is pushed.
#[derive(Clone, Debug)]
pub(crate) enum Sender {}

impl Sender {
    pub(crate) fn send_all(
        &self,
        _spans: Option<&TraceHandle>,
        _deadline: Instant,
    ) -> Result<(), Infallible> {
        match *self {}
    }
}
