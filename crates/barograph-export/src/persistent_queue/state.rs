//! The state of delivery: the read position, and the totals of the ledger.
//!
//! It is one small file with two slots that are written in turn. Each is written with one write, and
//! has a number and a checksum. Whatever happens to the last write, one slot is whole. Position and
//! totals share a slot because they must agree: the totals include everything before the position.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crc32c::crc32c;

use super::error::PersistentQueueError;
use super::files::{self, Presence};
use crate::ledger::{Reason, Totals};

/// The stored state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) position: Position,
    pub(super) totals: Totals,
}

/// The position before which everything was delivered or lost. The default is before all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The number of a segment.
    pub(super) segment: u64,
    /// A position in it.
    pub(super) at: u64,
}

/// The file that stores the state.
#[derive(Debug)]
pub(super) struct StateFile {
    file: File,
    /// The number of the slot that was written last.
    number: u64,
    is_synced: bool,
}

impl StateFile {
    /// Opens the state file of a directory, and creates it if it does not exist.
    pub(super) fn open_in(directory: &Path) -> Result<(Self, State), PersistentQueueError> {
        let path = directory.join(NAME);
        let mut options = files::private();
        let options = options.read(true).write(true).create(true).truncate(false);
        let opened = files::open(&path, options).and_then(Self::open);
        opened.map_err(PersistentQueueError::io(&path))
    }

    /// Compares the open file with what is at its path.
    pub(super) fn presence(&self, directory: &Path) -> Presence {
        files::presence(&directory.join(NAME), &self.file)
    }

    /// Reads the newest slot that is whole, and writes it to both, so that the disk has room for
    /// everything that is ever written.
    fn open(mut file: File) -> io::Result<(Self, State)> {
        let (number, state) = newest(&mut file)?.unwrap_or_default();
        let mut file = StateFile {
            file,
            number,
            is_synced: true,
        };
        for _ in 0..2 {
            // A full disk must not prevent reading what is on it.
            let _ = file.write(&state);
        }
        Ok((file, state))
    }

    pub(super) fn write(&mut self, state: &State) -> io::Result<()> {
        let number = self.number.wrapping_add(1);
        let at = if number.is_multiple_of(2) { 0 } else { SECOND };
        self.file.seek(SeekFrom::Start(at))?;
        self.is_synced = false;
        self.file.write_all(&slot(number, state))?;
        self.number = number;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.is_synced {
            self.file.sync_data()?;
            self.is_synced = true;
        }
        Ok(())
    }
}

/// Reads the state file of a directory, and changes nothing. Returns `None` if no slot of it is whole.
#[cfg(feature = "inspect")]
pub(super) fn peek(directory: &Path) -> io::Result<Option<State>> {
    let mut file = files::open(&directory.join(NAME), File::options().read(true))?;
    Ok(newest(&mut file)?.map(|(_, state)| state))
}

/// Returns the newest slot that is whole, with its number.
fn newest(file: &mut File) -> io::Result<Option<(u64, State)>> {
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    let slots = [0, SECOND as usize].into_iter();
    let slots = slots.filter_map(|at| read_slot(bytes.get(at..at + SLOT)?));
    Ok(slots.max_by_key(|(number, _)| *number))
}

fn slot(number: u64, state: &State) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&MAGIC);
    slot[8..16].copy_from_slice(&number.to_le_bytes());
    slot[16..24].copy_from_slice(&state.position.segment.to_le_bytes());
    slot[24..32].copy_from_slice(&state.position.at.to_le_bytes());
    let Totals {
        produced,
        exported,
        dropped,
        start_unix_nano,
    } = state.totals;
    slot[32..40].copy_from_slice(&start_unix_nano.to_le_bytes());
    slot[REASONS..][..8].copy_from_slice(&(dropped.len() as u64).to_le_bytes());
    let totals = [produced, exported].into_iter().chain(dropped);
    for (place, total) in slot[REASONS + 8..].chunks_exact_mut(8).zip(totals) {
        place.copy_from_slice(&total.to_le_bytes());
    }
    let crc = crc32c(&slot[..SLOT - 4]);
    slot[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
    slot
}

