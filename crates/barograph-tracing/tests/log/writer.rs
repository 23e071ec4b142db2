//! The outcome of lines when the reader is slow, closed or broken.

use std::io::{self, ErrorKind, Read as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barograph_tracing::log::{ConsoleLog, Format};
use tracing::info;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::sheet::{Sheet, terminal};

const LONG: Duration = Duration::from_secs(20);

/// Logs this number of lines on each of the threads, and returns the time that the slowest line
/// took.
fn log(terminal: &ConsoleLog, threads: u64, lines: u64) -> Duration {
    let slowest = Mutex::new(Duration::ZERO);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let slowest = &slowest;
            scope.spawn(move || {
                let subscriber = tracing_subscriber::registry().with(terminal.layer());
                tracing::subscriber::with_default(subscriber, || {
                    let mut worst = Duration::ZERO;
                    for line in 0..lines {
                        let start = Instant::now();
                        info!(
                            thread,
                            line, "a line of some length for whoever does not read it"
                        );
                        worst = worst.max(start.elapsed());
                    }
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = slowest.max(worst);
                });
            });
        }
    });
    slowest.into_inner().unwrap()
}

#[test]
fn a_pipe_that_is_not_read_does_not_block_threads_that_log() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let (terminal, writer) = terminal(Format::Json).with_capacity(64 * 1024).build();
    let thread = std::thread::spawn(|| writer.run(pipe));
    let slowest = log(&terminal, 4, 5_000);
    // A loose bound for a busy machine: a thread that waits for the reader would wait forever.
    assert!(slowest < LONG, "{slowest:?}");
    let counts = terminal.counts();
    assert_eq!(counts.offered, 20_000);
    assert!(counts.dropped_full > 10_000, "{counts:?}");
    assert_eq!(
        counts.offered,
        counts.written + counts.waiting + counts.dropped_full
    );
    // No line is written, so only the limit ends the wait.
    let unwritten = terminal.flush(Duration::from_millis(50)).unwrap_err();
    assert_eq!(unwritten.lines, counts.waiting);

    // Now a reader drains the pipe. Accepted lines are written whole, and dropped lines are
    // reported.
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
    let text = read.join().unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_service = lines.iter().filter(|line| line["thread"].is_number());
    let after = terminal.counts();
    assert_eq!(of_service.count() as u64, after.written);
    assert_eq!(after.written, counts.written + counts.waiting);
    let reported: u64 = lines
        .iter()
        .filter_map(|line| line["suppressed"].as_u64())
        .sum();
    assert_eq!(reported, after.dropped_full, "{}", lines.last().unwrap());
}

#[test]
fn at_the_end_lines_are_written_before_the_thread_that_logs_continues() {
    let (terminal, writer) = terminal(Format::Json).build();
    let sheet = Sheet::default();
    let out = sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    terminal.write_through(LONG);
    let subscriber = tracing_subscriber::registry().with(terminal.layer());
    tracing::subscriber::with_default(subscriber, || {
        for line in 1..=100 {
            info!("the end");
            assert_eq!(sheet.text().matches("the end").count(), line);
        }
    });
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
}

#[test]
fn at_the_end_a_writer_that_stands_still_is_waited_for_once() {
    let (_reader, pipe) = io::pipe().unwrap();
    let (terminal, writer) = terminal(Format::Json).with_capacity(1024 * 1024).build();
    std::thread::spawn(|| writer.run(pipe));
    // More than a pipe holds.
    log(&terminal, 1, 1_000);
    terminal.write_through(Duration::from_millis(200));
    let began = Instant::now();
    log(&terminal, 1, 1_000);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < LONG,
        "{took:?}"
    );
}

#[test]
fn a_shutdown_with_a_reader_that_stands_still_ends_in_time() {
    let (_reader, pipe) = io::pipe().unwrap();
    let (terminal, writer) = terminal(Format::Json).build();
    // The writer blocks forever, and the process exits without it.
    std::thread::spawn(|| writer.run(pipe));
    log(&terminal, 1, 2_000);
    let start = Instant::now();
    let unwritten = terminal.shutdown(Duration::from_millis(100)).unwrap_err();
    assert!(start.elapsed() < LONG);
    assert!(unwritten.lines > 0);
    let counts = terminal.counts();
    assert_eq!(counts.dropped_closed, unwritten.lines);
    assert_eq!(counts.written + counts.dropped_closed, 2_000);
    assert_eq!(counts.waiting, 0);
    log(&terminal, 1, 10);
    assert_eq!(terminal.counts().dropped_closed, unwritten.lines + 10);
}

#[test]
fn a_broken_pipe_is_survived() {
    let (reader, pipe) = io::pipe().unwrap();
    let (terminal, writer) = terminal(Format::Json).build();
    let thread = std::thread::spawn(|| writer.run(pipe));
    log(&terminal, 1, 10);
    terminal.flush(LONG).unwrap();
    drop(reader);
    log(&terminal, 2, 1_000);
    // The writer returns by itself.
    thread.join().unwrap();
    log(&terminal, 1, 10);
    let counts = terminal.counts();
    assert_eq!(
        (counts.offered, counts.written, counts.waiting),
        (2_020, 10, 0)
    );
    assert_eq!(counts.dropped_closed, 2_010);
    terminal.flush(LONG).unwrap();
    terminal.shutdown(LONG).unwrap();
}

