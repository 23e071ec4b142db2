//! One operation, from its beginning to its end.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use barograph_core::clock::Stopwatch;
use barograph_core::current;
use barograph_model::context::{Propagation, TraceContext};

use crate::record::Record;
use crate::recorder::{Recorder, TopicPartition};
use barograph_tracing::instrument::OperationSpan;
use barograph_tracing::instrument::ReceivedContext;
use barograph_tracing::instrument::error_type;
use barograph_tracing::instrument::messaging::KafkaOperation;

/// An operation on records. It ends when it is dropped, and is recorded then.
///
/// Run its code [within](Operation::within) it, or its future by [`run`](Operation::run).
#[must_use = "it ends when it is dropped"]
pub struct Operation {
    recorder: Arc<Recorder>,
    operation: KafkaOperation,
    scope: ReceivedContext,
    span: OperationSpan,
    start: Stopwatch,
    topic_partition: TopicPartition,
    messages: u64,
    error: Option<&'static str>,
    /// True if the thread was unwinding already, which is no sign of a panic in the operation.
    began_unwinding: bool,
}

impl Operation {
    pub(crate) fn begin(
        recorder: &Arc<Recorder>,
        operation: KafkaOperation,
        record: &Record<'_>,
        scope: ReceivedContext,
        span: OperationSpan,
        messages: u64,
    ) -> Self {
        Operation {
            recorder: recorder.clone(),
            operation,
            scope,
            span,
            start: Stopwatch::start(),
            topic_partition: TopicPartition {
                topic: record.topic.into(),
                partition: record.partition,
            },
            messages,
            error: None,
            began_unwinding: std::thread::panicking(),
        }
    }

    /// Runs a function as part of the operation.
    pub fn within<T>(&self, f: impl FnOnce() -> T) -> T {
        let _in_scope = self.scope.enter();
        let _entered = self.span.enter();
        f()
    }

    /// Runs a future as part of the operation, which ends with its result: an error is recorded by its
    /// type. If it is dropped earlier, the operation ends as `cancelled`.
    ///
    /// # Errors
    /// Returns the error of the future.
    pub fn run<T, E: 'static>(
        mut self,
        future: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // Not set by the future, which may be dropped before its first poll.
        self.error = Some("cancelled");
        self.run_to_end(future)
    }

    async fn run_to_end<T, E: 'static>(
        mut self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = Within {
            operation: &self,
            future: pin!(future),
        };
        let result = result.await;
        self.error = result.as_ref().err().map(error_type);
        result
    }

    /// Returns what to propagate: the context of the operation, and the baggage of the record.
    pub fn propagation(&self) -> Propagation {
        self.within(current::propagation)
    }

    /// Returns the context of the operation, for [`Kafka::send_batch`](crate::Kafka::send_batch).
    pub fn context(&self) -> Option<TraceContext> {
        self.within(current::context)
    }

    /// Marks the operation as failed with this error: a type or a code such as
    /// `UNKNOWN_TOPIC_OR_PARTITION`, never a message. The last one counts.
    pub fn fail(&mut self, error: &'static str) {
        self.error = Some(error);
    }

    /// Ends the operation.
    pub fn end(self) {}

    pub(crate) fn count(&mut self, messages: u64) {
        self.messages = messages;
    }

    pub(crate) fn span(&self) -> &OperationSpan {
        &self.span
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let error = if std::thread::panicking() && !self.began_unwinding {
            "panic"
        } else {
            self.error.unwrap_or_default()
        };
        if !error.is_empty() {
            self.span.fail(error);
        }
        let took = self.start.elapsed().as_secs_f64();
        let this = &*self;
        this.within(|| {
            this.recorder.record(
                this.operation,
                &this.topic_partition,
                this.messages,
                took,
                error,
            );
        });
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("operation", &self.operation)
            .field("topic_partition", &self.topic_partition)
            .finish_non_exhaustive()
    }
}

/// A future that is polled within an operation.
struct Within<'a, 'f, F> {
    operation: &'a Operation,
    future: Pin<&'f mut F>,
}

impl<F: Future> Future for Within<'_, '_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let future = this.future.as_mut();
        this.operation.within(|| future.poll(cx))
    }
}
