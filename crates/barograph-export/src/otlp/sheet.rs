//! What a round writes: requests one after the other, cut where they are full.

use std::collections::VecDeque;
use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::resource::Resource;
use barograph_model::snapshot::{HistogramValue, Point, Value};
use bytes::Bytes;

use crate::otlp::attributes::{self, Extra};
use crate::otlp::datum::{self, Datum, Distribution, Number, Shape};
use crate::otlp::delta::{Memory, Staged};
use crate::otlp::json::{self, Json};
use crate::otlp::protobuf::{self, Protobuf};
use crate::otlp::request::Encoding;
use crate::otlp::temporality::Temporality;
use crate::report::{Rejection, Report};

/// The requests of a round.
pub(super) struct Sheet {
    /// Those that are full, first come first.
    pub(super) ready: VecDeque<Given>,
    time: u64,
    limits: Limits,
    points: u64,
    /// The scope that is open.
    scope: Option<Option<Arc<Scope>>>,
    staged: Staged,
    used: Option<Bytes>,
    /// Memory to use.
    buckets: Vec<u64>,
}

/// How large a request gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) points: u64,
    pub(super) bytes: usize,
}

/// What closes a request that is full, at most.
const CLOSING: usize = 512;

/// A request that is ready, and what it told.
pub(super) struct Given {
    pub(super) body: Bytes,
    pub(super) points: u64,
    pub(super) staged: Staged,
}

/// A family, as it is written.
pub(super) struct Family {
    descriptor: Arc<Descriptor>,
    temporality: Temporality,
    /// Its place among the families of the round.
    number: usize,
    form: Form,
    is_open: bool,
    written: u64,
}

enum Form {
    Protobuf(protobuf::FamilyForm),
    Json(json::FamilyForm),
}

impl Family {
    /// The family of this place in the round, and how it is told.
    pub(super) fn new(
        writer: &Writer,
        descriptor: &Arc<Descriptor>,
        name: &str,
        temporality: Temporality,
        is_unique: bool,
        number: usize,
    ) -> Self {
        let shape = Shape::new(descriptor, temporality);
        let is_unique = is_unique && attributes::names_differ(descriptor);
        let form = match writer {
            Writer::Protobuf(_) => {
                let form = protobuf::FamilyForm::new(descriptor, name, shape, is_unique);
                Form::Protobuf(form)
            }
            Writer::Json(_) => {
                Form::Json(json::FamilyForm::new(descriptor, name, shape, is_unique))
            }
        };
        Family {
            descriptor: Arc::clone(descriptor),
            temporality,
            number,
            form,
            is_open: false,
            written: 0,
        }
    }
}

impl Sheet {
    /// Requests of what there is at this time.
    pub(super) fn new(time: u64, limits: Limits) -> Self {
        Sheet {
            ready: VecDeque::new(),
            time,
            limits,
            points: 0,
            scope: None,
            staged: Staged::new(time),
            used: None,
            buckets: Vec::new(),
        }
    }

    /// Takes memory for the next request.
    pub(super) fn lend(&mut self, used: Option<Bytes>) {
        self.used = used;
    }

    /// What writes the points of a family.
    pub(super) fn pen<'a>(
        &'a mut self,
        writer: &'a mut Writer,
        memory: &'a mut Memory,
        report: &'a mut Report,
    ) -> Pen<'a> {
        Pen {
            sheet: self,
            writer,
            memory,
            report,
        }
    }

    /// Ends a family.
    pub(super) fn end_family(
        &mut self,
        writer: &mut Writer,
        family: &mut Family,
        report: &mut Report,
    ) {
        if std::mem::take(&mut family.is_open) {
            writer.close_family(&family.form);
        }
        if family.written > 0 {
            report.count_family();
            report.count_series(family.written);
        }
    }

    /// Ends the request that is being written, if there is one.
    pub(super) fn finish(&mut self, writer: &mut Writer) {
        let Some(scope) = self.scope.take() else {
            return;
        };
        if self.points == 0 {
            // Opened for points that then could not be told.
            writer.rest();
            return;
        }
        writer.close_scope(scope.as_deref());
        self.ready.push_back(Given {
            body: writer.close_request(self.used.take()),
            points: std::mem::take(&mut self.points),
            staged: std::mem::replace(&mut self.staged, Staged::new(self.time)),
        });
    }

    /// Opens all that has to be open around a point of this family.
    #[cold]
    fn open(&mut self, writer: &mut Writer, family: &mut Family) {
        let scope = &family.descriptor.scope;
        if let Some(open) = &self.scope
            && open != scope
        {
            writer.close_scope(open.as_deref());
            writer.open_scope(scope.as_deref());
        } else if self.scope.is_none() {
            writer.open_request();
            writer.open_scope(scope.as_deref());
        }
        self.scope = Some(scope.clone());
        writer.open_family(&family.form);
        family.is_open = true;
    }

    #[cold]
    fn cut(&mut self, writer: &mut Writer, family: &mut Family) {
        if std::mem::take(&mut family.is_open) {
            writer.close_family(&family.form);
        }
        self.finish(writer);
    }
}

