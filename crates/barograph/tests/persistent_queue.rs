//! Services whose persistent queue cannot be used for a while: its contents are kept.
//!
//! A test that needs a separate process runs this program again as a child.
#![cfg(all(feature = "otlp", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barograph::Registry;
use barograph::export::Push;
use barograph::export::Request;
use barograph::export::{Outcome, RetryPolicy, Retryable, Schedule, Target, Transport};
use barograph::testing::TestBuilder as _;
use barograph::{StartError, Telemetry, TelemetryBuilder};
use barograph_export::persistent_queue::{PersistentQueue, PersistentQueueConfig};
use tempfile::TempDir;

/// Longer than anything takes on the slowest machine.
const LONG: Duration = Duration::from_secs(60);

/// The directory of a child; not set in a normal test run.
const PLACE: &str = "BAROGRAPH_TEST_PLACE";

/// A receiver that is available while a file exists.
struct Receiver {
    is_there: PathBuf,
    /// The number of items that it accepted.
    taken: Arc<Mutex<u64>>,
    target: Target,
}

impl Receiver {
    fn at(place: &Path) -> (Self, Arc<Mutex<u64>>) {
        let taken = Arc::default();
        let receiver = Receiver {
            is_there: place.join("receiver"),
            taken: Arc::clone(&taken),
            target: Target::default(),
        };
        (receiver, taken)
    }
}

