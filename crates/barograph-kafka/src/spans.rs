//! The span of an operation, with the attributes that are known when it begins.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Kafka spans".

use tracing::field::Empty;
use tracing::{Level, info_span, span_enabled};

use crate::record::Record;
use crate::recorder::{Action, Settings};
use barograph_tracing::instrument::{OperationSpan, bounded};

/// Returns the span of an operation on a record, or on a batch.
pub(crate) fn operation(
    settings: &Settings,
    action: Action,
    kind: &'static str,
    record: &Record<'_>,
    batch: Option<usize>,
) -> OperationSpan {
    const TARGET: &str = "barograph::kafka";
    if !span_enabled!(target: TARGET, Level::INFO) {
        return OperationSpan::none();
    }
    let (address, port) = settings.server.as_ref().map(|(a, p)| (&**a, *p)).unzip();
    let is_consumer = !matches!(action, Action::Create | Action::Send);
    let group = settings.group.as_deref().filter(|_| is_consumer);
    let partition = record.partition.map(|partition| partition.to_string());
    info_span!(
        target: TARGET,
        "kafka",
        otel.name = format_args!("{} {}", action.name(), record.topic),
        otel.kind = kind,
        otel.status_code = Empty,
        error.type = Empty,
        messaging.batch.message_count = batch,
        messaging.client.id = settings.client.as_deref(),
        messaging.consumer.group.name = group,
        messaging.destination.name = record.topic,
        messaging.destination.partition.id = partition.as_deref(),
        messaging.kafka.cluster.id = settings.cluster.as_deref(),
        messaging.kafka.message.key = record.key.map(bounded),
        messaging.kafka.message.tombstone = record.is_tombstone.then_some(true),
        messaging.kafka.offset = record.offset,
        messaging.operation.name = action.name(),
        messaging.operation.type = action.kind(),
        messaging.system = "kafka",
        server.address = address,
        server.port = port,
    )
    .into()
}
