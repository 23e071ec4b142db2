//! Selects the metrics and labels of an operation.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Database metrics" and "Messaging metrics".

use barograph_model::span::SpanKind;

/// The set of metrics of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    /// The metrics of this library, for operations without a convention.
    General,
    /// A call of a database.
    Database,
    /// A client of a messaging system that sends or requests messages.
    MessagingClient,
    /// The processing of a message.
    MessagingProcess,
}

impl Convention {
    /// Returns the convention for an operation of this kind, with attributes of these keys.
    pub(super) fn of(kind: SpanKind, keys: &[&str]) -> Self {
        let has = |key| keys.contains(&key);
        match kind {
            SpanKind::Client if has("db.system.name") => Convention::Database,
            SpanKind::Client | SpanKind::Producer if has("messaging.system") => {
                Convention::MessagingClient
            }
            SpanKind::Consumer if has("messaging.system") => Convention::MessagingProcess,
            _ => Convention::General,
        }
    }
}

/// The labels of operations without a convention.
pub(super) const GENERAL: [&str; 3] = ["operation.service", "operation.name", "error.type"];

/// The labels of `db.client.operation.duration`. The convention also names the peer's address and the
/// text of the query. These go only to spans: as labels they would be unbounded.
pub(super) const DATABASE: [&str; 10] = [
    "db.system.name",
    "db.namespace",
    "db.collection.name",
    "db.operation.name",
    "db.query.summary",
    "db.stored_procedure.name",
    "db.response.status_code",
    "server.address",
    "server.port",
    "error.type",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_attributes_select_the_convention() {
        let of = Convention::of;
        assert_eq!(
            of(SpanKind::Client, &["db.system.name"]),
            Convention::Database
        );
        assert_eq!(
            of(SpanKind::Internal, &["db.system.name"]),
            Convention::General
        );
        let messaging = ["messaging.system"];
        assert_eq!(
            of(SpanKind::Producer, &messaging),
            Convention::MessagingClient
        );
        assert_eq!(
            of(SpanKind::Consumer, &messaging),
            Convention::MessagingProcess
        );
        assert_eq!(of(SpanKind::Client, &[]), Convention::General);
    }
}
