//! Decides which events of a pipeline are reported, so that none is repeated without end.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use crate::moment::Instant;
use crate::report::Event;

/// The events that were reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    reported: Vec<Reported>,
}

#[derive(Clone, Debug)]
struct Reported {
    event: Discriminant<Event>,
    error_type: String,
    at: Instant,
    in_this_cycle: bool,
    /// True once a cycle has passed without the event.
    is_over: bool,
}

impl Reports {
    /// Returns true if the event must be reported: the first time, and again only after a cycle without
    /// it, and an hour, have passed.
    pub(super) fn is_due(&mut self, event: &Event, now: Instant) -> bool {
        let error_type = match event {
            Event::Refused { error_type, .. } | Event::PersistentQueueFailed { error_type, .. } => {
                error_type.as_ref()
            }
            Event::Panicked { part } => part,
            _ => "",
        };
        let kind = discriminant(event);
        let mut known = self.reported.iter_mut();
        let known = known.find(|known| known.event == kind && known.error_type == error_type);
        if let Some(known) = known {
            known.in_this_cycle = true;
            if !known.is_over || now.saturating_duration_since(known.at) < REPEAT_AFTER {
                return false;
            }
            (known.is_over, known.at) = (false, now);
            return true;
        }
        let is_distinguished = self.reported.len() < MOST;
        if is_distinguished {
            self.reported.push(Reported {
                event: kind,
                error_type: error_type.to_owned(),
                at: now,
                in_this_cycle: true,
                is_over: false,
            });
        }
        is_distinguished
    }

    /// Ends a cycle: events that did not occur in it are over.
    pub(super) fn end_cycle(&mut self) {
        for known in &mut self.reported {
            known.is_over |= !std::mem::take(&mut known.in_this_cycle);
        }
    }
}

/// The time for which the same event is not reported again.
const REPEAT_AFTER: Duration = Duration::from_secs(3600);
/// The number of events that are distinguished; a receiver's responses must not cause ever more log
/// lines.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_repeated_only_after_an_hour_and_a_cycle_without_it() {
        let mut now = Instant::now();
        let mut reports = Reports::default();
        let refused = |kind: &'static str| Event::Refused {
            error_type: kind.into(),
            message: String::new(),
            items: 1,
        };
        let mut count = 0;
        for _ in 0..100 {
            count += u32::from(reports.is_due(&refused("400"), now));
            count += u32::from(reports.is_due(&refused("401"), now));
            reports.end_cycle();
            now += Duration::from_secs(60);
        }
        assert_eq!(count, 2);
        assert!(!reports.is_due(&refused("400"), now));
        reports.end_cycle();
        assert!(
            reports.is_due(&refused("401"), now),
            "it was over, and reported long ago"
        );
        assert!(!reports.is_due(&refused("400"), now), "it was never over");
        reports.end_cycle();
        reports.end_cycle();
        assert!(
            !reports.is_due(&refused("401"), now),
            "it was over, and reported just now"
        );
        let mut others = ["a", "b"].repeat(50).into_iter();
        let reported = others
            .by_ref()
            .filter(|kind| reports.is_due(&refused(kind), now));
        assert_eq!(reported.count(), 2);
    }

    #[test]
    fn the_number_of_distinguished_events_is_limited() {
        let now = Instant::now();
        let mut reports = Reports::default();
        let reported = (0..1000).filter(|status| {
            let event = Event::Refused {
                error_type: status.to_string().into(),
                message: String::new(),
                items: 1,
            };
            reports.is_due(&event, now)
        });
        assert_eq!(reported.count(), MOST);
    }
}
