//! Tests of the persistent queue in processes that are killed, and on a disk that is full: this
//! program runs itself as a child.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::Totals;
use barograph_export::persistent_queue::{
    AppendError, Count, Lost, PersistentQueue, PersistentQueueConfig, SyncPolicy, WhenFull,
};

fn request(number: u64) -> Request {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(8 + (number * 7919 % 20_000) as usize, number as u8);
    Request {
        signal: Signal::Metrics,
        encoding: Encoding::Protobuf,
        body: body.into(),
        items: items(number),
    }
}

fn items(number: u64) -> u64 {
    number % 13 + 1
}

fn all_items(numbers: RangeInclusive<u64>) -> u64 {
    numbers.map(items).sum()
}

fn number(request: &Request) -> u64 {
    let (number, _) = request.body.split_first_chunk().unwrap();
    u64::from_le_bytes(*number)
}

/// The unit is a request here.
fn totals(produced: u64, exported: u64) -> Totals {
    Totals {
        produced,
        exported,
        ..Totals::default()
    }
}

fn config() -> PersistentQueueConfig {
    // Segments of 128 KiB, so that several exist at a time.
    let config = PersistentQueueConfig::new().with_max_bytes(1 << 20);
    config.with_sync(SyncPolicy::Every(Duration::MAX))
}

/// A command that runs only `test` of this program, on `directory`.
fn again(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Returns the directory in which a child works; `None` in a normal test run.
fn directory() -> Option<std::ffi::OsString> {
    std::env::var_os(DIRECTORY)
}

const DIRECTORY: &str = "BAROGRAPH_TEST_PERSISTENT_QUEUE";

/// A child process that is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Appends and removes until it is killed, and prints each step.
#[test]
fn a_writer_that_never_ends() {
    let Some(directory) = directory() else { return };
    let mut queue = PersistentQueue::open(directory, config()).unwrap();
    let Totals {
        produced: mut appended,
        mut exported,
        ..
    } = queue.totals();
    // The totals give the number of exported requests; the others are pending.
    appended = appended.max(exported + queue.pending_requests());
    loop {
        appended += 1;
        queue.append(&request(appended)).unwrap();
        println!("appended {appended}");
        // Alternately falls behind and catches up, so that segments are added and removed.
        let behind = if appended / 200 % 2 == 0 { 40 } else { 5 };
        while queue.pending_requests() > behind {
            let oldest = queue.oldest().unwrap().unwrap();
            exported += 1;
            assert_eq!(oldest, request(exported));
            queue.remove_oldest();
            queue.set_totals(&totals(appended, exported)).unwrap();
            println!("exported {exported}");
        }
    }
}

#[test]
fn kill_9_loses_nothing_that_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut torn = 0;
    for round in 0..24 {
        let child = again("a_writer_that_never_ends", directory.path()).spawn();
        let mut child = Running(child.unwrap());
        let mut said = BufReader::new(child.0.stdout.take().unwrap());
        let mut lines = Vec::new();
        for _ in 0..40 + round * 31 {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "it ended by itself: {lines:?}");
            lines.push(line);
        }
        // At an arbitrary point of its work.
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        lines.extend(rest.lines().map(str::to_owned));
        let last = |what: &str| {
            let mut lines = lines.iter().rev();
            lines.find_map(|line| line.trim().strip_prefix(what)?.parse().ok())
        };
        let appended: u64 = last("appended ").unwrap();
        let exported: u64 = last("exported ").unwrap_or(0);

        let mut queue = PersistentQueue::open(directory.path(), config()).unwrap();
        let lost = queue.lost();
        torn += lost.torn.records;
        assert!(lost.torn.records <= 1, "{lost:?}");
        assert_eq!(
            (lost.corrupt, lost.unreadable),
            (Count::default(), Count::default())
        );
        let kept = queue.totals().exported;
        // At most one step was done after the last one printed.
        assert!(
            (exported..=exported + 1).contains(&kept),
            "{exported} {kept}"
        );
        let first = number(&queue.oldest().unwrap().unwrap());
        assert_eq!(first, kept + 1, "the place goes with the sums");
        let last = kept + queue.pending_requests();
        assert!(
            (appended..=appended + 1).contains(&last),
            "{appended} {last}"
        );
        // The delivered and the pending items are all that were appended.
        assert_eq!(
            all_items(1..=kept) + queue.pending_items(),
            all_items(1..=last)
        );
        if round == 23 {
            for expected in first..=last {
                assert_eq!(queue.oldest().unwrap(), Some(request(expected)));
                queue.remove_oldest();
            }
            assert_eq!(queue.oldest().unwrap(), None);
            assert_eq!(queue.lost(), lost);
        }
    }
    // A kill hardly ever interrupts a single write; it would be no error if it did.
    assert!(torn <= 24);
}

