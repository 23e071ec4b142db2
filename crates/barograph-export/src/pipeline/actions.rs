//! The events and actions of the [state machine](super::state) of a pipeline.

use std::time::Duration;

use super::blocking::{Busy, Job, JobResult};
use super::commands::{CommandKind, Stage};
use super::send::{Delivery, SendLimits};
use crate::ledger::{Account, ErrorType, QueueOperation, Reason};
use crate::moment::Instant;
use crate::report;
use crate::request_source::Ack;
use barograph_encode::otlp::Request;

/// An event in the life of a pipeline: the result of the last operation, or a new start.
#[derive(Debug)]
pub(super) enum Event {
    /// A task begins to run the pipeline. The first cycle is due after this delay.
    Started { delay: Duration },
    /// The time is up, a command arrived, or the record queue has a full batch.
    Waited { is_notified: bool },
    /// All attempts to send a request are over.
    Sent {
        request: Request,
        delivery: Delivery,
    },
    /// A job has ended, or is late.
    JobDone(Result<JobResult, Busy>),
    /// The account is closed; this many items were lost.
    Closed { lost: u64 },
    /// The task panicked. The result of its operation is lost.
    Panicked,
}

/// The surroundings of a pipeline when an event occurs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) now: Instant,
    pub(super) account: Account,
    /// The latest deadline of the flushes that wait.
    pub(super) flush: Option<Instant>,
    /// The latest deadline of the shutdowns that wait.
    pub(super) shutdown: Option<Instant>,
    /// True while the blocking worker runs a job that is late, or if it was lost.
    pub(super) is_busy: bool,
    /// True if the record queue has a full batch.
    pub(super) is_notified: bool,
}

/// A change that takes no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Produce(u64),
    Export(u64),
    Drop(u64, Reason),
    /// Counts items whose export failed.
    Fail(u64, ErrorType),
    /// Records the time that one collection took.
    Collected(Duration, ErrorType),
    QueueFailed(QueueOperation, &'static str),
    QueueUsable(bool),
    /// Counts a restart after a panic.
    Restarted,
    Report(report::Event),
    ClearNotification,
    Notify,
    /// Makes the waiting commands of this kind those that the current cycle answers.
    Accept(CommandKind),
    /// Answers the accepted commands.
    Answer {
        is_complete: bool,
    },
    /// Fails the accepted commands and the waiting flushes.
    FailCommands,
}

/// An operation whose result is the next event.
#[derive(Debug)]
pub(super) enum Operation {
    /// Wait until a time, for a command, or for a notification if that is true.
    Wait { until: Instant, for_batch: bool },
    Send {
        request: Request,
        limits: SendLimits,
    },
    /// Run a job. The request source first gets the acknowledgement of its last request.
    Run {
        job: Job,
        ack: Option<Ack>,
        stage: Stage,
        until: Instant,
    },
    /// Wait for a job that is late.
    AwaitJob { stage: Stage, until: Instant },
    /// Close the account. This many items are in the persistent queue, and are not lost.
    Close { stored: u64 },
    /// The pipeline has ended.
    Stop,
}

/// The settings of a pipeline, and the properties of its request source.
#[derive(Clone, Copy, Debug)]
pub(super) struct PipelineSettings {
    /// The time between two export cycles.
    pub(super) interval: Duration,
    /// The time limit of an export cycle.
    pub(super) timeout: Duration,
    /// The number of queued items that justify a cycle.
    pub(super) batch: u64,
    pub(super) is_superseded: bool,
    pub(super) resends_ambiguous: bool,
}
