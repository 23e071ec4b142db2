//! Persistent queues that are damaged, that cannot be written, whose files are removed while in
//! use, or whose process is killed: the next process starts, delivers, and accounts for everything.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::TcpStream,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use conformance::{
    account::Account,
    fake_receiver::{Behavior, FakeReceiver},
    load,
    samples::Samples,
    service::Service,
    target::{SIGNALS, Target, arguments_for},
};
use tempfile::TempDir;

const ORDERS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(20);
/// The time limit of the service's telemetry at shutdown, plus half a second.
const END: Duration = Duration::from_millis(5_500);

/// Damage to a queue's directory while no process uses it.
type Damage = fn(&Queue);

/// The directory of one signal's queue.
struct Queue {
    directory: PathBuf,
    /// A file outside the directory, which must not be written to.
    outside: PathBuf,
}

impl Queue {
    /// The segments of the queue, the oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "segment")
            })
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "there is nothing to damage");
        paths
    }

    /// All files that are not segments.
    fn others(&self) -> Vec<PathBuf> {
        let segments = self.segments();
        let entries = fs::read_dir(&self.directory).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| !segments.contains(path)).collect()
    }
}

fn open(path: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.expect("a file of the queue")
}

fn truncate(queue: &Queue, length: impl Fn(u64) -> u64) {
    for path in queue.segments() {
        let file = open(&path);
        let whole = file.metadata().expect("a length").len();
        file.set_len(length(whole)).expect("a shorter file");
    }
}

/// Flips a byte of each segment, at this fraction of its length.
fn flip(queue: &Queue, share: f64) {
    for path in queue.segments() {
        let mut file = open(&path);
        let length = file.metadata().expect("a length").len();
        let at = ((length as f64 * share) as u64).min(length - 1);
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).expect("within it");
        file.read_exact(&mut byte).expect("a byte");
        file.seek(SeekFrom::Start(at)).expect("within it");
        file.write_all(&[byte[0] ^ 0x10]).expect("a byte");
    }
}

fn overwrite(paths: &[PathBuf], content: &[u8]) {
    for path in paths {
        fs::write(path, content).expect("a file of the queue");
    }
}

fn fifo(path: &Path) {
    let _ = fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo runs").success());
}

fn damages() -> Vec<(&'static str, Damage)> {
    vec![
        ("nothing", |_| {}),
        ("segments of half the length", |queue| {
            truncate(queue, |whole| whole / 2)
        }),
        ("segments without their last byte", |queue| {
            truncate(queue, |whole| whole - 1)
        }),
        ("segments of one byte", |queue| truncate(queue, |_| 1)),
        ("empty segments", |queue| truncate(queue, |_| 0)),
        ("a segment with a terabyte of holes", |queue| {
            truncate(queue, |_| 1 << 40)
        }),
        ("a bit flipped at the begin", |queue| flip(queue, 0.0)),
        ("a bit flipped near the begin", |queue| flip(queue, 0.01)),
        ("a bit flipped in the middle", |queue| flip(queue, 0.5)),
        ("a bit flipped at the end", |queue| flip(queue, 1.0)),
        ("segments of zeros", |queue| {
            overwrite(&queue.segments(), &[0; 10_000])
        }),
        ("segments of ones", |queue| {
            overwrite(&queue.segments(), &[0xff; 10_000])
        }),
        ("text at the end of segments", |queue| {
            for path in queue.segments() {
                let mut file = OpenOptions::new()
                    .append(true)
                    .open(path)
                    .expect("a segment");
                file.write_all(&b"not of ours ".repeat(1_000))
                    .expect("more");
            }
        }),
        ("no segments", |queue| {
            for path in queue.segments() {
                fs::remove_file(path).expect("a segment");
            }
        }),
        ("nothing but segments", |queue| {
            for path in queue.others() {
                fs::remove_file(path).expect("a file");
            }
        }),
        ("text in all files but segments", |queue| {
            overwrite(&queue.others(), &[b'x'; 5_000])
        }),
        ("empty files but segments", |queue| {
            overwrite(&queue.others(), b"")
        }),
        ("the same segment twice", |queue| {
            let first = &queue.segments()[0];
            let name = first
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            fs::copy(first, first.with_file_name(format!("f{}", &name[1..]))).expect("a copy");
        }),
        ("1,000 empty segments", |queue| {
            for number in 0..1_000 {
                let name = format!("{:016x}-{number:016x}.segment", 1_u64 << 40 | number);
                File::create(queue.directory.join(name)).expect("a file");
            }
        }),
        ("the last number there is", |queue| {
            let name = format!("{:016x}-{:016x}.segment", u64::MAX, 7);
            fs::copy(&queue.segments()[0], queue.directory.join(name)).expect("a copy");
        }),
        ("directories for segments", |queue| {
            for path in queue.segments() {
                fs::remove_file(&path).expect("a segment");
                fs::create_dir(&path).expect("a directory");
            }
        }),
        ("segments that lead elsewhere", |queue| {
            for path in queue.segments() {
                fs::remove_file(&path).expect("a segment");
                symlink(&queue.outside, &path).expect("a link");
            }
        }),
        ("other files that lead elsewhere", |queue| {
            for path in queue.others() {
                fs::remove_file(&path).expect("a file");
                symlink(&queue.outside, &path).expect("a link");
            }
        }),
        ("pipes for segments", |queue| {
            queue.segments().iter().for_each(|path| fifo(path))
        }),
        ("pipes for other files", |queue| {
            queue.others().iter().for_each(|path| fifo(path))
        }),
        ("a directory that leads to itself", |queue| {
            fs::remove_dir_all(&queue.directory).expect("a directory");
            symlink(&queue.directory, &queue.directory).expect("a link");
        }),
        ("a file for a directory", |queue| {
            fs::remove_dir_all(&queue.directory).expect("a directory");
            File::create(&queue.directory).expect("a file");
        }),
        ("a directory that nobody may enter", |queue| {
            let none = fs::Permissions::from_mode(0o000);
            fs::set_permissions(&queue.directory, none).expect("permissions");
        }),
    ]
}

