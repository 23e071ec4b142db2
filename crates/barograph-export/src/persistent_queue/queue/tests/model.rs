//! Random histories, compared with a naive queue that models the effect of a kill.

use proptest::prelude::*;

use super::*;

/// An operation on a persistent queue.
#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Oldest,
    Remove,
    Totals,
    Sync,
    Reopen,
    Kill,
    /// Kills the process, and cuts this many thousandths off the last segment.
    Tear(usize),
    /// Kills the process, and flips this bit of the byte at this position in every segment.
    Flip(usize, u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0..1500_usize).prop_map(Op::Append),
        2 => Just(Op::Oldest),
        6 => Just(Op::Remove),
        2 => Just(Op::Totals),
        1 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => (0..1000_usize).prop_map(Op::Tear),
        1 => (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Op::Flip(at, bit)),
    ]
}

/// A request, and the position of its record.
#[derive(Clone, Debug)]
struct Kept {
    request: Request,
    segment: String,
    at: usize,
    end: usize,
}

/// A queue in memory that models the effect of a kill.
#[derive(Debug, Default)]
struct Naive {
    waiting: VecDeque<Kept>,
    /// Requests that were removed since the state was last written.
    removed: Vec<Kept>,
    totals: Totals,
    written_totals: Totals,
}

impl Naive {
    fn write_down(&mut self) {
        self.removed.clear();
        self.written_totals = self.totals;
    }

    fn kill(&mut self) {
        for kept in self.removed.drain(..).rev() {
            self.waiting.push_front(kept);
        }
        self.totals = self.written_totals;
    }

    /// Removes the requests that overlap these bytes. Returns their number.
    fn lose(&mut self, segment: &str, from: usize, to: usize) -> u64 {
        let before = self.waiting.len();
        self.waiting
            .retain(|kept| kept.segment != segment || kept.end <= from || kept.at >= to);
        (before - self.waiting.len()) as u64
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_queue_whatever_happens(ops in proptest::collection::vec(op(), 1..80)) {
        let directory = TempDir::new().unwrap();
        // There are several segments, and room for everything.
        let config = config().with_max_bytes(128 << 10);
        // The bytes in which a bit was flipped: damage is found at every start.
        let mut scars = BTreeSet::new();
        let mut naive = Naive::default();
        let mut queue = open(&directory, &config);
        let mut number = 0;
        for op in ops {
            match op {
                Op::Append(length) => {
                    number += 1;
                    let request = request(number, length);
                    queue.append(&request).unwrap();
                    let (segment, bytes) = segments(&directory).pop_last().unwrap();
                    let end = bytes.len();
                    let at = end - HEADER - length;
                    naive.waiting.push_back(Kept { request, segment, at, end });
                }
                Op::Oldest => {
                    let expected = naive.waiting.front().map(|kept| kept.request.clone());
                    prop_assert_eq!(queue.oldest().unwrap(), expected);
                }
                Op::Remove => {
                    queue.remove_oldest();
                    naive.removed.extend(naive.waiting.pop_front());
                }
                Op::Totals => {
                    naive.totals = totals(number, 1);
                    queue.set_totals(&naive.totals).unwrap();
                    naive.write_down();
                }
                Op::Sync => {
                    queue.sync().unwrap();
                    naive.write_down();
                }
                Op::Reopen => {
                    drop(queue);
                    naive.write_down();
                    queue = open(&directory, &config);
                    prop_assert!(queue.lost().damaged_records() <= scars.len() as u64);
                }
                Op::Kill => {
                    kill(queue);
                    naive.kill();
                    queue = open(&directory, &config);
                    prop_assert!(queue.lost().damaged_records() <= scars.len() as u64);
                }
                Op::Tear(part) => {
                    kill(queue);
                    naive.kill();
                    if let Some((name, bytes)) = segments(&directory).pop_last() {
                        let length = bytes.len() * part / 1000;
                        fs::write(directory.path().join(&name), &bytes[..length]).unwrap();
                        naive.lose(&name, length, bytes.len());
                    }
                    queue = open(&directory, &config);
                    prop_assert!(queue.lost().damaged_records() <= scars.len() as u64 + 1);
                }
                Op::Flip(at, bit) => {
                    kill(queue);
                    naive.kill();
                    let mut lost = 0;
                    for (name, mut bytes) in segments(&directory) {
                        let at = at % bytes.len();
                        if !scars.insert((name.clone(), at)) {
                            continue;
                        }
                        bytes[at] ^= 1 << bit;
                        fs::write(directory.path().join(&name), &bytes).unwrap();
                        lost += naive.lose(&name, at, at + 1);
                    }
                    queue = open(&directory, &config);
                    let damaged = queue.lost().damaged_records();
                    prop_assert!(lost <= damaged && damaged <= scars.len() as u64);
                }
            }
            let items: u64 = naive.waiting.iter().map(|kept| kept.request.items).sum();
            prop_assert_eq!(queue.pending_items(), items);
            prop_assert_eq!(queue.pending_requests(), naive.waiting.len() as u64);
            prop_assert_eq!(queue.totals(), naive.totals);
            prop_assert_eq!(queue.taken_bytes(), taken(&directory));
            prop_assert_eq!(queue.lost().unreadable, Count::default());
        }
        let expected: Vec<_> = naive.waiting.into_iter().map(|kept| kept.request).collect();
        prop_assert_eq!(drain(&mut queue), expected);
    }
}
