//! Builds the requests of an export cycle, and splits them at the limits.

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

/// A builder of the requests of one cycle.
pub(super) struct Sheet {
    /// Finished requests, oldest first.
    pub(super) ready: VecDeque<Given>,
    time: u64,
    limits: Limits,
    points: u64,
    /// The scope that is open, if any.
    scope: Option<Option<Arc<Scope>>>,
    staged: Staged,
    used: Option<Bytes>,
    /// A buffer that is reused.
    buckets: Vec<u64>,
}

/// The limits of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) points: u64,
    pub(super) bytes: usize,
}

/// The maximum number of bytes needed to close a full request.
const CLOSING: usize = 512;

/// A finished request, and the previous values to commit when it is acknowledged.
pub(super) struct Given {
    pub(super) body: Bytes,
    pub(super) points: u64,
    pub(super) staged: Staged,
}

/// A family together with its encoded parts.
pub(super) struct Family {
    descriptor: Arc<Descriptor>,
    temporality: Temporality,
    /// Its index among the families of the cycle.
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
    /// Prepares a family for writing; `number` is its index in the cycle.
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
    /// Creates a builder of requests for points at this time.
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

    /// Takes the memory of an earlier request, to reuse it for the next one.
    pub(super) fn lend(&mut self, used: Option<Bytes>) {
        self.used = used;
    }

    /// Returns a writer for the points of a family.
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

    /// Ends a family, and counts it in the report if any point was written.
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

    /// Finishes the request that is being written, if there is one.
    pub(super) fn finish(&mut self, writer: &mut Writer) {
        let Some(scope) = self.scope.take() else {
            return;
        };
        if self.points == 0 {
            // It was opened for points that were then rejected.
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

    /// Opens the request, the scope and the family as far as they are not open yet.
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

/// A writer of points.
pub(super) struct Pen<'a> {
    sheet: &'a mut Sheet,
    writer: &'a mut Writer,
    memory: &'a mut Memory,
    report: &'a mut Report,
}

impl Pen<'_> {
    /// Writes a point, or counts its rejection.
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
        // A series that began during the cycle gets its own start as its time: an earlier time now,
        // and the right start a cycle later, would look like a reset.
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
        // Checks the buckets before they are used.
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

    /// Writes a delta, whose new value is already staged.
    fn put_staged(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        datum: Datum<'_>,
    ) -> Result<(), Rejection> {
        // A full request is finished with the values staged so far, but without this one.
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

    /// Writes a point. Returns false if the request is full.
    #[inline]
    fn try_put(
        &mut self,
        family: &mut Family,
        point: &Point<'_>,
        extra: Extra<'_>,
        datum: &Datum<'_>,
    ) -> Result<bool, Rejection> {
        let sheet = &mut *self.sheet;
        // The size limit does not apply to the first point of a request.
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

/// A writer in one of the two encodings.
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

    /// Discards an unfinished request, and frees its memory.
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