/// Damages the queues of a killed service, and starts another one. Returns the failures.
fn damaged(left: &Path, name: &str, damage: Damage) -> Vec<String> {
    let place = TempDir::with_prefix("barograph-damaged-").expect("a directory");
    let root = place.path().join("queue");
    let outside = place.path().join("outside");
    fs::write(&outside, "of somebody else").expect("a file");
    let copied = Command::new("cp").arg("-a").args([left, &root]).status();
    assert!(copied.expect("cp runs").success());
    for signal in SIGNALS {
        damage(&Queue {
            directory: root.join(signal),
            outside: outside.clone(),
        });
    }
    let target = Target::start(&[format!("queue_dir={}", root.display())]);
    load::send_bare(&target.service.url(), 5);
    let mut wrong = Vec::new();
    let silent = target.wait_for_delivery(PATIENCE);
    if !silent.is_empty() {
        wrong.push(format!("{silent:?} are not delivered"));
    }
    let page = target.service.samples();
    for signal in SIGNALS {
        let account = Account::of_signal(&page, signal);
        if !account.is_even() {
            wrong.push(format!("{signal} is not even: {account:?}"));
        }
    }
    let came = target.receivers[2].count(" read");
    if name == "nothing" && came < ORDERS as usize + 5 {
        wrong.push(format!("only {came} log records came"));
    }
    let ended = target.service.into_child().terminate();
    if ended.took > END || ended.status.code() != Some(0) || ended.log.contains("panicked") {
        wrong.push(format!(
            "ends with {} after {:?}:\n{}",
            ended.status, ended.took, ended.log
        ));
    }
    if fs::read(&outside).expect("a file") != b"of somebody else" {
        wrong.push("a file elsewhere was written to".to_owned());
    }
    wrong
        .into_iter()
        .map(|wrong| format!("{name}: {wrong}"))
        .collect()
}

