//! Receivers that misbehave in about two hundred ways, over HTTP/1.1 and HTTP/2: requests to the
//! service are not affected, its account stays balanced, its memory is bounded, it ends in time,
//! and it delivers again once the receiver behaves.
#![expect(clippy::print_stdout, reason = "what was measured is a result, too")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    fake_receiver::{
        Behavior, FakeReceiver, grpc_pauses, http1_behaviors, http1_pauses, http2_behaviors,
    },
    load,
    receiver::Transport,
    service::Service,
    target::{SIGNALS, Target},
    usage::{Answers, Connections, Usage, megabytes},
};

/// The minimum time for which a receiver misbehaves; an export has 300 ms.
const BAD: Duration = Duration::from_millis(350);
/// The time limit for each pipeline to meet a behavior, and to deliver again after it. The longest
/// pause between two attempts is half a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// The interval at which the account is checked.
const LOOK: Duration = Duration::from_millis(50);
/// The interval of requests to the service.
const REQUEST: Duration = Duration::from_millis(10);
/// The allowed growth of resident memory: one and a half responses per signal, and a margin.
const GROWTH: u64 = 40 << 20;
/// The time limit of the service's telemetry at shutdown, plus half a second.
const END: Duration = Duration::from_millis(5_500);

/// The time limit of an export with all its attempts, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Timeout {
    /// Short, so that a hanging request is soon given up.
    Short = 300,
    /// The default, which longer pauses fit in.
    Default = 10_000,
}

fn start(transport: Transport, timeout: Timeout) -> Target {
    let receivers = SIGNALS.map(|_| FakeReceiver::start()).into();
    let protocol = format!("protocol={}", transport.as_str());
    let timeout = format!("request_timeout={}", timeout as u64);
    Target::start_with(receivers, &[protocol, timeout])
}

/// The observations of a service.
#[derive(Default)]
struct Seen {
    looks: usize,
    most_resident: u64,
    failures: Vec<String>,
}

/// Checks the account and the memory while `goes_on`.
fn look_at(service: &Service, goes_on: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while goes_on.load(Ordering::Relaxed) {
        let page = service.samples();
        for signal in SIGNALS {
            let account = Account::of_signal(&page, signal);
            if !account.is_even() {
                seen.failures
                    .push(format!("{signal} is not even: {account:?}"));
            }
        }
        seen.looks += 1;
        seen.most_resident = seen.most_resident.max(Usage::of(service.child()).resident);
        thread::sleep(LOOK);
    }
    seen
}

/// Runs `act` while requests are sent and the account is checked.
fn under_load<T>(service: &Service, act: impl FnOnce() -> T) -> (T, Answers, Seen) {
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        let url = format!("{}/orders/7", service.url());
        let goes_on = &goes_on;
        let load = scope.spawn(move || Answers::collect(&url, Connections::Kept, REQUEST, goes_on));
        let looks = scope.spawn(|| look_at(service, goes_on));
        let acted = act();
        goes_on.store(false, Ordering::Relaxed);
        let ends = "it does not panic";
        (acted, load.join().expect(ends), looks.join().expect(ends))
    })
}

/// Runs a service against all behaviors, one after the other. Returns the failures.
fn meet_all(transport: Transport, timeout: Timeout, behaviors: &[Behavior]) -> Vec<String> {
    let name = transport.as_str();
    if behaviors.is_empty() {
        return Vec::new();
    }
    let mut failures = Vec::new();
    let mut target = start(transport, timeout);
    let quiet_for = || thread::sleep(Duration::from_secs(2));
    let ((), quiet, before) = under_load(&target.service, quiet_for);
    let mut all = Answers::default();
    let (mut looks, mut most, mut told) = (0, before.most_resident, 0);
    for behavior in behaviors {
        let wrong = |what: String| format!("{name}: {}: {what}", behavior.name());
        let (silent, answers, seen) = under_load(&target.service, || {
            target.behave(behavior);
            let begun = Instant::now();
            let unmet = target.wait_for(PATIENCE, |_, receiver| receiver.met() > 0);
            thread::sleep(BAD.saturating_sub(begun.elapsed()));
            target.behave(&Behavior::good());
            (unmet, target.wait_for_delivery(PATIENCE))
        });
        let (unmet, silent) = silent;
        if !unmet.is_empty() {
            let account = Account::of(&target.service.samples());
            failures.push(wrong(format!("not met by {unmet:?}: {account:?}")));
        }
        if !silent.is_empty() {
            failures.push(wrong(format!("{silent:?} not delivered after it")));
        }
        failures.extend(seen.failures.into_iter().map(wrong));
        failures.extend(answers.failures.into_iter().map(wrong));
        if seen.most_resident > before.most_resident + GROWTH {
            failures.push(wrong(format!(
                "{:.1} MB are resident, {:.1} were before",
                megabytes(seen.most_resident),
                megabytes(before.most_resident)
            )));
        }
        for failure in &failures[told..] {
            println!("{failure}");
        }
        told = failures.len();
        all.times.extend(answers.times);
        looks += seen.looks;
        most = most.max(seen.most_resident);
        if !silent.is_empty() {
            // The next behavior must meet a service that delivers.
            target = start(transport, timeout);
        }
    }
    let (slow, quiet_slow) = (all.percentile(0.99), quiet.percentile(0.99));
    println!(
        "{name:13} {} behaviors, even at {looks} looks, {:.1} MB resident at most after {:.1}, \
         requests p50 {:.1?} p99 {slow:.1?} (quiet p50 {:.1?} p99 {quiet_slow:.1?})",
        behaviors.len(),
        megabytes(most),
        megabytes(before.most_resident),
        all.percentile(0.5),
        quiet.percentile(0.5),
    );
    // Other load on the machine affects both.
    if slow > 3 * quiet_slow + Duration::from_millis(50) {
        failures.push(format!(
            "{name}: p99 is {slow:?}, and {quiet_slow:?} when quiet"
        ));
    }
    failures
}

