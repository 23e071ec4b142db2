//! A persistent queue whose directory was damaged in many ways: a pipeline starts on it, delivers the
//! whole requests, and accounts for all of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, SECOND, Values, shut_down};
use crate::persistent_queue::{PersistentQueue, PersistentQueueConfig};
use crate::regular_file::make_fifo;
use crate::{Event, Reason};

/// There are several segments, and room for everything.
fn config() -> PersistentQueueConfig {
    PersistentQueueConfig::new().with_max_bytes(32 << 10)
}

/// A kind of damage to a directory. `costs` describes the loss among the requests that were in the
/// queue before.
struct Kind {
    name: &'static str,
    damage: fn(&Directory),
    costs: Costs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Costs {
    Nothing,
    /// Some requests are lost.
    Some,
    /// All requests are lost.
    All,
    /// Nothing is lost, and some requests arrive twice.
    Repeats,
}

/// The directory of a queue that is not open.
struct Directory {
    at: TempDir,
    /// The state file from the middle of the outage.
    old_state: Vec<u8>,
}

impl Directory {
    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.at.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "segment");
        let mut segments: Vec<_> = paths.filter(is_segment).collect();
        segments.sort();
        assert!(segments.len() >= 4, "{segments:?}");
        segments
    }

    fn state(&self) -> PathBuf {
        self.at.path().join("state")
    }

    /// Changes the bytes of the second segment.
    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        change(&self.segments()[1], edit);
    }

    /// Changes both slots of the state, and makes their checksums right again.
    fn forge_state(&self, edit: impl Fn(&mut [u8])) {
        change(&self.state(), |bytes| {
            for at in [0, 4096] {
                let slot = &mut bytes[at..at + 512];
                edit(slot);
                let crc = crc32c::crc32c(&slot[..508]);
                slot[508..].copy_from_slice(&crc.to_le_bytes());
            }
        });
    }
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Returns the number and the salt in the name of a segment.
fn parts(path: &Path) -> (String, String) {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (number, salt) = name.split_once('-').unwrap();
    (number.to_owned(), salt.to_owned())
}

fn named(path: &Path, number: &str, salt: &str) -> PathBuf {
    path.with_file_name(format!("{number}-{salt}.segment"))
}

fn swap(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(aside, other).unwrap();
}

const NOWHERE: &str = "ffffffffffffffff";

