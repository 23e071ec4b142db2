//! Commands to a pipeline, which arrive while it runs.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::moment::{after, part};

/// A command with a deadline.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kind: OrderKind,
    pub(crate) deadline: Instant,
    /// Receives true if everything was delivered, or is safe in the persistent queue.
    pub(crate) done: oneshot::Sender<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderKind {
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

/// The commands of one pipeline: those still in the channel, and those that wait until the cycle is
/// over.
#[derive(Debug)]
pub(super) struct Orders {
    receiver: mpsc::UnboundedReceiver<Order>,
    waiting: Vec<Order>,
}

impl Orders {
    pub(super) fn new(receiver: mpsc::UnboundedReceiver<Order>) -> Self {
        Orders {
            receiver,
            waiting: Vec::new(),
        }
    }

    /// Removes and returns the waiting commands of this kind.
    pub(super) fn take(&mut self, kind: OrderKind) -> Vec<Order> {
        let all = std::mem::take(&mut self.waiting);
        let (taken, left) = all.into_iter().partition(|order| order.kind == kind);
        self.waiting = left;
        taken
    }

    /// Returns the earliest deadline of the commands that are more urgent than this stage.
    pub(super) fn interrupted(&mut self, stage: Stage) -> Option<Instant> {
        while let Ok(order) = self.receiver.try_recv() {
            self.waiting.push(order);
        }
        self.more_urgent(stage)
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
        let mut sleep = pin!(sleep_until(until));
        let mut is_shortened = false;
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            if !is_shortened && let Poll::Ready(deadline) = self.poll_interrupt(stage, context) {
                is_shortened = true;
                let now = Instant::now();
                let half = after(now, part(deadline.saturating_duration_since(now), 2));
                sleep.as_mut().reset(until.min(half));
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Waits until the given time, or for a more urgent command. Returns true if none arrived.
    pub(super) async fn sleep(&mut self, stage: Stage, until: Instant) -> bool {
        let mut sleep = pin!(sleep_until(until));
        poll_fn(|context| match self.poll_interrupt(stage, context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| true),
        })
        .await
    }

    fn poll_interrupt(&mut self, stage: Stage, context: &mut Context<'_>) -> Poll<Instant> {
        // When the channel is closed the driver has been dropped, and the pipeline with it.
        while let Poll::Ready(Some(order)) = self.receiver.poll_recv(context) {
            self.waiting.push(order);
        }
        self.more_urgent(stage).map_or(Poll::Pending, Poll::Ready)
    }

    fn more_urgent(&self, stage: Stage) -> Option<Instant> {
        let urgent = self
            .waiting
            .iter()
            .filter(|order| order.kind.stage() > stage);
        urgent.map(|order| order.deadline).min()
    }
}

impl OrderKind {
    fn stage(self) -> Stage {
        match self {
            OrderKind::Flush => Stage::Flush,
            OrderKind::Shutdown => Stage::Final,
        }
    }
}
