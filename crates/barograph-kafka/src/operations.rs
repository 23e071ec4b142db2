//! The operations of a Kafka client.

use std::fmt;
use std::sync::Arc;

use barograph_core::current;
use barograph_model::carrier::{Carrier, CarrierMut};
use barograph_model::context::{Propagation, TraceContext};

use crate::operation::Operation;
use crate::record::Record;
use crate::recorder::{Recorder, Relation};
use crate::spans;
use barograph_tracing::instrument::ReceivedContext;
use barograph_tracing::instrument::messaging::{BATCH, KafkaOperation};

/// Records the operations of a Kafka client. Clones share all state.
#[derive(Clone)]
pub struct Kafka {
    recorder: Arc<Recorder>,
}

impl Kafka {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Kafka {
            recorder: Arc::new(recorder),
        }
    }

    /// Begins to create one record of a batch, and injects the context into its headers.
    ///
    /// A producer that sends records one by one needs only [`send`](Self::send).
    pub fn create(&self, record: &Record<'_>, headers: &mut impl CarrierMut) -> Operation {
        let operation = self.begin(
            KafkaOperation::Create,
            "producer",
            record,
            None,
            ReceivedContext::default(),
        );
        self.inject(&operation, headers);
        operation
    }

    /// Begins to send a record, and injects the context into its headers.
    ///
    /// A record that already has a context keeps it, and the span has a link to it.
    pub fn send<H: Carrier + CarrierMut>(&self, record: &Record<'_>, headers: &mut H) -> Operation {
        let created = self
            .recorder
            .settings
            .propagators()
            .extract(headers)
            .trace();
        let kind = if created.is_some() {
            "client"
        } else {
            "producer"
        };
        let operation = self.begin(
            KafkaOperation::Produce,
            kind,
            record,
            None,
            ReceivedContext::default(),
        );
        match created {
            Some(created) => operation.span().link(created),
            None => self.inject(&operation, headers),
        }
        operation
    }

    /// Begins to send records that were [created](Self::create) before, in these contexts.
    pub fn send_batch(
        &self,
        batch: &Record<'_>,
        created: impl IntoIterator<Item = TraceContext>,
        count: usize,
    ) -> Operation {
        let scope = ReceivedContext::default();
        let mut operation =
            self.begin(KafkaOperation::Produce, "client", batch, Some(count), scope);
        operation.count(count as u64);
        for context in created {
            operation.span().link(context);
        }
        operation
    }

    /// Begins to wait for records of a topic. Report those that arrive by [`received`](Self::received).
    pub fn receive(&self, batch: &Record<'_>) -> Operation {
        let scope = ReceivedContext::default();
        let mut operation = self.begin(KafkaOperation::Receive, "client", batch, None, scope);
        operation.count(0);
        operation
    }

    /// Reports the records that arrived: the span gets a link to the span that created each.
    pub fn received<'a, H: Carrier + 'a>(
        &self,
        operation: &mut Operation,
        headers: impl IntoIterator<Item = &'a H>,
    ) {
        let mut count = 0;
        for headers in headers {
            count += 1;
            let created = self.recorder.settings.propagators().extract(headers);
            if let Some(created) = created.trace() {
                operation.span().link(created);
            }
        }
        operation.count(count);
        operation.span().number(BATCH, count);
    }

    /// Begins to process a record that arrived with these headers.
    ///
    /// The [relation](Relation) decides how it relates to the span that created the record.
    pub fn process(&self, record: &Record<'_>, headers: &impl Carrier) -> Operation {
        let settings = &self.recorder.settings;
        let received = settings.propagators().extract(headers);
        let created = received.trace();
        let here = current::context();
        let (scope, linked) = match settings.relation {
            // The parent is not linked too, although the conventions do so: the link adds nothing, and
            // Jaeger shows a link to a span in place of the same span as a parent.
            Relation::Parent if created.is_some() => (received, here),
            _ => {
                let around = current::propagation();
                let baggage = match received.baggage() {
                    none if none.is_empty() => around.baggage(),
                    some => some,
                };
                let baggage = baggage.clone();
                (around.with_baggage(baggage), created)
            }
        };
        let scope = ReceivedContext::of_here(scope);
        let operation = self.begin(KafkaOperation::Process, "consumer", record, None, scope);
        if let Some(linked) = linked {
            operation.span().link(linked);
        }
        operation
    }

    /// Begins to commit the offsets of a topic.
    pub fn settle(&self, batch: &Record<'_>) -> Operation {
        self.begin(
            KafkaOperation::Settle,
            "client",
            batch,
            None,
            ReceivedContext::default(),
        )
    }

    fn begin(
        &self,
        operation: KafkaOperation,
        kind: &'static str,
        record: &Record<'_>,
        batch: Option<usize>,
        scope: ReceivedContext,
    ) -> Operation {
        let span = {
            let _in_scope = scope.enter();
            spans::operation(&self.recorder.settings, operation, kind, record, batch)
        };
        Operation::begin(&self.recorder, operation, record, scope, span, 1)
    }

    /// Injects the context of an operation into headers.
    fn inject(&self, operation: &Operation, headers: &mut impl CarrierMut) {
        let sent: Propagation = operation.propagation();
        self.recorder.settings.propagators().inject(&sent, headers);
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Kafka");
        out.field("settings", &self.recorder.settings)
            .finish_non_exhaustive()
    }
}
