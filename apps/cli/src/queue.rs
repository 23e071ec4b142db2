//! `barograph queue inspect`: what waits in persistent queues, and what is damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use barograph_export::Reason;
use barograph_export::persistent_queue::inspect::{
    InspectedSegment, Inspection, Owner, WaitingRecord, inspect as inspect_queue, is_queue,
};
use barograph_model::text::{counted, one_line};
use serde_json::{Value, json};

use crate::arguments::QueueInspect;
use crate::report::{Paint, Report, Unusable, age, bytes, causes, time};

/// The persistent queues of a directory.
#[derive(Debug)]
pub(crate) struct Queues {
    now: u64,
    queues: Vec<Queue>,
}

/// A persistent queue, summed up.
#[derive(Debug)]
struct Queue {
    inspection: Inspection,
    /// The sums of what waits, by signal and encoding.
    waiting: BTreeMap<(&'static str, &'static str), Sum>,
    findings: Vec<String>,
}

/// A number of requests that wait, and what is in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    items: u64,
    bytes: u64,
    oldest: Option<u64>,
    newest: Option<u64>,
}

/// Reads the persistent queues of a directory.
pub(crate) fn inspect(arguments: &QueueInspect) -> Result<Queues, Unusable> {
    let directory = &arguments.directory;
    let mut queues = Vec::new();
    for directory in directories(directory)? {
        let inspection = inspect_queue(&directory).map_err(|error| {
            let advice =
                "may this user read the directory? Queues are readable by their owner only";
            Unusable::new(causes(&error), advice)
        })?;
        queues.push(Queue::of(inspection));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(Queues {
        now: now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)),
        queues,
    })
}

/// Returns the directories of the queues: the one given, or those in it.
fn directories(directory: &Path) -> Result<Vec<PathBuf>, Unusable> {
    let unreadable = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "BAROGRAPH_PERSISTENT_QUEUE_DIR has the directory of a service"
            }
            std::io::ErrorKind::PermissionDenied => {
                "queues are readable by their owner only: run the command as the user of the service"
            }
            _ => "",
        };
        Unusable::new(format!("cannot read {directory:?}: {error}"), advice)
    };
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    if is_queue(directory) {
        return Ok(vec![directory.to_owned()]);
    }
    let mut queues = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if is_queue(&path) {
            queues.push(path);
        }
    }
    queues.sort();
    match queues.is_empty() {
        true => Err(Unusable::new(
            format!("{directory:?} has no persistent queue"),
            "expected a directory with the files lock and *.segment, or one that has such directories",
        )),
        false => Ok(queues),
    }
}

impl Queue {
    fn of(inspection: Inspection) -> Self {
        let mut waiting: BTreeMap<_, Sum> = BTreeMap::new();
        for segment in &inspection.segments {
            for record in &segment.waiting {
                let key = (record.signal.as_str(), encoding(record));
                waiting.entry(key).or_default().add(record);
            }
        }
        let mut queue = Queue {
            findings: Vec::new(),
            inspection,
            waiting,
        };
        queue.findings = queue.find();
        queue
    }

    fn find(&self) -> Vec<String> {
        let Inspection {
            owner,
            totals,
            segments,
            ..
        } = &self.inspection;
        let mut findings = Vec::new();
        for segment in segments {
            let file = &segment.file;
            if let Some(error) = &segment.error {
                findings.push(format!("{file} cannot be read: {error}"));
            }
            if let Some(version) = segment.newer_version {
                findings.push(format!(
                    "{file} has version {version} of the format: only a newer version of barograph \
                     reads it, and until then it takes up space"
                ));
            }
            for damage in &segment.damages {
                let items = match damage.items {
                    Some(items) => format!("a request with {}", counted(items, "item", "items")),
                    None => "what was there is not known".to_owned(),
                };
                let (from, to) = (damage.at, damage.end);
                let message = match damage.is_tail {
                    // A process that is writing at this moment leaves the same behind.
                    true if matches!(owner, Owner::Process(_)) => continue,
                    true => {
                        format!("{file} ends with an unfinished write from byte {from} on: {items}")
                    }
                    false => format!("{file} is damaged from byte {from} to {to}: {items}"),
                };
                findings.push(format!("{message}; it is skipped and counted as dropped"));
            }
        }
        let requests: u64 = self.waiting.values().map(|sum| sum.requests).sum();
        if totals.is_none() && requests > 0 {
            findings.push(
                "the file state is missing or damaged: what was delivered since it was lost is sent \
                 again"
                    .to_owned(),
            );
        }
        if *owner == Owner::None && requests > 0 {
            findings.push(
                "no process uses the queue: start the service with this directory, and what waits is \
                 delivered"
                    .to_owned(),
            );
        }
        findings
    }