/// A writer that returns the scripted results first, and then succeeds.
#[derive(Clone)]
struct Script {
    steps: Arc<Mutex<Vec<io::Result<usize>>>>,
    sheet: Sheet,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.steps.lock().unwrap().pop();
        let most = step.unwrap_or(Ok(bytes.len()))?.min(bytes.len());
        self.sheet.write(&bytes[..most])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn script(steps: impl IntoIterator<Item = io::Result<usize>>) -> Script {
    let mut steps: Vec<_> = steps.into_iter().collect();
    steps.reverse();
    Script {
        steps: Arc::new(Mutex::new(steps)),
        sheet: Sheet::default(),
    }
}

#[test]
fn a_writer_that_falters_is_tried_again() {
    let out = script([
        Err(ErrorKind::Interrupted.into()),
        Ok(7),
        Err(ErrorKind::WouldBlock.into()),
        Ok(1),
        Ok(100),
    ]);
    let (terminal, writer) = terminal(Format::Json).build();
    let sheet = out.sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    log(&terminal, 1, 100);
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
    assert_eq!(terminal.counts().written, 100);
    let text = sheet.text();
    assert!(
        text.lines()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
    assert_eq!(text.lines().count(), 100);
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_the_lines_of_that_while() {
    // The first batch ends inside of its second line.
    let (terminal, writer) = terminal(Format::Json).build();
    log(&terminal, 1, 3);
    let line = {
        let output = crate::sheet::written(crate::sheet::terminal(Format::Json), || {
            info!(
                thread = 0_u64,
                line = 0_u64,
                "a line of some length for whoever does not read it"
            );
        });
        output.len()
    };
    let out = script([
        Ok(line + 20),
        Err(ErrorKind::StorageFull.into()),
        Err(ErrorKind::StorageFull.into()),
    ]);
    let sheet = out.sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    terminal.flush(LONG).unwrap();
    let counts = terminal.counts();
    assert_eq!((counts.written, counts.dropped_failed), (1, 2));
    log(&terminal, 1, 1);
    terminal.flush(LONG).unwrap();
    assert_eq!(terminal.counts().dropped_failed, 3);
    log(&terminal, 1, 1);
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
    let counts = terminal.counts();
    assert_eq!((counts.offered, counts.written), (5, 2));
    let text = sheet.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    // The broken line is ended, so that the next one can be parsed.
    assert!(
        !lines[1].ends_with('}') && lines[2].ends_with('}'),
        "{text}"
    );
    let expected = "3 log lines were left out because they could not be written";
    assert!(lines[3].contains(expected), "{text}");
}

/// A writer that panics while its flag is set.
struct Panics(Sheet, Arc<AtomicBool>);

impl Write for Panics {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.1.load(Ordering::Relaxed), "told to panic");
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_panics_costs_the_lines_at_hand() {
    let (terminal, writer) = terminal(Format::Json).build();
    let sheet = Sheet::default();
    let panics = Arc::new(AtomicBool::new(true));
    let out = Panics(sheet.clone(), Arc::clone(&panics));
    let thread = std::thread::spawn(|| writer.run(out));
    log(&terminal, 1, 3);
    terminal.flush(LONG).unwrap();
    let counts = terminal.counts();
    assert_eq!((counts.dropped_failed, counts.written), (3, 0));
    panics.store(false, Ordering::Relaxed);
    log(&terminal, 1, 2);
    terminal.flush(LONG).unwrap();
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
    let counts = terminal.counts();
    assert_eq!((counts.offered, counts.written), (5, 2));
    let text = sheet.text();
    let expected = "3 log lines were left out because they could not be written";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn nothing_is_lost_between_many_threads_concurrently() {
    let (terminal, writer) = terminal(Format::Json).with_capacity(16 << 20).build();
    let sheet = Sheet::default();
    let out = sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    log(&terminal, 8, 1_000);
    terminal.flush(LONG).unwrap();
    assert_eq!(terminal.counts().written, 8_000);
    terminal.shutdown(LONG).unwrap();
    thread.join().unwrap();
    let mut next = [0; 8];
    for line in sheet.text().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let thread = line["thread"].as_u64().unwrap() as usize;
        assert_eq!(line["line"], next[thread]);
        next[thread] += 1;
    }
    assert_eq!(next, [1_000; 8]);
}

#[test]
fn without_a_writer_lines_are_left_out_and_no_thread_waits() {
    let (terminal, writer) = terminal(Format::Json).build();
    log(&terminal, 1, 5);
    assert_eq!(terminal.counts().waiting, 5);
    drop(writer);
    log(&terminal, 1, 5);
    let counts = terminal.counts();
    assert_eq!((counts.offered, counts.dropped_closed), (10, 10));
    terminal.flush(LONG).unwrap();
    terminal.shutdown(LONG).unwrap();
}