impl Transport for Receiver {
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let outcome = match self.is_there.exists() {
            true => {
                *self.taken.lock().unwrap() += request.items;
                Outcome::Delivered(None)
            }
            false => Outcome::Retryable(Retryable {
                error_type: "connect".into(),
                message: "nobody is there".into(),
                retry_after: None,
                may_have_arrived: false,
            }),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn target(&self) -> &Target {
        &self.target
    }
}

fn builder(registry: &Registry) -> TelemetryBuilder {
    Telemetry::builder("shop")
        .without_environment()
        .with_registry(registry.clone())
        .without_listener()
        .without_start_line()
}

/// Pushes frequently, and retries at once.
fn often(push: Push, queue: PathBuf) -> Push {
    let milliseconds = Duration::from_millis;
    let schedule = Schedule::new()
        .with_interval(milliseconds(20))
        .with_timeout(milliseconds(1000))
        .with_request_timeout(milliseconds(200));
    let retry = RetryPolicy::new()
        .with_initial_interval(milliseconds(5))
        .with_max_interval(milliseconds(5))
        .with_max_open(milliseconds(50));
    push.with_schedule(schedule)
        .with_retry(retry)
        .with_persistent_queue(queue, PersistentQueueConfig::new())
}

/// The statistics of one signal on the page.
#[derive(Clone, Debug, PartialEq)]
struct Account {
    produced: u64,
    exported: u64,
    queued: u64,
    dropped: u64,
    /// The number of those dropped because of the persistent queue.
    by_queue: u64,
    is_usable: bool,
    failures: u64,
}

impl Account {
    fn of(telemetry: &Telemetry, signal: &str) -> Self {
        let page = telemetry.render(None).body;
        let lines = page
            .lines()
            .filter(|line| line.contains(&format!("signal=\"{signal}\"")));
        let lines: Vec<_> = lines.collect();
        let sum = |start: &str, part: &str| -> u64 {
            let found = lines
                .iter()
                .filter(|line| line.starts_with(start) && line.contains(part));
            found
                .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
                .sum()
        };
        let by_queue = ["corrupt", "persistent_queue_full"].map(|reason| {
            sum(
                "barograph_export_dropped_total",
                &format!("reason=\"{reason}\""),
            )
        });
        let account = Account {
            produced: sum("barograph_export_produced_total", ""),
            exported: sum("barograph_export_exported_total", ""),
            queued: sum("barograph_export_queued", ""),
            dropped: sum("barograph_export_dropped_total", ""),
            by_queue: by_queue.iter().sum(),
            is_usable: sum("barograph_export_persistent_queue_usable", "") == 1,
            failures: sum("barograph_export_persistent_queue_failures_total", ""),
        };
        let accounted = account.exported + account.queued + account.dropped;
        assert_eq!(account.produced, accounted, "{account:?}");
        account
    }
}

/// Waits until the condition holds.
#[track_caller]
fn until(telemetry: &Telemetry, signal: &str, is_so: impl Fn(&Account) -> bool) -> Account {
    let began = Instant::now();
    loop {
        let account = Account::of(telemetry, signal);
        if is_so(&account) {
            return account;
        }
        assert!(began.elapsed() < LONG, "{signal}: {account:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Returns paths that no process can use, and a persistent queue that this process has open.
fn unusable(place: &Path) -> (Vec<PathBuf>, PersistentQueue) {
    let file = place.join("file");
    fs::write(&file, b"somebody else's").unwrap();
    let lock = place.join("lock-is-a-directory");
    fs::create_dir_all(lock.join("lock")).unwrap();
    let fifo = place.join("state-is-a-fifo");
    fs::create_dir(&fifo).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(fifo.join("state"))
            .status()
            .unwrap()
            .success()
    );
    let link = place.join("state-is-a-link");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(&file, link.join("state")).unwrap();
    let locked = place.join("locked");
    let other = PersistentQueue::open(&locked, PersistentQueueConfig::new()).unwrap();
    let all = [
        file.join("below"),
        file,
        lock,
        fifo,
        link,
        locked,
        "/proc/here".into(),
    ];
    (all.into(), other)
}

#[test]
fn a_persistent_queue_that_cannot_be_opened_does_not_fail_the_start() {
    let place = TempDir::new().unwrap();
    let (directories, _other) = unusable(place.path());
    fs::write(place.path().join("receiver"), b"").unwrap();
    for directory in directories {
        let registry = Registry::new();
        registry.counter("orders").build().unwrap().inc();
        let (receiver, taken) = Receiver::at(place.path());
        let push = often(Push::metrics("m", receiver), directory.clone());
        let telemetry = builder(&registry).with_push(push).start().unwrap();
        let account = Account::of(&telemetry, "metrics");
        assert!(
            !account.is_usable && account.failures > 0,
            "{directory:?} {account:?}"
        );
        // It continues as without a persistent queue.
        let account = until(&telemetry, "metrics", |account| account.exported > 10);
        assert!(
            !account.is_usable && account.by_queue == 0,
            "{directory:?} {account:?}"
        );
        telemetry.shutdown_blocking();
        assert!(*taken.lock().unwrap() > 10);
    }
    let file = fs::read(place.path().join("file")).unwrap();
    assert_eq!(file, b"somebody else's");
}

#[test]
fn a_persistent_queue_that_is_required_has_to_open() {
    let place = TempDir::new().unwrap();
    let (directories, _other) = unusable(place.path());
    let asked = |required: Option<&'static str>, directory: &Path| {
        let (receiver, _) = Receiver::at(place.path());
        let push = often(Push::metrics("m", receiver), directory.to_owned());
        builder(&Registry::new())
            .with_environment(move |name| match name {
                "BAROGRAPH_PERSISTENT_QUEUE_REQUIRED" => required.map(str::to_owned),
                _ => None,
            })
            .with_push(push)
    };
    for directory in directories {
        let by_program = asked(None, &directory).with_required_persistent_queues();
        for builder in [by_program, asked(Some("true"), &directory)] {
            let error = builder.start().unwrap_err();
            assert!(
                matches!(error, StartError::PersistentQueue { .. }),
                "{error:?}"
            );
            let named = directory.to_str().unwrap();
            assert!(format!("{error:?}").contains(named), "{error:?}");
        }
        let beaten = asked(Some("false"), &directory).with_required_persistent_queues();
        drop(beaten.start().unwrap());
    }
    let directory = place.path().join("usable");
    let required = asked(None, &directory).with_required_persistent_queues();
    let telemetry = required.start().unwrap();
    assert!(Account::of(&telemetry, "metrics").is_usable);
}

/// A service that prints its state until it is killed.
#[test]
fn a_service_that_never_ends() {
    let Some(place) = place() else { return };
    let registry = Registry::new();
    registry.counter("orders").build().unwrap().inc();
    let (receiver, _) = Receiver::at(&place);
    let push = often(Push::metrics("m", receiver), place.join("queue"));
    let telemetry = builder(&registry).with_push(push).start().unwrap();
    loop {
        let Account {
            produced,
            exported,
            queued,
            by_queue,
            is_usable,
            ..
        } = Account::of(&telemetry, "metrics");
        println!(
            "state {} {produced} {exported} {queued} {by_queue}",
            u64::from(is_usable)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child that runs this service, killed at the end of the test.
struct Service {
    process: Child,
    said: BufReader<std::process::ChildStdout>,
}

/// The state that a service prints: usable, produced, exported, queued, dropped because of the queue.
type State = [u64; 5];

impl Service {
    fn start(place: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_service_that_never_ends", "--nocapture"])
            .env(PLACE, place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Service { process, said }
    }

    /// Waits for a state for which the condition holds.
    #[track_caller]
    fn until(&mut self, is_so: impl Fn(&State) -> bool) -> State {
        let began = Instant::now();
        loop {
            let mut line = String::new();
            assert!(
                self.said.read_line(&mut line).unwrap() > 0,
                "it ended by itself"
            );
            let Some((_, state)) = line.split_once("state ") else {
                continue;
            };
            let numbers: Vec<u64> = state
                .split(' ')
                .map(|n| n.trim().parse().unwrap())
                .collect();
            let state: State = numbers.try_into().unwrap();
            if is_so(&state) {
                return state;
            }
            assert!(began.elapsed() < 2 * LONG, "{state:?}");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn of_two_services_on_one_queue_the_second_takes_over_what_the_first_has_left() {
    let place = TempDir::new().unwrap();
    // Both start at the same moment.
    let mut both = [Service::start(place.path()), Service::start(place.path())];
    let states = both
        .each_mut()
        .map(|service| service.until(|state| state[1] > 10));
    let usable: Vec<bool> = states.iter().map(|state| state[0] == 1).collect();
    assert!(
        usable == [true, false] || usable == [false, true],
        "{states:?}"
    );
    let [one, other] = both;
    let (mut first, mut second) = match usable[0] {
        true => (one, other),
        false => (other, one),
    };
    let left = first.until(|state| state[3] > 100);
    assert_eq!(second.until(|_| true)[0], 0);
    // It is killed by SIGKILL.
    drop(first);
    let taken_over = second.until(|state| state[0] == 1);
    assert!(taken_over[1] >= left[3], "{left:?} {taken_over:?}");
    assert_eq!((taken_over[2], taken_over[4]), (0, 0), "{taken_over:?}");
    // The next process takes over what that one leaves, from its start.
    drop(second);
    let mut third = Service::start(place.path());
    let begun = third.until(|_| true);
    assert_eq!((begun[0], begun[4]), (1, 0), "{begun:?}");
    assert!(begun[3] >= taken_over[3] / 2, "{taken_over:?} {begun:?}");
    fs::write(place.path().join("receiver"), b"").unwrap();
    let end = third.until(|state| state[3] < 20 && state[2] >= begun[3]);
    assert_eq!(end[4], 0, "{end:?}");
}
