//! Insertion of label sets: a new series under the lock and within the limits, or else the overflow
//! series.

#![expect(
    unsafe_code,
    reason = "a new series is written where nobody can reach it"
)]

use barograph_model::label::PackedLabels;
use barograph_model::name;

use super::{Layout, Storage, Writer};
use crate::report::report;
use crate::series::{Chunk, Series, State};
use crate::stats::{LabelsRefused, Refusal, Rejection};
use crate::sync::Ordering;
use crate::sync::row;

/// The reason why a label set is refused, the offending part, and what was expected.
struct Offense(Refusal, String, String);

impl Storage {
    /// Returns the series with these labels, made if there is none, with a handle counted for the
    /// caller. The labels are in canonical order, or sorted by name in a free-form family.
    pub(crate) fn hold(&self, labels: &PackedLabels) -> Result<&Series, LabelsRefused> {
        self.check(labels).map_err(|offense| self.refuse(offense))?;
        let hash = self.hash(labels.ends(), labels.text());
        let mut writer = self.writer();
        // Nothing is released while the lock is held, so the handle is counted in time.
        let found = self.find_text(hash, labels);
        if let Some(series) = found.or_else(|| self.restore(&mut writer, hash, labels)) {
            series.hold();
            return Ok(series);
        }
        let warning = match self.admit(&mut writer) {
            Ok(warning) => warning,
            Err(offense) => {
                // Reports are made without the lock: their receiver may record into this family.
                drop(writer);
                return Err(self.refuse(offense));
            }
        };
        let series = self.make(&mut writer);
        // SAFETY: nothing else can reach it: it is new, or was released.
        unsafe { series.set_key(labels.ends(), labels.text()) };
        self.link(&mut writer, hash, series);
        series.hold();
        series.set_state(State::Live);
        self.drain(&mut writer);
        drop(writer);
        if let Some(warning) = warning {
            report(warning);
        }
        Ok(series)
    }

    /// Checks that these labels may have a series.
    fn check(&self, labels: &PackedLabels) -> Result<(), Offense> {
        let config = self.shared.config();
        let refuse = |reason, offender, expected| Err(Offense(reason, offender, expected));
        let pieces = labels.ends().len();
        let count = if self.free_form { pieces / 2 } else { pieces };
        if count > config.most_labels {
            let most = format!("at most {}", config.most_labels);
            return refuse(Refusal::TooManyLabels, count.to_string(), most);
        }
        let mut from = 0;
        for (i, end) in labels.ends().iter().enumerate() {
            let piece = &labels.text()[from..usize::from(*end)];
            from = usize::from(*end);
            if self.free_form && i % 2 == 0 {
                if let Err(invalid) = check_label(piece, &config.forbidden) {
                    return refuse(Refusal::InvalidLabel, format!("{piece:?}"), invalid);
                }
            } else if piece.len() > config.longest_value {
                let cut: String = piece.chars().take(64).collect();
                let most = format!("at most {} bytes", config.longest_value);
                let found = format!("{cut:?}... of {} bytes", piece.len());
                return refuse(Refusal::ValueTooLong, found, most);
            }
        }
        Ok(())
    }

    /// Takes room for one more series. Returns a report to make, if there is one.
    fn admit(&self, writer: &mut Writer) -> Result<Option<String>, Offense> {
        let limit = self.limit();
        self.check_limit(limit)?;
        let most = limit.saturating_mul(4);
        if writer.free.is_empty() && writer.len >= most {
            self.release_unheld(writer);
            // Some may have been revived.
            self.check_limit(limit)?;
            if writer.free.is_empty() {
                let expected = format!("at most {most}");
                let held = writer.len.to_string();
                return Err(Offense(Refusal::AwaitingRelease, held, expected));
            }
        }
        let total_limit = self.shared.config().total_limit;
        let total = self.shared.live.fetch_add(1, Ordering::Relaxed);
        if total >= total_limit {
            self.shared.live.fetch_sub(1, Ordering::Relaxed);
            let expected = format!("at most {total_limit}");
            let total = (total + 1).to_string();
            return Err(Offense(Refusal::RegistryFull, total, expected));
        }
        let live = self.live.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(self.warning(writer, live))
    }

    fn check_limit(&self, limit: usize) -> Result<(), Offense> {
        let live = self.live.load(Ordering::Relaxed);
        if live < limit {
            return Ok(());
        }
        let most = format!("at most {limit}");
        Err(Offense(Refusal::FamilyFull, (live + 1).to_string(), most))
    }

    /// Returns the report that a family is nearly full, once for each level.
    fn warning(&self, writer: &mut Writer, live: usize) -> Option<String> {
        let limit = self.limit();
        let mut warning = None;
        for (level, percent) in [(1, 80), (2, 95)] {
            if writer.warned < level && limit >= 20 && live * 100 >= limit.saturating_mul(percent) {
                writer.warned = level;
                let name = &self.name;
                warning = Some(format!(
                    "family {name:?} has {live} series, {percent} % of its limit of {limit}; past \
                     it measurements go to the overflow series"
                ));
            }
        }
        warning
    }

