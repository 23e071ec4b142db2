//! The queues of all exporters of one signal.

use super::RecordQueue;

/// The queues of all exporters of one signal: each gets every record. Without exporters it is empty.
#[derive(Clone, Debug)]
pub struct Fanout<T> {
    queues: Box<[RecordQueue<T>]>,
}

/// The queues that have to have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Every queue, so that no exporter misses a record.
    InEvery,
    /// One queue, so that exporters that still accept records get them.
    InAny,
}

impl<T> Fanout<T> {
    /// Returns true if there are no queues.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Adds a record to every queue. A queue without room counts it as refused.
    #[inline]
    pub fn push(&self, record: Box<T>)
    where
        T: Clone,
    {
        let Some((last, others)) = self.queues.split_last() else {
            return;
        };
        for queue in others {
            let _ = queue.push(record.clone());
        }
        let _ = last.push(record);
    }

    /// Returns true if the queues have room for a record.
    pub fn has_room(&self, room: Room) -> bool {
        let mut queues = self.queues.iter();
        match room {
            Room::InEvery => queues.all(|queue| !queue.is_full()),
            Room::InAny => queues.any(|queue| !queue.is_full()),
        }
    }

    /// Takes some exported records; see [`RecordQueue::take_recycled`].
    #[inline]
    pub fn take_recycled(&self) -> Option<Vec<Box<T>>> {
        self.queues.iter().find_map(RecordQueue::take_recycled)
    }
}

impl<T> Default for Fanout<T> {
    fn default() -> Self {
        Fanout::from_iter([])
    }
}

impl<T> From<RecordQueue<T>> for Fanout<T> {
    fn from(queue: RecordQueue<T>) -> Self {
        Fanout::from_iter([queue])
    }
}

impl<T> FromIterator<RecordQueue<T>> for Fanout<T> {
    fn from_iter<I: IntoIterator<Item = RecordQueue<T>>>(queues: I) -> Self {
        Fanout {
            queues: queues.into_iter().collect(),
        }
    }
}
