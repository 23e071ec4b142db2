//! `barograph queue inspect`.

use std::fs;
use std::path::Path;

use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::persistent_queue::{PersistentQueue, PersistentQueueConfig};
use serde_json::json;

use crate::harness::run;

const CONFIG: fn() -> PersistentQueueConfig = PersistentQueueConfig::new;

fn request(signal: Signal, body: &str, items: u64) -> Request {
    Request {
        signal,
        encoding: Encoding::Json,
        body: body.to_owned().into_bytes().into(),
        items,
    }
}

fn logs(seconds: u64) -> Request {
    let body = format!("{{\"timeUnixNano\":\"{seconds}000000000\"}}");
    request(Signal::Logs, &body, seconds)
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| {
            (
                entry.path().display().to_string(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_queues_of_a_running_service_are_shown_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut queue = PersistentQueue::open(root.path().join("logs"), CONFIG()).unwrap();
    for seconds in [1, 2, 3] {
        queue.append(&logs(seconds)).unwrap();
    }
    queue.remove_oldest();
    let mut totals = queue.totals();
    (totals.produced, totals.exported) = (6, 1);
    queue.set_totals(&totals).unwrap();
    let empty = PersistentQueue::open(root.path().join("traces"), CONFIG()).unwrap();
    fs::create_dir(root.path().join("other")).unwrap();
    let before = files(&root.path().join("logs"));

    let path = root.path().to_str().unwrap();
    let run = run(&["queue", "inspect", path]);
    let process = std::process::id();
    let bytes = queue.taken_bytes() - 4608;
    let ago = {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        (now - 2) / 86_400
    };
    let waiting = queue.buffered_bytes();
    let expected = format!(
        "{path}/logs: 1 segment, {bytes} B, in use by process {process}
  2 requests with 5 log records of logs in json, {waiting} B
    recorded from 1970-01-01T00:00:02Z ({ago} days ago) to 1970-01-01T00:00:03Z
  6 items produced until now, 1 exported

{path}/traces: 0 segments, 0 B, in use by process {process}
  nothing waits
  0 items produced until now, 0 exported
"
    );
    assert_eq!(
        (run.stdout, run.stderr.as_str(), run.code),
        (expected, "", 0)
    );
    assert_eq!(files(&root.path().join("logs")), before);

    // The service goes on as if nothing had happened.
    queue.append(&logs(4)).unwrap();
    assert_eq!(queue.oldest().unwrap(), Some(logs(2)));
    drop((queue, empty));
}

#[test]
fn what_waits_without_a_process_and_what_is_damaged_are_findings() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("metrics");
    let mut queue = PersistentQueue::open(&directory, CONFIG()).unwrap();
    for body in ["first", "second", "third"] {
        queue.append(&request(Signal::Metrics, body, 7)).unwrap();
    }
    drop(queue);
    let segment = files(&directory)
        .into_iter()
        .find(|(name, _)| name.ends_with(".segment"));
    let (name, mut bytes) = segment.unwrap();
    // The second record follows the header of the segment and the first record.
    let second = 16 + 28 + "first".len();
    bytes[second + 28] ^= 1;
    bytes.pop();
    fs::write(&name, &bytes).unwrap();
    let file = Path::new(&name).file_name().unwrap().to_str().unwrap();

    let path = directory.to_str().unwrap();
    let found = run(&["queue", "inspect", path]);
    let (end, length) = (second + 28 + "second".len(), bytes.len());
    let expected = format!(
        "{path}: 1 segment, {length} B, not in use
  1 request with 7 data points of metrics in json, 33 B
  0 items produced until now, 0 exported
  warning: {file} is damaged from byte {second} to {end}: a request with 7 items; it is skipped and counted as dropped
  warning: {file} ends with an unfinished write from byte {end} on: a request with 7 items; it is skipped and counted as dropped
  warning: no process uses the queue: start the service with this directory, and what waits is delivered
"
    );
    assert_eq!(
        (found.stdout, found.stderr.as_str(), found.code),
        (expected, "", 1)
    );

    fs::remove_file(directory.join("state")).unwrap();
    let found = run(&["queue", "inspect", path, "--json"]);
    assert_eq!(found.code, 1);
    let report = found.json();
    let queue = &report["queues"][0];
    let findings: Vec<_> = queue["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(findings.len(), 4);
    assert!(
        findings[2].starts_with("the file state is missing or damaged: "),
        "{findings:?}"
    );
    assert_eq!(
        (
            &queue["directory"],
            &queue["process"],
            &queue["totals"],
            &queue["waiting"]
        ),
        (
            &json!(path),
            &json!(null),
            &json!(null),
            &json!([{
                "signal": "metrics", "encoding": "json", "requests": 1, "items": 7, "bytes": 33,
                "oldest": null, "newest": null,
            }])
        )
    );
    assert_eq!(
        queue["segments"],
        json!([{
            "file": file, "bytes": length, "newer_version": null, "waiting": 1, "settled": 0, "error": null,
            "damages": [
                { "from": second, "to": end, "items": 7, "is_tail": false },
                { "from": end, "to": length, "items": 7, "is_tail": true },
            ],
        }])
    );
}

#[test]
fn directories_without_a_queue_are_named_with_what_was_expected() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().to_str().unwrap();
    run(&["queue", "inspect", path]).assert_unusable(&format!(
        "error: \"{path}\" has no persistent queue\n  expected a directory with the files lock and \
         *.segment, or one that has such directories\n"
    ));
    run(&["queue", "inspect", "/no/such/directory"]).assert_unusable(
        "error: cannot read \"/no/such/directory\": No such file or directory (os error 2)\n  \
         BAROGRAPH_PERSISTENT_QUEUE_DIR has the directory of a service\n",
    );
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    run(&["queue", "inspect", file]).assert_unusable(&format!(
        "error: cannot read \"{file}\": Not a directory (os error 20)\n"
    ));
}
