//! Counts and durations by `error.type`, with a limited number of error types.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_model::bounds::Bounds;

/// The kind of an error, the value of `error.type`; `None` for a success.
pub(crate) type ErrorType = Option<Cow<'static, str>>;

/// Values for each kind of error.
#[derive(Debug)]
pub(super) struct ByErrorType<T> {
    entries: Mutex<Vec<(ErrorType, T)>>,
}

impl<T: Default> ByErrorType<T> {
    /// Changes the value of a kind. All kinds after the first [`MOST`] share one value: a receiver's
    /// responses must not create ever more series.
    pub(super) fn change(&self, kind: &ErrorType, change: impl FnOnce(&mut T)) {
        let mut entries = self.lock();
        let position = |entries: &[(ErrorType, T)], kind: &ErrorType| {
            entries.iter().position(|(other, _)| other == kind)
        };
        let found = position(&entries, kind).unwrap_or_else(|| {
            let kind = match entries.len() < MOST {
                true => kind.clone(),
                // Source: OpenTelemetry semantic conventions, `error.type`.
                false => Some("_OTHER".into()),
            };
            position(&entries, &kind).unwrap_or_else(|| {
                entries.push((kind, T::default()));
                entries.len().saturating_sub(1)
            })
        });
        change(&mut entries[found].1);
    }

    /// Calls `show` with every kind and its value.
    pub(super) fn read(&self, mut show: impl FnMut(&ErrorType, &T)) {
        for (kind, value) in &*self.lock() {
            show(kind, value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ErrorType, T)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for ByErrorType<T> {
    fn default() -> Self {
        ByErrorType {
            entries: Mutex::default(),
        }
    }
}

/// A histogram of durations in seconds, with the bounds of [`Bounds::http_seconds`].
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    pub(super) buckets: Vec<u64>,
    pub(super) sum: f64,
}

impl Durations {
    pub(super) fn observe(&mut self, bounds: &Bounds, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.buckets.resize(bounds.buckets(), 0);
        if let Some(count) = self.buckets.get_mut(bounds.bucket_of(seconds)) {
            *count = count.saturating_add(1);
        }
        self.sum += seconds;
    }
}

/// The number of kinds that are distinguished.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_past_the_most_share_one() {
        let kinds = ByErrorType::<u64>::default();
        for kind in 0..100 {
            kinds.change(&Some(format!("{kind}").into()), |count| *count += 1);
        }
        kinds.change(&Some("3".into()), |count| *count += 1);
        let mut seen = Vec::new();
        kinds.read(|kind, count| seen.push((kind.clone().unwrap(), *count)));
        assert_eq!(seen.len(), MOST + 1);
        assert!(seen.contains(&("3".into(), 2)));
        assert!(seen.contains(&("_OTHER".into(), 100 - MOST as u64)));
    }
}