    fn text(&self, now: u64, paint: Paint) -> String {
        let Inspection {
            directory,
            owner,
            totals,
            segments,
            ..
        } = &self.inspection;
        let owner = match owner {
            Owner::Process(id) => format!("in use by process {id}"),
            Owner::None => "not in use".to_owned(),
            _ => "this system does not tell who uses it".to_owned(),
        };
        let length = segments.iter().map(|segment| segment.bytes).sum();
        let mut text = format!(
            "{}: {}, {}, {owner}\n",
            paint.heading(&one_line(&directory.display().to_string())),
            counted(segments.len() as u64, "segment", "segments"),
            bytes(length),
        );
        if self.waiting.is_empty() {
            text += "  nothing waits\n";
        }
        for ((signal, encoding), sum) in &self.waiting {
            let requests = counted(sum.requests, "request", "requests");
            let items = counted(sum.items, item(signal).0, item(signal).1);
            let size = bytes(sum.bytes);
            text += &format!("  {requests} with {items} of {signal} in {encoding}, {size}\n");
            if let (Some(oldest), Some(newest)) = (sum.oldest, sum.newest) {
                let (first, last) = (time(oldest), time(newest));
                let ago = age(now, oldest);
                text += &format!("    recorded from {first} ({ago}) to {last}\n");
            }
        }
        if let Some(totals) = totals {
            let (produced, exported) = (totals.produced, totals.exported);
            text += &format!("  {produced} items produced until now, {exported} exported");
            let dropped = Reason::ALL
                .into_iter()
                .map(|reason| (reason, totals.dropped[reason as usize]));
            for (reason, items) in dropped.filter(|(_, items)| *items > 0) {
                text += &format!(", {items} dropped ({})", reason.as_str());
            }
            text.push('\n');
        }
        for finding in &self.findings {
            text += &format!("  {} {}\n", paint.warning("warning:"), one_line(finding));
        }
        text
    }

    fn json(&self) -> Value {
        let Inspection {
            directory,
            owner,
            totals,
            segments,
            ..
        } = &self.inspection;
        let waiting = self.waiting.iter().map(|((signal, encoding), sum)| {
            json!({
                "signal": signal,
                "encoding": encoding,
                "requests": sum.requests,
                "items": sum.items,
                "bytes": sum.bytes,
                "oldest": sum.oldest.map(time),
                "newest": sum.newest.map(time),
            })
        });
        let totals = totals.map(|totals| {
            let dropped = Reason::ALL.into_iter();
            let dropped: serde_json::Map<_, _> = dropped
                .map(|reason| {
                    (
                        reason.as_str().to_owned(),
                        totals.dropped[reason as usize].into(),
                    )
                })
                .collect();
            json!({ "produced": totals.produced, "exported": totals.exported, "dropped": dropped })
        });
        json!({
            "directory": directory.display().to_string(),
            "process": match owner {
                Owner::Process(id) => Some(*id),
                _ => None,
            },
            "waiting": waiting.collect::<Vec<_>>(),
            "totals": totals,
            "segments": segments.iter().map(segment_json).collect::<Vec<_>>(),
            "findings": self.findings,
        })
    }
}

fn segment_json(segment: &InspectedSegment) -> Value {
    let damages = segment.damages.iter();
    let damages = damages
        .map(|it| json!({ "from": it.at, "to": it.end, "items": it.items, "is_tail": it.is_tail }));
    json!({
        "file": segment.file,
        "bytes": segment.bytes,
        "newer_version": segment.newer_version,
        "waiting": segment.waiting.len(),
        "settled": segment.settled,
        "damages": damages.collect::<Vec<_>>(),
        "error": segment.error,
    })
}

fn encoding(record: &WaitingRecord) -> &'static str {
    match record.encoding {
        barograph_encode::otlp::Encoding::Protobuf => "protobuf",
        barograph_encode::otlp::Encoding::Json => "json",
    }
}

fn item(signal: &str) -> (&'static str, &'static str) {
    match signal {
        "metrics" => ("data point", "data points"),
        "traces" => ("span", "spans"),
        _ => ("log record", "log records"),
    }
}

impl Sum {
    fn add(&mut self, record: &WaitingRecord) {
        self.requests += 1;
        self.items = self.items.saturating_add(record.items);
        self.bytes = self.bytes.saturating_add(record.bytes);
        if let Some(time) = record.newest_unix_nano {
            self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
            self.newest = self.newest.max(Some(time));
        }
    }
}

impl Report for Queues {
    fn text(&self, paint: Paint) -> String {
        let texts = self.queues.iter().map(|queue| queue.text(self.now, paint));
        texts.collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> Value {
        json!({ "queues": self.queues.iter().map(Queue::json).collect::<Vec<_>>() })
    }

    fn has_findings(&self) -> bool {
        self.queues.iter().any(|queue| !queue.findings.is_empty())
    }
}
