//! The service of `target_service`, with a receiver for each signal.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    fake_receiver::{Behavior, FakeReceiver},
    load,
    service::Service,
};

const PAUSE: Duration = Duration::from_millis(10);

/// The signals, by their names in the service's arguments.
pub const SIGNALS: [&str; 3] = ["metrics", "traces", "logs"];

/// The service under attack, and its receivers.
#[derive(Debug)]
pub struct Target {
    /// One receiver for each of [`SIGNALS`].
    pub receivers: Vec<FakeReceiver>,
    /// The service.
    pub service: Service,
}

impl Target {
    /// Starts a service and its receivers, with additional arguments.
    #[track_caller]
    pub fn start(arguments: &[String]) -> Self {
        Self::start_with(
            SIGNALS.map(|_| FakeReceiver::that_keeps_bodies()).into(),
            arguments,
        )
    }

    /// Starts a service that pushes to these receivers.
    #[track_caller]
    pub fn start_with(receivers: Vec<FakeReceiver>, arguments: &[String]) -> Self {
        let mut all = arguments_for(&receivers);
        all.extend_from_slice(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Self {
            service: Service::target(&all),
            receivers,
        }
    }

    /// Sets the behavior of all receivers.
    pub fn behave(&self, behavior: &Behavior) {
        for receiver in &self.receivers {
            receiver.behave(behavior);
        }
    }

    /// Waits until a condition holds for the receiver of each signal. Returns the signals for which
    /// it did not hold in time.
    pub fn wait_for(
        &self,
        patience: Duration,
        holds: impl Fn(usize, &FakeReceiver) -> bool,
    ) -> Vec<&'static str> {
        let begun = Instant::now();
        loop {
            let receivers = self.receivers.iter().enumerate();
            let missing = receivers.filter(|(number, receiver)| !holds(*number, receiver));
            let missing: Vec<_> = missing.map(|(number, _)| SIGNALS[number]).collect();
            if missing.is_empty() || begun.elapsed() > patience {
                return missing;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Produces telemetry until each signal was delivered anew. Returns the signals that were not
    /// delivered in time.
    pub fn wait_for_delivery(&self, patience: Duration) -> Vec<&'static str> {
        let before: Vec<u64> = self.receivers.iter().map(FakeReceiver::taken).collect();
        // The first delivery may already have been in flight.
        self.wait_for(patience, |number, receiver| {
            if number == 0 {
                load::send_bare(&self.service.url(), 1);
            }
            receiver.taken() > before[number] + 1
        })
    }
}

/// Returns the arguments that give the service its receivers.
pub fn arguments_for(receivers: &[FakeReceiver]) -> Vec<String> {
    let receivers = SIGNALS.iter().zip(receivers);
    let arguments = receivers.map(|(signal, receiver)| format!("{signal}={}", receiver.endpoint()));
    arguments.collect()
}
