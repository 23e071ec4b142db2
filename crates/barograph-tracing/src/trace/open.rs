//! Spans that are recorded and have not ended.

use barograph_model::span::{SpanRecord, Status};
use barograph_model::value::Text;

use super::limits::SpanLimits;
use crate::sampling::tail::BufferedTrace;

/// A span that is recorded and has not ended. It is two words in size, so that it is moved in
/// registers.
pub(super) struct Open {
    pub(super) record: Box<SpanRecord>,
    rare: Option<Box<Rare>>,
}

/// Span data that is rarely present.
#[derive(Default)]
struct Rare {
    /// The tail-sampling state of a span that is not sampled.
    tail_sampled: Option<TailSampledSpan>,
    /// The times that the span was entered and not entered, if they are measured.
    timing: Option<Timing>,
}

/// The buffered local trace that a span belongs to, for tail sampling.
pub(super) struct TailSampledSpan {
    pub(super) trace: BufferedTrace,
    pub(super) is_root: bool,
}

/// The time that a span was entered and the time that it was not, in nanoseconds.
pub(super) struct Timing {
    /// The number of times that the span is entered at present.
    depth: u32,
    /// The time at which the depth last changed from or to 0.
    since: u64,
    busy: u64,
    idle: u64,
}

impl Timing {
    pub(super) fn new(now: u64) -> Self {
        Timing {
            depth: 0,
            since: now,
            busy: 0,
            idle: 0,
        }
    }

    pub(super) fn enter(&mut self, now: u64) {
        if self.depth == 0 {
            self.idle = self.idle.saturating_add(self.lap(now));
        }
        self.depth += 1;
    }

    pub(super) fn exit(&mut self, now: u64) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.busy = self.busy.saturating_add(self.lap(now));
        }
    }

    fn lap(&mut self, now: u64) -> u64 {
        now.saturating_sub(std::mem::replace(&mut self.since, now))
    }
}

impl Open {
    #[inline]
    pub(super) fn new(record: Box<SpanRecord>) -> Self {
        Open { record, rare: None }
    }

    pub(super) fn tail_sampled(&self) -> Option<&TailSampledSpan> {
        self.rare.as_ref()?.tail_sampled.as_ref()
    }

    pub(super) fn take_tail_sampled(&mut self) -> Option<TailSampledSpan> {
        self.rare.as_mut()?.tail_sampled.take()
    }

    pub(super) fn set_tail_sampled(&mut self, tail_sampled: Option<TailSampledSpan>) {
        if tail_sampled.is_some() || self.rare.is_some() {
            self.rare.get_or_insert_default().tail_sampled = tail_sampled;
        }
    }

    pub(super) fn timing(&mut self) -> Option<&mut Timing> {
        self.rare.as_mut()?.timing.as_mut()
    }

    pub(super) fn set_timing(&mut self, timing: Timing) {
        self.rare.get_or_insert_default().timing = Some(timing);
    }

    /// Sets the end time of the span, and adds the attributes of its timing.
    pub(super) fn end(&mut self, now: u64, limits: &SpanLimits) {
        // If the clock was set back, the span still does not end before it starts.
        self.record.end_unix_nano = now.max(self.record.start_unix_nano);
        if let Some(timing) = self.timing() {
            let lap = timing.lap(now);
            match timing.depth {
                0 => timing.idle = timing.idle.saturating_add(lap),
                _ => timing.busy = timing.busy.saturating_add(lap),
            }
            let timings = [("busy_ns", timing.busy), ("idle_ns", timing.idle)];
            for (key, nanos) in timings {
                limits.set(&mut self.record, key.into(), nanos.into());
            }
        }
    }
}

/// The status that a field sets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Unset,
    Ok,
    Error,
}

impl Outcome {
    /// Parses `ok`, `error` or `unset`, ignoring case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [
            ("ok", Outcome::Ok),
            ("error", Outcome::Error),
            ("unset", Outcome::Unset),
        ]
        .into_iter()
        .find_map(|(known, outcome)| known.eq_ignore_ascii_case(name).then_some(outcome))
    }
}

/// Sets a status. The status `Ok` is final, and `Unset` is ignored.
///
/// Source: OpenTelemetry 1.60, trace API, "Set Status".
pub(super) fn set_status(status: &mut Status, new: Status) {
    if *status != Status::Ok && new != Status::Unset {
        *status = new;
    }
}

/// Sets a status from the fields of a span. A description without a status code means an error.
pub(super) fn set_outcome(
    status: &mut Status,
    outcome: Option<Outcome>,
    description: Option<Text>,
) {
    let before = match status {
        Status::Error { description } => std::mem::take(description),
        Status::Unset | Status::Ok => Text::default(),
    };
    let new = match (outcome, description) {
        (Some(Outcome::Ok), _) => Status::Ok,
        (Some(Outcome::Error), description) => Status::Error {
            description: description.unwrap_or(before),
        },
        (None, Some(description)) => Status::Error { description },
        (None | Some(Outcome::Unset), _) => {
            if let Status::Error { description } = status {
                *description = before;
            }
            Status::Unset
        }
    };
    set_status(status, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(description: &'static str) -> Status {
        Status::Error {
            description: description.into(),
        }
    }

    #[test]
    fn a_status_is_set_as_the_specification_says() {
        let after = |before: &Status, outcome, description: Option<&'static str>| {
            let mut status = before.clone();
            set_outcome(&mut status, outcome, description.map(Text::from));
            status
        };
        for (before, outcome, description, expected) in [
            (Status::Unset, Some(Outcome::Error), None, error("")),
            (
                Status::Unset,
                Some(Outcome::Error),
                Some("why"),
                error("why"),
            ),
            (Status::Unset, None, Some("why"), error("why")),
            (Status::Unset, None, None, Status::Unset),
            (error("why"), Some(Outcome::Error), None, error("why")),
            (error("why"), Some(Outcome::Unset), None, error("why")),
            (error("why"), Some(Outcome::Ok), Some("x"), Status::Ok),
            (Status::Ok, Some(Outcome::Error), Some("why"), Status::Ok),
        ] {
            assert_eq!(
                after(&before, outcome.clone(), description),
                expected,
                "{before:?} {outcome:?}"
            );
        }
    }

    #[test]
    fn time_is_busy_from_the_first_entry_to_the_last_exit() {
        let mut timing = Timing::new(10);
        for (now, is_entry) in [(11, true), (13, true), (16, false), (20, false), (25, true)] {
            match is_entry {
                true => timing.enter(now),
                false => timing.exit(now),
            }
        }
        assert_eq!((timing.busy, timing.idle, timing.depth), (9, 6, 1));
    }
}
