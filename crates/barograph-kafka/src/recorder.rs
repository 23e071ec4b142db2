//! The state that all operations of a client share.

use barograph_core::counter::Counter;
use barograph_core::family::Family;
use barograph_core::histogram::Histogram;
use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_core::spec::RegisterError;
use barograph_model::bounds::Bounds;
use barograph_model::propagator::Propagators;

use barograph_core::propagation::propagators;

/// The relation of a span that processes a record to the span that created the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// The processing span has a link to it, and belongs to the trace of the consumer.
    #[default]
    Link,
    /// The processing span is its child, with a link to any other span that is current.
    Parent,
}

/// The time at which incoming records are counted. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// Counted when processed.
    #[default]
    WhenProcessed,
    /// Counted when received, whether or not they are processed.
    WhenReceived,
}

/// The settings of a `Kafka`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) propagators: Option<Propagators>,
    pub(crate) relation: Relation,
    pub(crate) counted: Counted,
    pub(crate) group: Option<Box<str>>,
    pub(crate) client: Option<Box<str>>,
    pub(crate) cluster: Option<Box<str>>,
    pub(crate) server: Option<(Box<str>, u16)>,
}

impl Settings {
    pub(crate) fn propagators(&self) -> &Propagators {
        let own = self.propagators.as_ref();
        own.unwrap_or_else(|| propagators())
    }
}

/// The kinds of operations on records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Create,
    Send,
    Receive,
    Process,
    Settle,
}

impl Action {
    /// Returns `messaging.operation.name`: Kafka's name for the operation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Send => "send",
            Action::Receive => "poll",
            Action::Process => "process",
            Action::Settle => "commit",
        }
    }

    /// Returns `messaging.operation.type`: the name that all messaging systems share.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Action::Receive => "receive",
            Action::Settle => "settle",
            others => others.name(),
        }
    }
}

/// The labels of an operation that has ended. Labels that do not apply are empty.
///
/// They are the labels of `observe::kafka`, so that both can be used in one program.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(crate) struct Done<'a> {
    #[label(name = "messaging.system")]
    pub(crate) system: &'a str,
    #[label(name = "messaging.operation.name")]
    pub(crate) operation: &'a str,
    #[label(name = "messaging.operation.type")]
    pub(crate) kind: &'a str,
    #[label(name = "messaging.destination.name")]
    pub(crate) topic: &'a str,
    #[label(name = "messaging.destination.partition.id")]
    pub(crate) partition: &'a str,
    #[label(name = "messaging.consumer.group.name")]
    pub(crate) group: &'a str,
    #[label(name = "server.address")]
    pub(crate) address: &'a str,
    #[label(name = "server.port")]
    pub(crate) port: &'a str,
    #[label(name = "error.type")]
    pub(crate) error: &'a str,
}

/// The topic and partition of the records of an operation.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) topic: Box<str>,
    pub(crate) partition: Option<i32>,
}

/// The state that all operations of a client share. A family that could not be registered is none, and
/// is not written.
pub(crate) struct Recorder {
    pub(crate) settings: Settings,
    /// The port as a label value.
    port: Box<str>,
    operation: Option<Family<Histogram, Done<'static>>>,
    process: Option<Family<Histogram, Done<'static>>>,
    sent: Option<Family<Counter, Done<'static>>>,
    consumed: Option<Family<Counter, Done<'static>>>,
}

impl Recorder {
    pub(crate) fn new(registry: &Registry, settings: Settings) -> Self {
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

    /// Records an operation: the number of its messages, the seconds that it took, and its error, which
    /// is empty if it succeeded.
    pub(crate) fn record(
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
            // The conventions have no duration for creating a record.
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