/// Writes points.
pub(super) struct Pen<'a> {
    sheet: &'a mut Sheet,
    writer: &'a mut Writer,
    memory: &'a mut Memory,
    report: &'a mut Report,
}

impl Pen<'_> {
    /// Writes a point, or counts that it could not be.
    #[inline]
    pub(super) fn point(&mut self, family: &mut Family, point: &Point<'_>) {
        if let Err(rejection) = self.try_point(family, point) {
            self.report.reject(rejection, &family.descriptor.name);
        }
    }

    #[inline]
    fn try_point(&mut self, family: &mut Family, point: &Point<'_>) -> Result<(), Rejection> {
        let kind = family.descriptor.kind;
        datum::check(kind, &point.value)?;
        let time = self.sheet.time;
        let start = point.start_unix_nano.unwrap_or(0);
        // A series that began in the middle of the round is told at its own start: an earlier one,
        // and the right one a round later, would look as if it had begun anew.
        let whole = Datum {
            start,
            time: time.max(start),
            number: Number::Whole(1),
            exemplars: point.exemplars,
            told_until: 0,
        };
        let number = |value| match value {
            Value::U64(value) => Ok(Number::unsigned(value)),
            Value::I64(value) => Ok(Number::Whole(value)),
            Value::F64(value) => Ok(Number::Float(value)),
            _ => Err(Rejection::WrongValue),
        };
        match (point.value, family.temporality) {
            (Value::Info, _) => self.put(family, point, extra(point), whole),
            (Value::StateSet(on), _) => self.states(family, point, on, whole),
            (Value::Histogram(value), Temporality::Cumulative) => {
                let number = Number::Histogram(Distribution::new(&value)?);
                self.put(family, point, extra(point), Datum { number, ..whole })
            }
            (Value::Histogram(value), Temporality::Delta) => {
                self.distribution_since(family, point, &value, whole)
            }
            (value, Temporality::Cumulative) => {
                let number = number(value)?;
                self.put(family, point, extra(point), Datum { number, ..whole })
            }
            (_, Temporality::Delta) => {
                let staged = &mut self.sheet.staged;
                let Some(since) = self.memory.number(family.number, point, staged)? else {
                    return Ok(());
                };
                let datum = Datum {
                    start: since.start.min(time),
                    number: number(since.value)?,
                    told_until: since.told,
                    ..whole
                };
                self.put_staged(family, point, datum)
            }
        }
    }

    #[inline(never)]
    fn distribution_since(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
        whole: Datum<'_>,
    ) -> Result<(), Rejection> {
        // Checks the buckets before anything is made of them.
        Distribution::new(value)?;
        let mut buckets = std::mem::take(&mut self.sheet.buckets);
        let staged = &mut self.sheet.staged;
        let since = self
            .memory
            .histogram(family.number, point, value, staged, &mut buckets)?;
        let Some(since) = since else {
            self.sheet.buckets = buckets;
            return Ok(());
        };
        let value = HistogramValue {
            bounds: value.bounds,
            buckets: &buckets,
            sum: since.value,
            has_negative: value.has_negative,
        };
        let datum = Distribution::new(&value).map(|distribution| Datum {
            start: since.start.min(whole.time),
            number: Number::Histogram(distribution),
            told_until: since.told,
            ..whole
        });
        let put = datum.and_then(|datum| self.put_staged(family, point, datum));
        self.sheet.buckets = buckets;
        put
    }

    #[inline(never)]
    fn states(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        on: u64,
        whole: Datum<'_>,
    ) -> Result<(), Rejection> {
        let descriptor = Arc::clone(&family.descriptor);
        for (bit, state) in descriptor.states.iter().enumerate() {
            if descriptor.states[..bit].contains(state) {
                continue;
            }
            let is_on = on.checked_shr(bit as u32).unwrap_or(0) & 1;
            let extra = Extra {
                state: Some((&descriptor.name, state)),
                ..extra(point)
            };
            let number = Number::Whole(is_on.cast_signed());
            self.put(family, point, extra, Datum { number, ..whole })?;
        }
        Ok(())
    }

    /// Writes a difference, whose value is staged already.
    fn put_staged(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        datum: Datum<'_>,
    ) -> Result<(), Rejection> {
        // A request that is full takes the values staged so far along, but not this one.
        let put = self.try_put(family, point, extra(point), &datum);
        match put {
            Ok(true) => Ok(()),
            Ok(false) => {
                let entry = self.sheet.staged.take_last();
                self.sheet.cut(self.writer, family);
                self.sheet.staged.put_last(entry);
                let put = self.try_put(family, point, extra(point), &datum);
                self.undo_unless(put)
            }
            Err(_) => self.undo_unless(put),
        }
    }

    fn undo_unless(&mut self, put: Result<bool, Rejection>) -> Result<(), Rejection> {
        if put.is_err() {
            self.sheet.staged.take_last();
        }
        put.map(|_| ())
    }

    #[inline]
    fn put(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        extra: Extra<'_>,
        datum: Datum<'_>,
    ) -> Result<(), Rejection> {
        if !self.try_put(family, point, extra, &datum)? {
            self.sheet.cut(self.writer, family);
            self.try_put(family, point, extra, &datum)?;
        }
        Ok(())
    }

    /// Writes a point, unless the request is full: then false.
    #[inline]
    fn try_put(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        extra: Extra<'_>,
        datum: &Datum<'_>,
    ) -> Result<bool, Rejection> {
        let sheet = &mut *self.sheet;
        // The first point of a request has all the room it needs.
        let end = match sheet.points {
            0 => usize::MAX,
            points if points < sheet.limits.points => sheet.limits.bytes.saturating_sub(CLOSING),
            _ => return Ok(false),
        };
        if !family.is_open {
            sheet.open(self.writer, family);
        }
        let put = match (&mut *self.writer, &mut family.form) {
            (Writer::Protobuf(writer), Form::Protobuf(form)) => {
                writer.point(form, &point.labels, extra, datum, end)?
            }
            (Writer::Json(writer), Form::Json(form)) => {
                writer.point(form, &point.labels, extra, datum, end)?
            }
            _ => unreachable!("a form is made for its writer"),
        };
        sheet.points += u64::from(put);
        family.written += u64::from(put);
        Ok(put)
    }
}