#[test]
fn whatever_is_done_to_a_queue_the_next_service_goes_on() {
    let place = TempDir::with_prefix("barograph-queue-").expect("a directory");
    let queue_dir = format!("queue_dir={}", place.path().display());
    let mut target = Target::start(&[queue_dir]);
    target.receivers.iter_mut().for_each(FakeReceiver::stop);
    load::send_bare(&target.service.url(), ORDERS);
    // Wait until it is persisted.
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && Account::of(&target.service.samples()).queued < 500.0 {
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(500));
    target.service.into_child().kill();
    let failures: Vec<String> = damages()
        .chunks(8)
        .flat_map(|damages| {
            thread::scope(|scope| {
                let runs = damages.iter().map(|(name, damage)| {
                    (*name, scope.spawn(|| damaged(place.path(), name, *damage)))
                });
                let runs: Vec<_> = runs.collect();
                let runs = runs.into_iter().flat_map(|(name, run)| {
                    run.join()
                        .unwrap_or_else(|_| vec![format!("{name}: does not start")])
                });
                runs.collect::<Vec<_>>()
            })
        })
        .collect();
    println!("{} ways to damage a queue", damages().len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Starts a service within shell limits, with receivers that are down.
fn limited(limits: &str, place: &TempDir, bytes: u64) -> Target {
    let mut receivers: Vec<FakeReceiver> =
        SIGNALS.map(|_| FakeReceiver::that_keeps_bodies()).into();
    receivers.iter_mut().for_each(FakeReceiver::stop);
    let mut arguments = arguments_for(&receivers);
    arguments.push(format!("queue_dir={}", place.path().display()));
    arguments.push(format!("queue_bytes={bytes}"));
    Target {
        service: Service::target_limited(limits, &arguments),
        receivers,
    }
}

/// Sums the series of a page with this name and all of these labels.
fn counted(page: &Samples, name: &str, labels: &[&str]) -> f64 {
    let series = page.values.iter().filter(|(series, _)| {
        series.starts_with(&format!("{name}{{"))
            && labels.iter().all(|label| series.contains(label))
    });
    series
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// Returns the number of failed operations of persistent queues.
fn queue_failures(page: &Samples, labels: &[&str]) -> f64 {
    counted(
        page,
        "barograph_export_persistent_queue_failures_total",
        labels,
    )
}

/// Fills the queues of a service with these limits. Returns the number of failures because a file
/// was too large, and the account.
fn fill_disk(limits: &str) -> (f64, Account) {
    let place = TempDir::with_prefix("barograph-full-").expect("a directory");
    let mut target = limited(limits, &place, 1 << 28);
    let too_large = |target: &Target| {
        let labels = ["operation=\"write\"", "error_type=\"file_too_large\""];
        queue_failures(&target.service.samples(), &labels)
    };
    for _ in 0..10 {
        load::send_bare(&target.service.url(), ORDERS);
        let account = Account::of(&target.service.samples());
        assert!(account.is_even(), "{account:?}");
    }
    let begun = Instant::now();
    while too_large(&target) == 0.0 && begun.elapsed() < Duration::from_secs(3) {
        load::send_bare(&target.service.url(), 10);
        thread::sleep(Duration::from_millis(50));
    }
    let failures = too_large(&target);
    target.receivers.iter_mut().for_each(FakeReceiver::resume);
    assert_eq!(target.wait_for_delivery(PATIENCE), [""; 0]);
    let account = Account::of(&target.service.samples());
    target.service.end();
    (failures, account)
}

#[test]
fn a_full_disk_loses_only_requests_that_do_not_fit() {
    // At most 64 KiB per file, and an error instead of a signal.
    let (failures, account) = fill_disk("trap '' XFSZ; ulimit -f 64");
    println!("a full disk: {failures} failures, {account:?}");
    assert!(failures > 0.0, "the limit was not reached");
    assert!(account.is_even(), "{account:?}");
    assert_eq!(account.dropped("corrupt"), 0.0, "{account:?}");
    // Without the limit there are no failures.
    let (failures, account) = fill_disk("true");
    assert_eq!(failures, 0.0, "there is room");
    assert!(account.is_even(), "{account:?}");
    assert_eq!(account.dropped.values().sum::<f64>(), 0.0, "{account:?}");
}

/// Holds connections to a service with these limits while its receivers recover. Returns how many
/// connections it could not accept, and how many log records arrived meanwhile.
fn hold_descriptors(limits: &str) -> (f64, usize) {
    const RUNS: u64 = 5;
    let orders = (RUNS * ORDERS) as usize;
    let place = TempDir::with_prefix("barograph-descriptors-").expect("a directory");
    // Segments of 128 KiB, some of which are not open.
    let mut target = limited(limits, &place, 1 << 20);
    for _ in 0..RUNS {
        load::send_bare(&target.service.url(), ORDERS);
    }
    thread::sleep(Duration::from_millis(500));
    let address = target.service.url();
    let connect = |_| TcpStream::connect(address.trim_start_matches("http://"));
    let held: Vec<_> = (0..100).map(connect).collect();
    thread::sleep(Duration::from_millis(500));
    // The receivers are up, but the service cannot open a connection or a file.
    target.receivers.iter_mut().for_each(FakeReceiver::resume);
    target.behave(&Behavior::good());
    thread::sleep(Duration::from_secs(2));
    let meanwhile = target.receivers[2].count(" read");
    drop(held);
    assert_eq!(target.wait_for_delivery(PATIENCE), [""; 0]);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && target.receivers[2].count(" read") < orders {
        thread::sleep(Duration::from_millis(50));
    }
    let page = target.service.samples();
    let refused = counted(&page, "barograph_accept_errors_total", &[]);
    let account = Account::of(&page);
    assert!(account.is_even(), "{account:?}");
    for reason in ["corrupt", "persistent_queue_full"] {
        assert_eq!(account.dropped(reason), 0.0, "{account:?}");
    }
    let came = target.receivers[2].count(" read");
    assert!(came >= orders, "{came} log records of {orders} came");
    target.service.end();
    (refused, meanwhile)
}

#[test]
fn descriptors_that_run_out_cost_nothing() {
    let (refused, meanwhile) = hold_descriptors("ulimit -n 64");
    println!("no descriptors: {refused} not accepted, {meanwhile} came meanwhile");
    assert!(refused > 0.0, "the service had descriptors left");
    assert_eq!(meanwhile, 0, "it could connect to its receivers");
    // Without the limit there are no failures.
    let (refused, meanwhile) = hold_descriptors("ulimit -n 1024");
    assert_eq!(refused, 0.0);
    assert!(meanwhile > 0, "nothing came though there were descriptors");
}

#[test]
fn files_that_are_removed_under_a_service_are_counted_and_made_again() {
    let place = TempDir::with_prefix("barograph-removed-").expect("a directory");
    let root = place.path().join("queue");
    let queue_dir = [format!("queue_dir={}", root.display())];
    let mut target = Target::start(&queue_dir);
    target.receivers.iter_mut().for_each(FakeReceiver::stop);
    load::send_bare(&target.service.url(), ORDERS);
    let logs = |target: &Target| Account::of_signal(&target.service.samples(), "logs");
    let wait = |target: &Target, what: &str, holds: &dyn Fn(&Account) -> bool| {
        let begun = Instant::now();
        while !holds(&logs(target)) {
            let account = logs(target);
            assert!(begun.elapsed() < PATIENCE, "{what}: {account:?}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    wait(&target, "the load is queued", &|logs| {
        logs.queued >= ORDERS as f64
    });
    // Wait until it is persisted.
    thread::sleep(Duration::from_millis(500));
    fs::remove_dir_all(&root).expect("a directory");
    load::send_bare(&target.service.url(), ORDERS);
    // One request may be in memory.
    wait(&target, "what was removed is counted", &|logs| {
        logs.dropped("corrupt") > 0.0
    });
    thread::sleep(Duration::from_millis(1_500));
    let page = target.service.samples();
    for signal in SIGNALS {
        let account = Account::of_signal(&page, signal);
        assert!(account.is_even(), "{signal}: {account:?}");
        let usable = counted(&page, "barograph_export_persistent_queue_usable", &[signal]);
        assert_eq!(usable, 1.0, "{signal}");
    }
    let lost = logs(&target).dropped("corrupt");
    // Later requests are on disk, where the next process finds them.
    let receivers = target.receivers;
    let log = target.service.into_child().kill();
    let told = log.matches("of the persistent queue of logs").count();
    assert_eq!(told, 1, "{log}");
    let mut receivers = receivers;
    receivers.iter_mut().for_each(FakeReceiver::resume);
    let target = Target::start_with(receivers, &queue_dir);
    let expected = 2 * ORDERS as usize - lost as usize;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && target.receivers[2].count(" read") < expected {
        thread::sleep(Duration::from_millis(50));
    }
    let came = target.receivers[2].count(" read");
    println!("removed: {lost} log records were lost, {came} came");
    assert!(came >= expected, "{came} of {expected}; {lost} were lost");
    assert!(
        came >= ORDERS as usize,
        "what came after the removal is there"
    );
    let account = Account::of(&target.service.samples());
    assert!(account.is_even(), "{account:?}");
    target.service.end();
}

#[test]
fn the_account_of_a_service_that_is_killed_repeatedly_is_exact() {
    const LIVES: u64 = 8;
    let place = TempDir::with_prefix("barograph-killed-").expect("a directory");
    let queue_dir = [format!("queue_dir={}", place.path().display())];
    let mut receivers: Vec<FakeReceiver> =
        SIGNALS.map(|_| FakeReceiver::that_keeps_bodies()).into();
    for life in 0..LIVES {
        for receiver in &mut receivers {
            match life % 2 {
                0 => receiver.stop(),
                _ => receiver.resume(),
            }
        }
        let target = Target::start_with(receivers, &queue_dir);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300 + 70 * life) {
            load::send_bare(&target.service.url(), 10);
            let account = Account::of(&target.service.samples());
            assert!(account.is_even(), "{account:?}");
        }
        receivers = target.receivers;
        let log = target.service.into_child().kill();
        assert!(!log.contains("panicked"), "{log}");
    }
    receivers.iter_mut().for_each(FakeReceiver::resume);
    let target = Target::start_with(receivers, &queue_dir);
    assert_eq!(target.wait_for_delivery(PATIENCE), [""; 0]);
    let account = Account::of(&target.service.samples());
    println!("killed {LIVES} times: {account:?}");
    assert!(account.is_even(), "{account:?}");
    assert_eq!(account.dropped("corrupt"), 0.0, "{account:?}");
    target.service.end();
}
