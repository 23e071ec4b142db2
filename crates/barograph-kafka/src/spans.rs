//! The span of an operation, with the attributes that are known when it begins.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Kafka spans".

use tracing::field::Empty;
use tracing::{Level, info_span, span_enabled};

use crate::record::Record;
use crate::recorder::Settings;
use barograph_tracing::instrument::messaging::{
    BATCH, CLIENT_ID, DESTINATION, GROUP, KafkaOperation, MESSAGE_KEY, OFFSET, OPERATION_NAME,
    OPERATION_TYPE, PARTITION, SYSTEM, TOMBSTONE,
};
use barograph_tracing::instrument::{OperationSpan, bounded};

/// Returns the span of an operation on a record, or on a batch.
pub(crate) fn operation(
    settings: &Settings,
    operation: KafkaOperation,
    kind: &'static str,
    record: &Record<'_>,
    batch: Option<usize>,
) -> OperationSpan {
    const TARGET: &str = "barograph::kafka";
    if !span_enabled!(target: TARGET, Level::INFO) {
        return OperationSpan::none();
    }
    let (address, port) = settings.server.as_ref().map(|(a, p)| (&**a, *p)).unzip();
    let partition = record.partition.map(|partition| partition.to_string());
    info_span!(
        target: TARGET,
        "kafka",
        otel.name = format_args!("{} {}", operation.name(), record.topic),
        otel.kind = kind,
        otel.status_code = Empty,
        error.type = Empty,
        { BATCH } = batch,
        { CLIENT_ID } = settings.client.as_deref(),
        { GROUP } = settings.group_of(operation),
        { DESTINATION } = record.topic,
        { PARTITION } = partition.as_deref(),
        messaging.kafka.cluster.id = settings.cluster.as_deref(),
        { MESSAGE_KEY } = record.key.map(bounded),
        { TOMBSTONE } = record.is_tombstone.then_some(true),
        { OFFSET } = record.offset,
        { OPERATION_NAME } = operation.name(),
        { OPERATION_TYPE } = operation.operation_type(),
        { SYSTEM } = "kafka",
        server.address = address,
        server.port = port,
    )
    .into()
}
