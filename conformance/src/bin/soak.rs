//! Runs a service under load for a long time while its receivers stop, resume and misbehave, and
//! checks that nothing grows and nothing is unaccounted for. `cargo xtask soak --help` describes
//! the options.
#![expect(clippy::print_stdout, reason = "a program at a terminal")]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    fake_receiver::{Behavior, FakeReceiver, http1_behaviors, http1_pauses},
    target::{SIGNALS, Target},
    usage::{Answers, Connections, Usage, megabytes},
};

const HELP: &str = "\
Runs a service under load while its receivers come, go and misbehave. Each second its own account has to
be even; resident memory, threads and descriptors have to stay level.

cargo xtask soak [NAME] [--minutes N | --seconds N]

NAME says what the receivers do; `mixed` without one:
  steady       they take everything
  outages      they go away and come back
  misbehaving  they do what no receiver should, one thing after the other
  mixed        all of that in turn

--minutes N    how long, 10 without it
--seconds N    the same in seconds, 20 at least";

const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_secs(1);
/// The number of seconds for which the receivers keep one behavior.
const TURN: u64 = 4;
/// The share of the run after which memory, threads and connections have reached their level.
const WARM_UP: f64 = 0.3;
/// The largest allowed differences between the means of the first and of the last third of the rest
/// of the run: of bytes, since allocators keep freed memory; of threads and descriptors, since each
/// pipeline opens a connection now and then.
const MEMORY_TOLERANCE: f64 = 12.0 * 1024.0 * 1024.0;
const COUNT_TOLERANCE: f64 = 6.0;
/// The time limit of the service's telemetry at shutdown, plus half a second.
const END: Duration = Duration::from_millis(5_500);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match Plan::parse(&arguments) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("soak: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let failures = soak(plan);
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The behavior of the receivers during the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receivers {
    Steady,
    Outages,
    Misbehaving,
    Mixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    receivers: Receivers,
    time: Duration,
}

impl Plan {
    /// Parses the arguments; returns `None` if help was asked for.
    fn parse(arguments: &[String]) -> Result<Option<Self>, String> {
        const LEAST: Duration = Duration::from_secs(20);
        let mut plan = Self {
            receivers: Receivers::Mixed,
            time: Duration::from_secs(600),
        };
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            plan.receivers = match argument {
                "--help" | "-h" => return Ok(None),
                "--minutes" | "--seconds" => {
                    let value = arguments
                        .next()
                        .ok_or_else(|| format!("{argument} wants a number after it"))?;
                    let number = value.parse::<u32>().map_err(|_| {
                        format!("{argument} wants a whole number and not `{value}`")
                    })?;
                    let unit = if argument == "--minutes" { 60 } else { 1 };
                    plan.time = Duration::from_secs(unit * u64::from(number));
                    if plan.time < LEAST {
                        return Err(format!("{argument} {value} is too short: 20 s at least"));
                    }
                    continue;
                }
                "steady" => Receivers::Steady,
                "outages" => Receivers::Outages,
                "misbehaving" => Receivers::Misbehaving,
                "mixed" => Receivers::Mixed,
                other if other.starts_with('-') => {
                    return Err(format!("no option is called `{other}`"));
                }
                other => {
                    return Err(format!(
                        "no soak is called `{other}`: there are steady, outages, misbehaving and mixed"
                    ));
                }
            };
        }
        Ok(Some(plan))
    }
}

/// The measurements of one second.
#[derive(Clone, Copy)]
struct Look {
    usage: Usage,
    produced: f64,
    exported: f64,
    dropped: f64,
}

/// Runs the soak test and returns the failures.
fn soak(plan: Plan) -> Vec<String> {
    let receivers = SIGNALS.map(|_| FakeReceiver::start()).into();
    let mut target = Target::start_with(receivers, &[]);
    let url = format!("{}/orders/7", target.service.url());
    let goes_on = AtomicBool::new(true);
    let (looks, mut failures, answers) = thread::scope(|scope| {
        let clients = (0..CLIENTS)
            .map(|_| scope.spawn(|| Answers::collect(&url, Connections::Kept, PAUSE, &goes_on)));
        let clients: Vec<_> = clients.collect();
        let (looks, failures) = watch(plan, &mut target);
        goes_on.store(false, Ordering::Relaxed);
        let mut answers = Answers::default();
        for client in clients {
            let more = client.join().expect("a client does not panic");
            answers.times.extend(more.times);
            answers.failures.extend(more.failures);
        }
        (looks, failures, answers)
    });
    println!(
        "\n{} looks, {} requests: p50 {:.1?}, p99 {:.1?}, the longest {:.1?}; {} failed",
        looks.len(),
        answers.times.len(),
        answers.percentile(0.5),
        answers.percentile(0.99),
        answers.percentile(1.0),
        answers.failures.len()
    );
    if let Some(first) = answers.failures.first() {
        failures.push(format!("{} requests: {first}", answers.failures.len()));
    }
    failures.extend(levels(&looks));
    target.behave(&Behavior::good());
    for receiver in &mut target.receivers {
        receiver.resume();
    }
    let silent = target.wait_for_delivery(Duration::from_secs(20));
    if !silent.is_empty() {
        failures.push(format!("{silent:?} are not delivered in the end"));
    }
    let ended = target.service.into_child().terminate();
    println!("the end took {:.2?}", ended.took);
    if ended.took > END || ended.status.code() != Some(0) || ended.log.contains("panicked") {
        failures.push(format!("ends with {} after {:?}", ended.status, ended.took));
    }
    failures
}

