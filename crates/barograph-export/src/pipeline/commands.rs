//! Commands to a pipeline, which arrive while it runs.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::moment::{Instant, after, now, part};

/// A command with a deadline.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) kind: CommandKind,
    pub(crate) deadline: Instant,
    /// Receives true if everything was delivered, or is safe in the persistent queue.
    pub(crate) done: oneshot::Sender<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandKind {
    Flush,
    Shutdown,
}

/// The activity of a pipeline. Later variants are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It waits for its next cycle.
    Between,
    /// It runs a scheduled cycle.
    Scheduled,
    /// It runs a cycle for a flush.
    Flush,
    /// It runs the last cycle.
    Final,
}

/// The commands of one pipeline.
#[derive(Debug)]
pub(super) struct Commands {
    receiver: mpsc::UnboundedReceiver<Command>,
    /// Commands that wait until the cycle is over.
    waiting: Vec<Command>,
    /// Commands that the current cycle answers.
    accepted: Vec<Command>,
}

impl Commands {
    pub(super) fn new(receiver: mpsc::UnboundedReceiver<Command>) -> Self {
        Commands {
            receiver,
            waiting: Vec::new(),
            accepted: Vec::new(),
        }
    }

    /// Receives the commands that have been sent so far.
    pub(super) fn receive(&mut self) {
        while let Ok(command) = self.receiver.try_recv() {
            self.waiting.push(command);
        }
    }

    /// Returns the latest deadline of the waiting commands of this kind.
    pub(super) fn deadline(&self, kind: CommandKind) -> Option<Instant> {
        let commands = self.waiting.iter().filter(|command| command.kind == kind);
        commands.map(|command| command.deadline).max()
    }

    /// Lets the current cycle answer the waiting commands of this kind.
    pub(super) fn accept(&mut self, kind: CommandKind) {
        let accepted = self.waiting.extract_if(.., |command| command.kind == kind);
        self.accepted.extend(accepted);
    }

    /// Answers the accepted commands.
    pub(super) fn answer(&mut self, is_complete: bool) {
        for command in self.accepted.drain(..) {
            // The caller may have stopped waiting.
            let _ = command.done.send(is_complete);
        }
    }

    /// Fails the accepted commands and the waiting flushes: their callers see that no result comes.
    pub(super) fn fail(&mut self) {
        self.accepted.clear();
        self.waiting
            .retain(|command| command.kind != CommandKind::Flush);
    }

    /// Runs the future until the given time, and returns `None` if it does not complete. A more urgent
    /// command shortens the time to half of what that command has left; the other half is for the
    /// command itself.
    pub(super) async fn within<T>(
        &mut self,
        stage: Stage,
        until: Instant,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let mut sleep = pin!(sleep_until(until.into()));
        let mut is_shortened = false;
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            if !is_shortened && let Poll::Ready(deadline) = self.poll_interrupt(stage, context) {
                is_shortened = true;
                let now = now();
                let half = after(now, part(deadline.saturating_duration_since(now), 2));
                sleep.as_mut().reset(until.min(half).into());
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Waits until the given time, or for a more urgent command. Returns true if none arrived.
    pub(super) async fn sleep(&mut self, stage: Stage, until: Instant) -> bool {
        let mut sleep = pin!(sleep_until(until.into()));
        poll_fn(|context| match self.poll_interrupt(stage, context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| true),
        })
        .await
    }

    fn poll_interrupt(&mut self, stage: Stage, context: &mut Context<'_>) -> Poll<Instant> {
        // When the channel is closed the driver has been dropped, and the pipeline with it.
        while let Poll::Ready(Some(command)) = self.receiver.poll_recv(context) {
            self.waiting.push(command);
        }
        self.more_urgent(stage).map_or(Poll::Pending, Poll::Ready)
    }

    fn more_urgent(&self, stage: Stage) -> Option<Instant> {
        let urgent = self
            .waiting
            .iter()
            .filter(|command| command.kind.stage() > stage);
        urgent.map(|command| command.deadline).min()
    }
}

impl CommandKind {
    fn stage(self) -> Stage {
        match self {
            CommandKind::Flush => Stage::Flush,
            CommandKind::Shutdown => Stage::Final,
        }
    }
}
