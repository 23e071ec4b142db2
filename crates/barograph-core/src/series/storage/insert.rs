//! Insertion of label sets: a new series under the lock and within the limits, or else the overflow
//! series.

#![expect(
    unsafe_code,
    reason = "a new series is written where nobody can reach it"
)]

use barograph_model::label::PackedLabels;

use super::{Layout, Storage, Writer};
use crate::limits::{Limits, Violation};
use crate::report::report;
use crate::series::{Chunk, Series, State};
use crate::stats::{LabelsRefused, Refusal, Rejection};
use crate::sync::Ordering;
use crate::sync::row;

impl Storage {
    /// Returns the series with these labels, made if there is none, with a handle counted for the
    /// caller. The labels are in canonical order, or sorted by name in a free-form family.
    pub(crate) fn hold(&self, labels: &PackedLabels) -> Result<&Series, LabelsRefused> {
        self.check(labels).map_err(|broken| self.refuse(broken))?;
        let hash = self.hash(labels.ends(), labels.text());
        let mut writer = self.writer();
        // Nothing is released while the lock is held, so the handle is counted in time.
        let found = self.find_text(hash, labels);
        if let Some(series) = found.or_else(|| self.restore(&mut writer, hash, labels)) {
            series.hold();
            return Ok(series);
        }
        let mut warnings = match self.admit(&mut writer) {
            Ok(warnings) => warnings,
            Err(broken) => {
                // Reports are made without the lock: their receiver may record into this family.
                drop(writer);
                return Err(self.refuse(broken));
            }
        };
        let series = self.make(&mut writer);
        // SAFETY: nothing else can reach it: it is new, or was released.
        unsafe { series.set_key(labels.ends(), labels.text()) };
        self.link(&mut writer, hash, series);
        series.hold();
        series.set_state(State::Live);
        self.drain(&mut writer);
        warnings.append(&mut writer.unreported);
        drop(writer);
        for warning in warnings {
            report(warning);
        }
        Ok(series)
    }

    /// Checks that these labels may have a series.
    fn check(&self, labels: &PackedLabels) -> Result<(), Violation> {
        let config = self.shared.config();
        let limits = &config.limits;
        Limits::check_total(labels.text().len())?;
        let pieces = labels.ends().len();
        limits.check_count(if self.free_form { pieces / 2 } else { pieces })?;
        // The registry may have got its limits after the family was registered.
        for name in &self.label_names {
            limits.check_allowed(name)?;
        }
        let mut from = 0;
        for (i, end) in labels.ends().iter().enumerate() {
            let piece = &labels.text()[from..usize::from(*end)];
            from = usize::from(*end);
            if self.free_form && i % 2 == 0 {
                limits.check_name(piece)?;
            } else {
                limits.check_value(piece)?;
            }
        }
        Ok(())
    }

    /// Takes room for one more series. Returns the reports to make.
    fn admit(&self, writer: &mut Writer) -> Result<Vec<String>, Violation> {
        self.check_room()?;
        let most = self.quota.limit().saturating_mul(4);
        if writer.free.is_empty() && writer.len >= most {
            self.release_unheld(writer);
            // Some may have been revived.
            self.check_room()?;
            if writer.free.is_empty() {
                let expected = format!("at most {most}");
                let held = writer.len.to_string();
                return Err(Violation::new(Refusal::AwaitingRelease, held, expected));
            }
        }
        self.take_room().map_err(|reason| self.no_room(reason))
    }

    fn check_room(&self) -> Result<(), Violation> {
        self.full()
            .map_or(Ok(()), |reason| Err(self.no_room(reason)))
    }

    /// Returns the limit that leaves no room for another series, if there is one.
    fn full(&self) -> Option<Refusal> {
        if self.quota.is_full() {
            Some(Refusal::FamilyFull)
        } else if self.shared.quota.is_full() {
            Some(Refusal::RegistryFull)
        } else {
            None
        }
    }

    fn no_room(&self, reason: Refusal) -> Violation {
        let quota = match reason {
            Refusal::RegistryFull => &self.shared.quota,
            _ => &self.quota,
        };
        let expected = format!("at most {}", quota.limit());
        Violation::new(reason, (quota.used() + 1).to_string(), expected)
    }

    /// Takes room for one more series in the family and in the registry. Returns the reports to make.
    /// The caller holds the lock.
    pub(super) fn take_room(&self) -> Result<Vec<String>, Refusal> {
        // The family is asked first and takes last: only the holder of the lock makes it fuller, so that
        // nothing has to be taken back, and no other thread sees room taken that is not used.
        if self.quota.is_full() {
            return Err(Refusal::FamilyFull);
        }
        let total = self.shared.quota.take().ok_or(Refusal::RegistryFull)?;
        let Some(used) = self.quota.take() else {
            // The limit was lowered meanwhile.
            self.shared.quota.give_back(1);
            return Err(Refusal::FamilyFull);
        };
        let family = self.quota.crossing(used).filter(|_| self.has_labels());
        let family = family.map(|crossing| crossing.of_family(&self.name));
        let registry = self.shared.quota.crossing(total);
        let registry = registry.map(|crossing| crossing.of_registry(Some(&self.name)));
        Ok(family.into_iter().chain(registry).collect())
    }

    /// Gives the room of a series back.
    pub(super) fn give_room_back(&self) {
        self.quota.give_back(1);
        self.shared.quota.give_back(1);
    }

    /// Returns the report that the family is nearly full, if its limit was set so low.
    pub(crate) fn warning(&self) -> Option<String> {
        let crossing = self.quota.crossing(self.quota.used());
        let crossing = crossing.filter(|_| self.has_labels());
        crossing.map(|crossing| crossing.of_family(&self.name))
    }

    /// Counts a refusal and returns it as an error.
    fn refuse(&self, broken: Violation) -> LabelsRefused {
        let refused = broken.in_family(&self.name);
        // A family without room for any series belongs to no registry, and records nothing.
        if self.counts.refuse(refused.reason) && self.quota.limit() > 0 {
            report(format!("{refused}; measurements go to the overflow series"));
        }
        refused
    }

    /// Counts a measurement that is not recorded.
    #[cold]
    pub(crate) fn reject(&self, reason: Rejection, value: f64) {
        if self.counts.reject(reason) {
            let name = &self.name;
            let expected = match reason {
                Rejection::Negative => "a number that is not negative",
                _ => "a finite number",
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

    /// Returns true if there is no room for another series.
    pub(crate) fn is_full(&self) -> bool {
        self.full().is_some()
    }

    /// Returns the overflow series to a label set that was not found, and counts it, if there is no room
    /// for another series. Takes no lock, since a full family is asked for new label sets again and
    /// again.
    pub(crate) fn overflow_if_full(&self) -> Option<&Series> {
        let reason = self.full()?;
        if self.counts.refuse(reason) && self.quota.limit() > 0 {
            let refused = self.no_room(reason).in_family(&self.name);
            report(format!("{refused}; measurements go to the overflow series"));
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