/// Takes measurements each second, and changes the behavior of the receivers as planned.
fn watch(plan: Plan, target: &mut Target) -> (Vec<Look>, Vec<String>) {
    let behaviors = [http1_behaviors(), http1_pauses()].concat();
    let mut behaviors = behaviors.iter().cycle();
    let (mut looks, mut failures) = (Vec::new(), Vec::new());
    let (begun, mut doing) = (Instant::now(), "well");
    println!(
        "   time   receivers    resident  threads  descriptors   produced   exported    dropped"
    );
    for second in 0_u64.. {
        let now = begun.elapsed();
        if now >= plan.time {
            break;
        }
        if second % TURN == 0 {
            doing = turn(plan.receivers, second / TURN, target, &mut behaviors);
        }
        let page = target.service.samples();
        for signal in SIGNALS {
            let account = Account::of_signal(&page, signal);
            if !account.is_even() {
                failures.push(format!("{signal} after {now:.0?}: not even: {account:?}"));
            }
        }
        let account = Account::of(&page);
        let look = Look {
            usage: Usage::of(target.service.child()),
            produced: account.produced,
            exported: account.exported,
            dropped: account.dropped.values().sum(),
        };
        looks.push(look);
        // Print a line per minute, and more often in a short run.
        if second % 60 == 0 || (plan.time < Duration::from_secs(180) && second % 10 == 0) {
            println!(
                "{:5} s   {doing:11} {:6.1} MB  {:7}  {:11} {:10} {:10} {:10}",
                now.as_secs(),
                megabytes(look.usage.resident),
                look.usage.threads,
                look.usage.descriptors,
                look.produced,
                look.exported,
                look.dropped
            );
        }
        thread::sleep(
            (begun + (second as u32 + 1) * LOOK).saturating_duration_since(Instant::now()),
        );
    }
    if looks.last().is_none_or(|look| look.exported == 0.0) {
        failures.push("nothing was exported at all".to_owned());
    }
    (looks, failures)
}

/// Starts the next behavior of the receivers, and returns its name.
fn turn<'a>(
    receivers: Receivers,
    turn: u64,
    target: &mut Target,
    behaviors: &mut impl Iterator<Item = &'a Behavior>,
) -> &'static str {
    let next = match receivers {
        Receivers::Steady => "well",
        Receivers::Outages => ["well", "away"][turn as usize % 2],
        Receivers::Misbehaving => ["well", "misbehaving"][turn as usize % 2],
        Receivers::Mixed => ["well", "away", "well", "misbehaving"][turn as usize % 4],
    };
    for receiver in &mut target.receivers {
        match next {
            "away" => receiver.stop(),
            _ => receiver.resume(),
        }
    }
    match next {
        "misbehaving" => {
            // Each signal gets a different behavior.
            for receiver in &target.receivers {
                if let Some(behavior) = behaviors.next() {
                    receiver.behave(behavior);
                }
            }
        }
        _ => target.behave(&Behavior::good()),
    }
    next
}

/// Returns the values that are not level after the warm-up, and prints a table.
fn levels(looks: &[Look]) -> Vec<String> {
    type Value = fn(&Look) -> f64;
    let after = &looks[(looks.len() as f64 * WARM_UP) as usize..];
    let third = (after.len() / 3).max(1);
    let mut failures = Vec::new();
    println!("\n              first third   last third         most       slope");
    let values: [(&str, Value, f64, f64); 3] = [
        (
            "resident, MB",
            |look| look.usage.resident as f64,
            MEMORY_TOLERANCE,
            1024.0 * 1024.0,
        ),
        (
            "threads",
            |look| look.usage.threads as f64,
            COUNT_TOLERANCE,
            1.0,
        ),
        (
            "descriptors",
            |look| look.usage.descriptors as f64,
            COUNT_TOLERANCE,
            1.0,
        ),
    ];
    for (name, value, tolerance, unit) in values {
        let mean = |looks: &[Look]| looks.iter().map(value).sum::<f64>() / looks.len() as f64;
        let (first, last) = (mean(&after[..third]), mean(&after[after.len() - third..]));
        let most = looks.iter().map(value).fold(0.0, f64::max);
        // The two means are two thirds of the time apart.
        let minutes = after.len() as f64 * 2.0 / 3.0 / 60.0;
        let slope = (last - first) / minutes;
        println!(
            "{name:12} {:12.1} {:12.1} {:12.1} {:7.2}/min",
            first / unit,
            last / unit,
            most / unit,
            slope / unit
        );
        if last > first + tolerance {
            failures.push(format!(
                "{name} grows from {:.1} to {:.1}",
                first / unit,
                last / unit
            ));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Plan>, String> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
        Plan::parse(&arguments)
    }

    #[test]
    fn arguments_are_a_name_and_a_time() {
        let plan = parse(&["outages", "--minutes", "3"]).expect("good arguments");
        let plan = plan.expect("a plan");
        assert_eq!(plan.receivers, Receivers::Outages);
        assert_eq!(plan.time, Duration::from_secs(180));
        assert_eq!(parse(&["--help"]), Ok(None));
        for (arguments, part) in [
            (&["often"][..], "`often`"),
            (&["--hours", "1"], "`--hours`"),
            (&["--minutes"], "a number"),
            (&["--minutes", "-1"], "`-1`"),
            (&["--seconds", "3"], "too short"),
        ] {
            let error = parse(arguments).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn growth_is_detected() {
        let look = |resident| Look {
            usage: Usage {
                resident,
                threads: 9,
                descriptors: 20,
            },
            produced: 0.0,
            exported: 0.0,
            dropped: 0.0,
        };
        let level: Vec<Look> = (0..60).map(|at| look((20 + at % 3) << 20)).collect();
        assert_eq!(levels(&level), Vec::<String>::new());
        let grows: Vec<Look> = (0..60).map(|at| look((20 + at) << 20)).collect();
        assert_eq!(levels(&grows).len(), 1);
    }
}