/// Ends services while they meet behaviors, several at once. Returns the failures.
fn end_all(transport: Transport, timeout: Timeout, behaviors: &[Behavior]) -> Vec<String> {
    let ends = behaviors.chunks(AT_ONCE).flat_map(|behaviors| {
        thread::scope(|scope| {
            let ends = behaviors.iter().map(|behavior| {
                scope.spawn(move || {
                    let target = start(transport, timeout);
                    target.behave(behavior);
                    let unmet = target.wait_for(PATIENCE, |_, receiver| {
                        // So that each signal has something to send.
                        load::send_bare(&target.service.url(), 1);
                        receiver.met() > 0
                    });
                    let ended = target.service.into_child().terminate();
                    (behavior.name(), unmet, ended)
                })
            });
            let ends: Vec<_> = ends.collect();
            let ends = ends.into_iter().map(|end| end.join().expect("it ends"));
            ends.collect::<Vec<_>>()
        })
    });
    let (mut failures, mut longest) = (Vec::new(), (Duration::ZERO, ""));
    for (behavior, unmet, ended) in ends {
        let mut wrong = |what: String| {
            failures.push(format!("{}: {behavior}: {what}", transport.as_str()));
        };
        if !unmet.is_empty() {
            wrong(format!("not met by {unmet:?}"));
        }
        if ended.status.code() != Some(0) || ended.log.contains("panicked") {
            wrong(format!("ends with {}: {}", ended.status, ended.log));
        }
        if ended.took > END {
            wrong(format!("ends after {:?}", ended.took));
        }
        longest = longest.max((ended.took, behavior));
    }
    println!(
        "{:13} {} ends, the longest after {:.1?}: {}",
        transport.as_str(),
        behaviors.len(),
        longest.0,
        longest.1
    );
    failures
}

/// The number of services that end at once.
const AT_ONCE: usize = 24;

/// Returns the behaviors and the time limits of the exports that meet them. The variable
/// `BEHAVIORS` selects those that have its text in their names.
fn behaviors_of(transport: Transport) -> [(Timeout, Vec<Behavior>); 2] {
    let behaviors = match transport {
        Transport::Grpc => [http2_behaviors(), grpc_pauses()],
        Transport::Protobuf | Transport::Json => [http1_behaviors(), http1_pauses()],
    };
    let wanted = std::env::var("BEHAVIORS").unwrap_or_default();
    let behaviors = behaviors.map(|mut behaviors| {
        behaviors.retain(|behavior| behavior.name().contains(&wanted));
        behaviors
    });
    let [any, pauses] = behaviors;
    [(Timeout::Short, any), (Timeout::Default, pauses)]
}

#[test]
fn whatever_a_receiver_does_the_service_goes_on_and_delivers_after_it() {
    let met = thread::scope(|scope| {
        let met = Transport::ALL.map(|transport| {
            behaviors_of(transport).map(|(timeout, behaviors)| {
                scope.spawn(move || meet_all(transport, timeout, &behaviors))
            })
        });
        met.map(|met| {
            met.map(|met| met.join().expect("a run that does not panic"))
                .concat()
        })
    });
    let failures = met.concat();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn whatever_a_receiver_does_the_service_ends_in_time() {
    // The behaviors that are specific to JSON do not matter here.
    let ended = [Transport::Grpc, Transport::Protobuf].map(|transport| {
        behaviors_of(transport)
            .map(|(timeout, behaviors)| end_all(transport, timeout, &behaviors))
            .concat()
    });
    let failures = ended.concat();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