    /// Counts a refusal and returns it as an error.
    fn refuse(&self, Offense(reason, offender, expected): Offense) -> LabelsRefused {
        let refused = LabelsRefused {
            family: self.name.clone(),
            reason,
            offender: offender.into(),
            expected: expected.into(),
        };
        // A family without room for any series belongs to no registry, and records nothing.
        if self.counts.refuse(reason) && self.limit() > 0 {
            report(format!("{refused}; measurements go to the overflow series"));
        }
        refused
    }

    /// Counts a measurement that is not recorded.
    #[cold]
    pub(crate) fn reject(&self, reason: Rejection, value: f64) {
        if self.counts.reject(reason) {
            let name = &self.name;
            let expected = match (reason, &self.layout) {
                (Rejection::Negative, _) => "a number that is not negative",
                (Rejection::NotFinite, _) => "a finite number",
            };
            report(format!(
                "{name:?} was given {value}, expected {expected}; such measurements are dropped \
                 and counted"
            ));
        }
    }

    /// Reports the first negative value that a histogram of the family observed, unless its bounds show
    /// that such values are expected.
    #[cold]
    pub(crate) fn report_negative(&self, value: f64) {
        let Layout::Histogram(buckets) = &self.layout else {
            return;
        };
        let first = buckets.bounds().as_slice().first();
        if first.is_none_or(|bound| *bound >= 0.0) && self.counts.note_negative() {
            let name = &self.name;
            report(format!(
                "{name:?} observed {value}: a series that did is pushed without its sum from now on, \
                 which readers expect to grow; a negative first bound says that this is intended"
            ));
        }
    }

    /// Returns a series that no other thread can reach, with everything at zero.
    fn make<'a>(&'a self, writer: &mut Writer) -> &'a Series {
        let series = writer.free.pop().unwrap_or_else(|| {
            let index = writer.len;
            let full = writer
                .chunks
                .last()
                .is_none_or(|chunk| index >= chunk.first() + chunk.len());
            if full {
                // Small families stay small, large ones take few allocations.
                let len = (index * 2).clamp(4, 1024).next_power_of_two().min(1024);
                writer.chunks.push(Chunk::new(index, len));
            }
            writer.len += 1;
            let chunk = writer.chunks.last().expect("there is one, see above");
            chunk.series(index - chunk.first())
        });
        // SAFETY: series live as long as their chunks, and those as long as the storage.
        let series = unsafe { &*series };
        writer.bear(series);
        series.cold().set_began(self.shared.now_millis());
        if let Layout::Histogram(buckets) = &self.layout
            && series.cold().cell.load(Ordering::Relaxed) == 0
        {
            let row = row::alloc(row::words(buckets.len()));
            let address = row.expose_provenance() as u64;
            series.cold().cell.store(address, Ordering::Relaxed);
        }
        series
    }

    /// Returns the overflow series if the family is full. Takes no lock, since a full family is asked
    /// for new label sets again and again.
    pub(crate) fn overflow_if_full(&self) -> Option<&Series> {
        let limit = self.limit();
        if self.live.load(Ordering::Relaxed) < limit {
            return None;
        }
        if self.counts.refuse(Refusal::FamilyFull) && limit > 0 {
            let name = &self.name;
            report(format!(
                "{name:?}: too many series in the family, expected at most {limit}; measurements go \
                 to the overflow series"
            ));
        }
        Some(self.overflow())
    }

    /// Returns the series for all label sets that have no series of their own.
    pub(crate) fn overflow(&self) -> &Series {
        // Acquire: pairs with the Release in `make_overflow`.
        let overflow = self.overflow.load(Ordering::Acquire);
        // SAFETY: as in `make`.
        match unsafe { overflow.as_ref() } {
            Some(overflow) => overflow,
            None => self.make_overflow(),
        }
    }

    #[cold]
    fn make_overflow(&self) -> &Series {
        let mut writer = self.writer();
        self.overflow_under(&mut writer)
    }

    /// Returns the overflow series to the holder of the lock.
    pub(super) fn overflow_under(&self, writer: &mut Writer) -> &Series {
        let there = self.overflow.load(Ordering::Relaxed);
        // SAFETY: as in `make`.
        if let Some(there) = unsafe { there.as_ref() } {
            return there;
        }
        let series = self.make(writer);
        series.set_overflow();
        series.set_state(State::Live);
        let overflow: *const Series = series;
        // Release: pairs with the Acquire in `overflow`.
        self.overflow.store(overflow.cast_mut(), Ordering::Release);
        series
    }
}

/// Checks that a label may have this name; the error is what was expected.
pub(crate) fn check_label(label: &str, forbidden: &[Box<str>]) -> Result<(), String> {
    if forbidden.iter().any(|f| &**f == label) {
        return Err("a label that is not forbidden here".into());
    }
    match name::check_label(label) {
        Ok(()) => Ok(()),
        Err(_) => {
            Err("a name that is not empty, not reserved and without control characters".into())
        }
    }
}