fn extra(point: &Point<'_>) -> Extra<'static> {
    Extra {
        is_overflow: point.is_overflow,
        state: None,
    }
}

/// Writes in one of the encodings.
#[expect(clippy::large_enum_variant, reason = "there is one for each reader")]
pub(super) enum Writer {
    Protobuf(Protobuf),
    Json(Json),
}

impl Writer {
    pub(super) fn new(encoding: Encoding, resource: &Resource) -> Self {
        match encoding {
            Encoding::Protobuf => Writer::Protobuf(Protobuf::new(resource)),
            Encoding::Json => Writer::Json(Json::new(resource)),
        }
    }

    /// Forgets a request that is not finished, and gives its memory back.
    pub(super) fn rest(&mut self) {
        match self {
            Writer::Protobuf(writer) => writer.rest(),
            Writer::Json(writer) => writer.rest(),
        }
    }

    fn open_request(&mut self) {
        match self {
            Writer::Protobuf(writer) => writer.open_request(),
            Writer::Json(writer) => writer.open_request(),
        }
    }

    fn open_scope(&mut self, scope: Option<&Scope>) {
        match self {
            Writer::Protobuf(writer) => writer.open_scope(scope),
            Writer::Json(writer) => writer.open_scope(scope),
        }
    }

    fn close_scope(&mut self, scope: Option<&Scope>) {
        match self {
            Writer::Protobuf(writer) => writer.close_scope(scope),
            Writer::Json(writer) => writer.close_scope(scope),
        }
    }

    fn open_family(&mut self, form: &Form) {
        match (self, form) {
            (Writer::Protobuf(writer), Form::Protobuf(form)) => writer.open_family(form),
            (Writer::Json(writer), Form::Json(form)) => writer.open_family(form),
            _ => unreachable!("a form is made for its writer"),
        }
    }

    fn close_family(&mut self, form: &Form) {
        match (self, form) {
            (Writer::Protobuf(writer), Form::Protobuf(form)) => writer.close_family(form),
            (Writer::Json(writer), Form::Json(form)) => writer.close_family(form),
            _ => unreachable!("a form is made for its writer"),
        }
    }

    fn close_request(&mut self, used: Option<Bytes>) -> Bytes {
        match self {
            Writer::Protobuf(writer) => writer.close_request(used),
            Writer::Json(writer) => writer.close_request(),
        }
    }
}