const KINDS: [Kind; 34] = [
    Kind {
        name: "nothing",
        damage: |_| {},
        costs: Costs::Nothing,
    },
    Kind {
        name: "the last segment is cut",
        damage: |at| {
            change(at.segments().last().unwrap(), |bytes| {
                bytes.truncate(bytes.len() - 9)
            })
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment in the middle is cut",
        damage: |at| at.edit(|bytes| bytes.truncate(bytes.len() / 2)),
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is cut in its header",
        damage: |at| at.edit(|bytes| bytes.truncate(7)),
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is emptied",
        damage: |at| at.edit(Vec::clear),
        costs: Costs::Some,
    },
    Kind {
        name: "every segment is cut",
        damage: |at| {
            for path in at.segments() {
                change(&path, |bytes| bytes.truncate(bytes.len() * 2 / 3));
            }
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is zeros",
        damage: |at| at.edit(|bytes| bytes.fill(0)),
        costs: Costs::Some,
    },
    Kind {
        name: "a stretch is zeros",
        damage: |at| at.edit(|bytes| bytes[500..900].fill(0)),
        costs: Costs::Some,
    },
    Kind {
        name: "a bit is flipped here and there",
        damage: |at| {
            for path in at.segments() {
                change(&path, |bytes| {
                    bytes.iter_mut().step_by(777).for_each(|byte| *byte ^= 16)
                });
            }
        },
        costs: Costs::Some,
    },
    Kind {
        name: "every byte is inverted",
        damage: |at| {
            for path in at.segments() {
                change(&path, |bytes| {
                    bytes.iter_mut().for_each(|byte| *byte = !*byte)
                });
            }
        },
        costs: Costs::All,
    },
    Kind {
        name: "something stands behind the end",
        damage: |at| {
            for path in at.segments() {
                change(&path, |bytes| bytes.extend([0xF5; 300]));
            }
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "bytes are missing in the middle",
        damage: |at| at.edit(|bytes| drop(bytes.drain(400..433))),
        costs: Costs::Some,
    },
    Kind {
        name: "bytes stand twice",
        damage: |at| {
            at.edit(|bytes| {
                let again = bytes[16..600].to_vec();
                bytes.extend(again);
            })
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "a record claims to be endless",
        damage: |at| at.edit(|bytes| bytes[16 + 4..16 + 8].fill(0xFF)),
        costs: Costs::Some,
    },
    Kind {
        name: "a record claims to hold any number of items",
        damage: |at| at.edit(|bytes| bytes[16 + 8..16 + 16].fill(0xFF)),
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is there twice under another number",
        damage: |at| {
            let segment = &at.segments()[1];
            let (_, salt) = parts(segment);
            fs::copy(segment, named(segment, "00000000000fffff", &salt)).unwrap();
        },
        costs: Costs::Repeats,
    },
    Kind {
        name: "a segment is there twice under another salt",
        damage: |at| {
            let segment = &at.segments()[1];
            let (number, _) = parts(segment);
            fs::copy(segment, named(segment, &number, NOWHERE)).unwrap();
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "a segment has the highest number",
        damage: |at| {
            let segment = &at.segments()[1];
            let (_, salt) = parts(segment);
            fs::rename(segment, named(segment, NOWHERE, &salt)).unwrap();
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "two segments have each other's names",
        damage: |at| swap(&at.segments()[1], &at.segments()[2]),
        costs: Costs::Some,
    },
    Kind {
        name: "two segments have each other's places",
        damage: |at| {
            let segments = at.segments();
            let [(one, salt), (other, salt_of_other)] = [1, 2].map(|place| parts(&segments[place]));
            fs::rename(&segments[1], named(&segments[1], &other, &salt)).unwrap();
            fs::rename(&segments[2], named(&segments[2], &one, &salt_of_other)).unwrap();
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "a segment is gone",
        damage: |at| fs::remove_file(&at.segments()[1]).unwrap(),
        costs: Costs::Some,
    },
    Kind {
        name: "all segments are gone",
        damage: |at| {
            at.segments()
                .iter()
                .for_each(|path| fs::remove_file(path).unwrap())
        },
        costs: Costs::All,
    },
    Kind {
        name: "a segment is of a later version",
        damage: |at| {
            at.edit(|bytes| {
                bytes[8] = 2;
                let crc = crc32c::crc32c(&bytes[..12]);
                bytes[12..16].copy_from_slice(&crc.to_le_bytes());
            })
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is a link",
        damage: |at| {
            let segment = &at.segments()[1];
            let elsewhere = segment.with_extension("elsewhere");
            fs::rename(segment, &elsewhere).unwrap();
            symlink(&elsewhere, segment).unwrap();
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is a FIFO",
        damage: |at| {
            let segment = &at.segments()[1];
            fs::remove_file(segment).unwrap();
            make_fifo(segment);
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment is a directory",
        damage: |at| {
            let segment = &at.segments()[1];
            fs::remove_file(segment).unwrap();
            fs::create_dir(segment).unwrap();
        },
        costs: Costs::Some,
    },
    Kind {
        name: "a segment goes on for ever",
        damage: |at| {
            let segment = File::options().write(true).open(&at.segments()[1]);
            segment.unwrap().set_len(1 << 40).unwrap();
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "there are files of others",
        damage: |at| {
            for name in ["core", "state.bak", "0-0.segment", ".hidden", "lost+found"] {
                fs::write(at.at.path().join(name), b"somebody else's").unwrap();
            }
        },
        costs: Costs::Nothing,
    },
    Kind {
        name: "the lock is gone",
        damage: |at| fs::remove_file(at.at.path().join("lock")).unwrap(),
        costs: Costs::Nothing,
    },
    Kind {
        name: "the state is gone",
        damage: |at| fs::remove_file(at.state()).unwrap(),
        costs: Costs::Nothing,
    },
    Kind {
        name: "the state is noise",
        damage: |at| change(&at.state(), |bytes| bytes.fill(0xA5)),
        costs: Costs::Nothing,
    },
    Kind {
        name: "the state is of yesterday",
        damage: |at| fs::write(at.state(), &at.old_state).unwrap(),
        costs: Costs::Nothing,
    },
    Kind {
        name: "the state says that all is delivered",
        damage: |at| at.forge_state(|slot| slot[16..24].fill(0xFF)),
        costs: Costs::All,
    },
    Kind {
        name: "the state counts what nobody can have counted",
        damage: |at| at.forge_state(|slot| slot[48..200].fill(0xFF)),
        costs: Costs::Nothing,
    },
];

/// Returns the directory of a service that ended during an outage, and the number of items in it.
async fn after_outage() -> (Directory, u64) {
    let at = TempDir::new().unwrap();
    let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    harness.state().requests = 10;
    let (handle, driver) = harness.run_in(at.path(), config());
    sleep(20 * MINUTE).await;
    let old_state = fs::read(at.path().join("state")).unwrap();
    sleep(20 * MINUTE).await;
    shut_down(&handle, driver).await;
    let stored = harness.totals().produced;
    assert_eq!(harness.ledger.queued(), stored);
    (Directory { at, old_state }, stored)
}

/// Returns the numbers of items in the reports of damage.
fn reported_damage(harness: &Harness) -> Vec<u64> {
    let events = harness.events().into_iter();
    let reported = events.filter_map(|event| match event {
        Event::PersistentQueueDamaged { items } => Some(items),
        _ => None,
    });
    reported.collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_is_damaged_all_of_it_is_accounted_for() {
    for Kind {
        name,
        damage,
        costs,
    } in KINDS
    {
        let (directory, stored) = after_outage().await;
        damage(&directory);
        let next = Harness::new(Values::Events, |_| Behavior::Accept);
        next.state().cycles = 1000;
        let (handle, driver) = next.run_in(directory.at.path(), config());
        // The account balances at every check.
        for _ in 0..20 {
            sleep(30 * SECOND).await;
            next.totals();
        }
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()), "{name}");
        driver.await.unwrap();
        let totals = next.totals();
        assert_eq!(next.ledger.queued(), 0, "{name}");
        let corrupt = next.dropped(Reason::Corrupt);
        assert_eq!(
            totals.exported + corrupt,
            totals.produced,
            "{name} {totals:?}"
        );
        let reported = reported_damage(&next);
        match costs {
            Costs::Nothing | Costs::Repeats => {
                assert_eq!(reported.iter().sum::<u64>(), 0, "{name}")
            }
            Costs::Some | Costs::All => assert_eq!(reported, [corrupt], "{name}"),
        }
        // Separates the old requests from the new ones.
        let arrived = next.texts();
        let cycle = |text: &str| -> u64 { text.split(':').next().unwrap().parse().unwrap() };
        let (old, new): (Vec<_>, Vec<_>) = arrived.iter().partition(|text| cycle(text) <= 1000);
        assert!(new.len() >= 5, "{name}: the service goes on");
        let distinct: BTreeSet<_> = old.iter().collect();
        let (old, distinct) = (old.len() as u64 * 10, distinct.len() as u64 * 10);
        match costs {
            Costs::Nothing => assert_eq!((old, corrupt), (stored, 0), "{name}"),
            Costs::Some => {
                assert_eq!(old + corrupt, stored, "{name}");
                assert!(corrupt > 0 && old > stored / 4, "{name}: {old} of {stored}");
            }
            Costs::All => assert_eq!((old, corrupt), (0, stored), "{name}"),
            Costs::Repeats => {
                assert!(old > stored && distinct == stored && corrupt == 0, "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn damage_is_reported_when_a_queue_is_taken_over_from_another_process() {
    let (directory, _) = after_outage().await;
    change(&directory.segments()[1], |bytes| bytes.fill(0xA5));
    let other = PersistentQueue::open(directory.at.path(), config()).unwrap();
    let next = Harness::new(Values::Events, |_| Behavior::Accept);
    let (handle, driver) = next.run_in(directory.at.path(), config());
    sleep(2 * MINUTE).await;
    assert!(reported_damage(&next).is_empty());
    drop(other);
    sleep(2 * MINUTE).await;
    shut_down(&handle, driver).await;
    let corrupt = next.dropped(Reason::Corrupt);
    assert!(corrupt > 0);
    assert_eq!(reported_damage(&next), [corrupt]);
}