fn read_slot(slot: &[u8]) -> Option<(u64, State)> {
    let (sound, crc) = slot.split_last_chunk()?;
    if !slot.starts_with(&MAGIC) || crc32c(sound) != u32::from_le_bytes(*crc) {
        return None;
    }
    let numbers = sound[8..].chunks_exact(8);
    let mut numbers = numbers.map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")));
    let number = numbers.next()?;
    let position = Position {
        segment: numbers.next()?,
        at: numbers.next()?,
    };
    let start_unix_nano = numbers.next()?;
    let reasons = usize::try_from(numbers.next()?).ok()?;
    let mut totals = Totals {
        produced: numbers.next()?,
        exported: numbers.next()?,
        start_unix_nano,
        ..Totals::default()
    };
    // Another version may know fewer reasons, or more. Additional ones have no name here, and the
    // missing items are found when the ledger is restored.
    for (total, number) in totals.dropped.iter_mut().zip(numbers.take(reasons)) {
        *total = number;
    }
    totals
        .is_plausible()
        .then_some((number, State { position, totals }))
}

const NAME: &str = "state";
/// The length of the file in bytes. The slots are far enough apart not to share a sector of any disk.
pub(super) const BYTES: u64 = SECOND + SLOT as u64;
const SECOND: u64 = 4096;
const SLOT: usize = 512;
/// The position of the number of reasons; the totals follow it.
const REASONS: usize = 40;
const _: () = assert!(REASONS + 24 + Reason::COUNT * 8 <= SLOT - 4, "all sums fit");
/// The last character is the version of the format.
const MAGIC: [u8; 8] = *b"\xF5barost1";

#[cfg(test)]
mod tests {
    use super::*;

    fn state(segment: u64) -> State {
        State {
            position: Position { segment, at: 7 },
            totals: Totals {
                produced: 1 << 60,
                exported: 3,
                start_unix_nano: 11,
                dropped: std::array::from_fn(|place| place as u64),
            },
        }
    }

    #[test]
    fn the_newest_slot_that_is_whole_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let open = || {
            let mut options = File::options();
            let options = options.read(true).write(true).create(true).truncate(false);
            StateFile::open(options.open(&path).unwrap()).unwrap()
        };
        assert_eq!(open().1, State::default());
        for segment in 1..5 {
            let (mut file, _) = open();
            file.write(&state(segment)).unwrap();
            assert_eq!(open().1, state(segment));

            // A torn write leaves the slot before it intact.
            let (mut file, _) = open();
            file.write(&state(100)).unwrap();
            let at = if file.number.is_multiple_of(2) {
                0
            } else {
                SECOND
            };
            let mut bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, BYTES);
            bytes[at as usize + 300..][..100].fill(0xAA);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(open().1, state(segment));
        }
        std::fs::write(&path, b"something else").unwrap();
        assert_eq!(open().1, State::default());
    }

    #[test]
    fn a_slot_survives_no_flipped_bit() {
        let whole = slot(5, &state(9));
        assert_eq!(read_slot(&whole), Some((5, state(9))));
        for bit in 0..SLOT * 8 {
            let mut slot = whole;
            slot[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_slot(&slot), None, "bit {bit}");
        }
    }

    #[test]
    fn implausible_totals_are_rejected() {
        let read = |produced, exported| {
            let totals = Totals {
                produced,
                exported,
                dropped: [1 << 60; Reason::COUNT],
                start_unix_nano: 0,
            };
            let position = Position::default();
            read_slot(&slot(1, &State { position, totals }))
        };
        assert!(read(1 << 62, 0).is_none(), "the sum of what was dropped");
        let none = State::default();
        for (produced, exported) in [(u64::MAX, 0), (0, u64::MAX), (1 << 63, 1 << 63)] {
            let mut totals = Totals::default();
            (totals.produced, totals.exported) = (produced, exported);
            let read = read_slot(&slot(1, &State { totals, ..none }));
            assert_eq!(read, None, "{produced} {exported}");
        }
        assert_eq!(read_slot(&slot(1, &none)), Some((1, none)));
    }

    #[test]
    fn totals_of_other_versions_are_read_as_far_as_they_are_known() {
        let known = Reason::COUNT as u64;
        for reasons in [0, 1, known, known + 1, 50, u64::MAX] {
            let mut slot = slot(1, &state(2));
            slot[REASONS..][..8].copy_from_slice(&reasons.to_le_bytes());
            let crc = crc32c(&slot[..SLOT - 4]);
            slot[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
            let (_, read) = read_slot(&slot).unwrap();
            let mut expected = state(2);
            for place in 0..Reason::COUNT {
                if place as u64 >= reasons {
                    expected.totals.dropped[place] = 0;
                }
            }
            assert_eq!(read, expected, "{reasons}");
        }
    }
}
