//! What all operations of a client have in common.

use barograph_core::counter::Counter;
use barograph_core::family::Family;
use barograph_core::histogram::Histogram;
use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_core::spec::RegisterError;
use barograph_model::bounds::Bounds;
use barograph_model::propagator::Propagators;

use crate::propagation::propagators;

/// What a span that processes a record has to do with the one that the record was created in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// It has a link there, and belongs to the trace of whoever processes.
    #[default]
    Link,
    /// It is a child. Whatever else is current where it is processed gets a link.
    Parent,
}

/// Where records that come in are counted, which happens once for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// When they are processed.
    #[default]
    WhenProcessed,
    /// When they are received, whatever is processed of them.
    WhenReceived,
}

/// What a client of Kafka is told about its operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) propagators: Option<Propagators>,
    pub(super) relation: Relation,
    pub(super) counted: Counted,
    pub(super) group: Option<Box<str>>,
    pub(super) client: Option<Box<str>>,
    pub(super) cluster: Option<Box<str>>,
    pub(super) server: Option<(Box<str>, u16)>,
}

impl Settings {
    pub(super) fn propagators(&self) -> &Propagators {
        let own = self.propagators.as_ref();
        own.unwrap_or_else(|| propagators())
    }
}

/// What is done with records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    Create,
    Send,
    Receive,
    Process,
    Settle,
}

impl Action {
    /// `messaging.operation.name`: how Kafka calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Send => "send",
            Action::Receive => "poll",
            Action::Process => "process",
            Action::Settle => "commit",
        }
    }

    /// `messaging.operation.type`: how others call it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Action::Receive => "receive",
            Action::Settle => "settle",
            others => others.name(),
        }
    }
}

/// The labels of an operation that is over. Empty ones do not apply to it.
///
/// They are those of `observe`, so that both may stand beside each other.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(super) struct Done<'a> {
    #[label(name = "messaging.system")]
    pub(super) system: &'a str,
    #[label(name = "messaging.operation.name")]
    pub(super) operation: &'a str,
    #[label(name = "messaging.operation.type")]
    pub(super) kind: &'a str,
    #[label(name = "messaging.destination.name")]
    pub(super) topic: &'a str,
    #[label(name = "messaging.destination.partition.id")]
    pub(super) partition: &'a str,
    #[label(name = "messaging.consumer.group.name")]
    pub(super) group: &'a str,
    #[label(name = "server.address")]
    pub(super) address: &'a str,
    #[label(name = "server.port")]
    pub(super) port: &'a str,
    #[label(name = "error.type")]
    pub(super) error: &'a str,
}

/// Where the records of an operation are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) topic: Box<str>,
    pub(super) partition: Option<i32>,
}

/// What all operations of a client have in common. A family that could not be registered is none,
/// and nothing is written there.
pub(super) struct Recorder {
    pub(super) settings: Settings,
    /// The port as a label value.
    port: Box<str>,
    operation: Option<Family<Histogram, Done<'static>>>,
    process: Option<Family<Histogram, Done<'static>>>,
    sent: Option<Family<Counter, Done<'static>>>,
    consumed: Option<Family<Counter, Done<'static>>>,
}

impl Recorder {
    pub(super) fn new(registry: &Registry, settings: Settings) -> Self {
        let duration = |name, help| {
            let duration = registry.histogram(name).with_help(help).with_unit("s");
            reported(duration.with_bounds(Bounds::http_seconds()).family())
        };
        let count = |name, help| {
            let count = registry.counter(name).with_help(help);
            reported(count.with_unit("{message}").family())
        };
        let port = settings.server.as_ref().map(|(_, port)| port.to_string());
        Recorder {
            port: port.unwrap_or_default().into(),
            operation: duration(
                "messaging.client.operation.duration",
                "Duration of messaging operations initiated by a producer or consumer client.",
            ),
            process: duration(
                "messaging.process.duration",
                "Duration of processing operations.",
            ),
            sent: count(
                "messaging.client.sent.messages",
                "Number of messages that a producer attempted to send to the broker.",
            ),
            consumed: count(
                "messaging.client.consumed.messages",
                "Number of messages that were delivered to the application.",
            ),
            settings,
        }
    }

    /// Records an operation on so many messages that took so long and ended with this error, if it
    /// is not empty.
    pub(super) fn record(
        &self,
        action: Action,
        place: &Place,
        messages: u64,
        took: f64,
        error: &str,
    ) {
        let settings = &self.settings;
        let is_consumer = !matches!(action, Action::Create | Action::Send);
        let group = settings.group.as_deref().filter(|_| is_consumer);
        let server = settings.server.as_ref();
        let partition = place.partition.map(|partition| partition.to_string());
        let done = Done {
            system: "kafka",
            operation: action.name(),
            kind: action.kind(),
            topic: &place.topic,
            partition: partition.as_deref().unwrap_or_default(),
            group: group.unwrap_or_default(),
            address: server.map_or("", |(address, _)| address),
            port: &self.port,
            error,
        };
        let duration = match action {
            // To create a record is no operation of the client.
            Action::Create => &None,
            Action::Process => &self.process,
            Action::Send | Action::Receive | Action::Settle => &self.operation,
        };
        if let Some(family) = duration {
            family.with(&done).observe(took);
        }
        let count = match (action, settings.counted) {
            (Action::Send, _) => &self.sent,
            (Action::Process, Counted::WhenProcessed) => &self.consumed,
            (Action::Receive, Counted::WhenReceived) => &self.consumed,
            _ => &None,
        };
        if let Some(family) = count
            && messages > 0
        {
            family.with(&done).add(messages);
        }
    }
}

fn reported<T>(result: Result<T, RegisterError>) -> Option<T> {
    result
        .inspect_err(|error| report::report(format!("Kafka is not recorded: {error}")))
        .ok()
}
