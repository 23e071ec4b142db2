//! Reports the events of a pipeline without repetition.

use std::mem::{Discriminant, discriminant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::report::{Event, Report};

/// The hook that receives reports. It runs on the driver's thread and must not block.
pub(crate) type Hook = Arc<dyn Fn(&Report) + Send + Sync>;

/// Reports the events of a pipeline.
pub(super) struct Teller {
    hook: Hook,
    ledger: Ledger,
    told: Vec<Told>,
}

struct Told {
    event: Discriminant<Event>,
    error_type: String,
    at: Instant,
    in_this_round: bool,
    /// True once a cycle has passed without the event.
    is_over: bool,
}

impl Teller {
    pub(super) fn new(hook: Hook, ledger: Ledger) -> Self {
        Teller {
            hook,
            ledger,
            told: Vec::new(),
        }
    }

    /// Reports the event.
    pub(super) fn tell(&self, event: Event) {
        let target = self.ledger.target();
        let report = Report {
            signal: self.ledger.signal(),
            reader: self.ledger.reader().into(),
            url: target.url.as_str().into(),
            event,
        };
        // The hook may panic, which must not change the fate of a request.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.hook)(&report)));
    }

    /// Reports the event the first time, and again only after a cycle without it, and an hour, have
    /// passed.
    pub(super) fn tell_once(&mut self, event: Event) {
        let error_type = match &event {
            Event::Refused { error_type, .. } | Event::PersistentQueueFailed { error_type, .. } => {
                error_type.as_ref()
            }
            Event::Panicked { part } => part,
            _ => "",
        };
        let now = Instant::now();
        let kind = discriminant(&event);
        let is_it = |told: &Told| told.event == kind && told.error_type == error_type;
        match self.told.iter().position(is_it) {
            Some(place) => {
                let told = &mut self.told[place];
                told.in_this_round = true;
                if !told.is_over || now.saturating_duration_since(told.at) < AGAIN {
                    return;
                }
                (told.is_over, told.at) = (false, now);
            }
            None if self.told.len() < MOST => self.told.push(Told {
                event: kind,
                error_type: error_type.to_owned(),
                at: now,
                in_this_round: true,
                is_over: false,
            }),
            None => return,
        }
        self.tell(event);
    }

    /// Ends a cycle: events that did not occur in it are over.
    pub(super) fn round_ended(&mut self) {
        for told in &mut self.told {
            told.is_over |= !std::mem::take(&mut told.in_this_round);
        }
    }
}

/// The time for which the same event is not reported again.
const AGAIN: Duration = Duration::from_secs(3600);
/// The number of events that are distinguished; a receiver's answers must not cause ever more log
/// lines.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::transport::Target;
    use barograph_encode::otlp::Signal;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_again_only_when_it_was_over_for_long() {
        let count = Arc::new(AtomicU32::new(0));
        let counting = Arc::clone(&count);
        let hook: Hook = Arc::new(move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        let ledger = Ledger::new(Signal::Metrics, "otlp", &Target::default());
        let mut teller = Teller::new(hook, ledger);
        let refused = |kind: &'static str| Event::Refused {
            error_type: kind.into(),
            message: String::new(),
            items: 1,
        };
        let told = || count.load(Ordering::Relaxed);
        for _ in 0..100 {
            teller.tell_once(refused("400"));
            teller.tell_once(refused("401"));
            teller.round_ended();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(told(), 2);
        teller.tell_once(refused("400"));
        teller.round_ended();
        teller.tell_once(refused("401"));
        assert_eq!(told(), 3, "it was over, and told long ago");
        teller.tell_once(refused("400"));
        assert_eq!(told(), 3, "it was never over");
        teller.round_ended();
        teller.round_ended();
        teller.tell_once(refused("401"));
        assert_eq!(told(), 3, "it was over, and told just now");
        for kind in ["a", "b"].repeat(50) {
            teller.tell_once(refused(kind));
        }
        assert_eq!(told(), 5);
    }
}