/// Fills the queue until the system accepts no more.
#[test]
fn a_writer_on_a_disk_that_is_full() {
    let Some(directory) = directory() else { return };
    let config = PersistentQueueConfig::new().with_when_full(WhenFull::RefuseNewest);
    let mut queue = PersistentQueue::open(&directory, config.clone()).unwrap();
    let mut appended = 0;
    let full = |error: AppendError| {
        let AppendError::Io { source } = error else {
            panic!("{error}")
        };
        let kinds = [io::ErrorKind::FileTooLarge, io::ErrorKind::StorageFull];
        assert!(kinds.contains(&source.kind()), "{source}");
    };
    loop {
        match queue.append(&request(appended + 1)) {
            Ok(()) => appended += 1,
            Err(error) => break full(error),
        }
    }
    assert!(appended > 50, "{appended}");
    for _ in 0..3 {
        // More than the remaining space: a part of it can be written, and must be removed again.
        full(queue.append(&request(2)).unwrap_err());
    }
    let files = std::fs::read_dir(&directory).unwrap();
    let files: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(queue.taken_bytes(), files, "no part of a record is left");
    assert_eq!(queue.pending_items(), all_items(1..=appended));
    // On the full disk the queue can be read, and deliveries can be recorded.
    assert_eq!(queue.oldest().unwrap(), Some(request(1)));
    queue.remove_oldest();
    queue.set_totals(&totals(appended, 1)).unwrap();
    drop(queue);
    let mut queue = PersistentQueue::open(&directory, config).unwrap();
    assert_eq!(queue.lost(), Lost::default());
    assert_eq!(queue.totals(), totals(appended, 1));
    for number in 2..=appended {
        assert_eq!(queue.oldest().unwrap(), Some(request(number)));
        queue.remove_oldest();
    }
    assert_eq!(queue.oldest().unwrap(), None);
    // Delivered requests are removed, so space is available again.
    queue.sync().unwrap();
    queue.append(&request(2)).unwrap();
    println!("all is well");
}

#[test]
fn a_disk_that_is_full_is_an_answer() {
    // Without a signal, so that the error is like that of a full disk: some bytes are written, and
    // then no more.
    limited("-f 1000", "a_writer_on_a_disk_that_is_full");
}

/// Runs out of file descriptors with requests on the disk.
#[test]
fn a_process_without_a_descriptor_left() {
    let Some(directory) = directory() else { return };
    let config = config().with_when_full(WhenFull::RefuseNewest);
    let mut queue = PersistentQueue::open(&directory, config.clone()).unwrap();
    let hold_all = || {
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        assert!(held.len() > 10);
        held
    };
    let is_out = |error: &dyn Error| {
        let source = error.source().unwrap().downcast_ref::<io::Error>();
        assert_eq!(source.unwrap().raw_os_error(), Some(libc::EMFILE));
    };
    for number in 1..=20 {
        queue.append(&request(number)).unwrap();
    }
    let held = hold_all();
    // Writing continues: a segment is closed before the next one is opened.
    for number in 21..=40 {
        queue.append(&request(number)).unwrap();
    }
    for _ in 0..3 {
        is_out(&queue.oldest().unwrap_err());
    }
    is_out(&PersistentQueue::open(directory, config).unwrap_err());
    assert_eq!(queue.pending_items(), all_items(1..=40));
    assert_eq!(queue.lost(), Lost::default());
    drop(held);
    for number in 1..=40 {
        assert_eq!(queue.oldest().unwrap(), Some(request(number)));
        queue.remove_oldest();
    }
    assert_eq!(queue.oldest().unwrap(), None);
    assert_eq!(queue.lost(), Lost::default());
    println!("all is well");
}

#[test]
fn no_descriptor_left_is_an_answer() {
    limited("-n 64", "a_process_without_a_descriptor_left");
}

/// Runs a test as a child with this limit of the shell.
fn limited(limit: &str, test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let child = again(test, directory.path());
    let script = format!("trap '' XFSZ; ulimit {limit}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(child.get_program());
    shell.args(child.get_args());
    let output = shell.env(DIRECTORY, directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("all is well"), "{said}{complained}");
}
