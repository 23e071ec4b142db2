//! Reads metric sources and encodes their points as requests.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, Source};

use crate::otlp::delta::{Key, Memory};
use crate::otlp::request::{Encoding, Request, Signal};
use crate::otlp::sheet::{Family, Given, Limits, Sheet, Writer};
use crate::otlp::temporality::Temporalities;
use crate::report::{LeftOut, Reason, Report};

/// An encoder that turns the points of metric sources into requests, export cycle by export cycle,
/// for one receiver.
///
/// Readers are independent of each other: reading changes no state that others see. With delta
/// temporality, a reader stores its own previous values.
///
/// ```
/// use std::sync::Arc;
/// use std::time::SystemTime;
/// use barograph_encode::otlp::{Encoding, MetricReader};
/// use barograph_model::descriptor::{Descriptor, Kind};
/// use barograph_model::label::Labels;
/// use barograph_model::resource::Resource;
/// use barograph_model::snapshot::{FamilyView, Point, Source, Value};
///
/// struct Uptime;
///
/// impl Source for Uptime {
///     fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
///         vec![Arc::new(Uptime)]
///     }
/// }
///
/// impl FamilyView for Uptime {
///     fn descriptor(&self) -> Arc<Descriptor> {
///         Arc::new(Descriptor::new("process.uptime", Kind::Gauge))
///     }
///     fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
///         show(&Point::new(0, Labels::EMPTY, Value::F64(1.5)));
///         None
///     }
/// }
///
/// let resource = Resource::new().with("service.name", "shop");
/// let mut reader = MetricReader::new(&resource, [Arc::new(Uptime) as Arc<dyn Source>])
///     .with_encoding(Encoding::Json);
/// reader.begin(SystemTime::now());
/// let request = reader.next_request().expect("there is a point");
/// assert_eq!(request.items, 1);
/// assert!(request.body.starts_with(br#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name""#));
/// reader.settle();
/// assert_eq!(reader.next_request(), None);
/// ```
pub struct MetricReader {
    sources: Vec<Arc<dyn Source>>,
    temporalities: Temporalities,
    writer: Writer,
    resource: Resource,
    encoding: Encoding,
    limits: Limits,
    memory: Memory,
    round: Option<Round>,
    report: Report,
    hook: Box<Hook>,
    /// The timestamp of the last cycle, so that timestamps never decrease.
    last_time: u64,
    /// The request returned last.
    given: Option<Given>,
}

/// A callback that takes the report of a cycle.
type Hook = dyn FnMut(&Report) + Send;

/// The maximum number of points in a request: the batch size that OTLP receivers are known to
/// accept.
const POINTS: u64 = 10_000;
/// The maximum size of a request: gRPC servers accept messages of 4 MiB by default.
const BYTES: usize = 4 << 20;

/// The state of an export cycle in progress.
struct Round {
    families: std::iter::Enumerate<std::vec::IntoIter<Placed>>,
    current: Option<Current>,
    sheet: Sheet,
}

struct Placed {
    view: Arc<dyn FamilyView>,
    descriptor: Arc<Descriptor>,
    is_unique: bool,
    source: usize,
}

struct Current {
    placed: Placed,
    family: Family,
    cursor: usize,
}

impl MetricReader {
    /// Creates a reader of these sources, with cumulative temporality and protobuf encoding.
    pub fn new(resource: &Resource, sources: impl IntoIterator<Item = Arc<dyn Source>>) -> Self {
        let born = nanos(SystemTime::now());
        MetricReader {
            sources: sources.into_iter().collect(),
            temporalities: Temporalities::CUMULATIVE,
            writer: Writer::new(Encoding::Protobuf, resource),
            resource: resource.clone(),
            encoding: Encoding::Protobuf,
            limits: Limits {
                points: POINTS,
                bytes: BYTES,
            },
            memory: Memory::new(born),
            round: None,
            report: Report::default(),
            hook: Box::new(|_| {}),
            last_time: 0,
            given: None,
        }
    }

    /// Sets the encoding of requests.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.writer = Writer::new(encoding, &self.resource);
        self.encoding = encoding;
        self
    }

    /// Sets the temporalities.
    #[must_use]
    pub fn with_temporalities(mut self, temporalities: Temporalities) -> Self {
        self.temporalities = temporalities;
        self
    }

    /// Sets a hook that is called with the report of each cycle at its end.
    #[must_use]
    pub fn with_report_hook(mut self, hook: impl FnMut(&Report) + Send + 'static) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Sets the maximum number of data points in a request: 10,000 by default, at least one.
    #[must_use]
    pub fn with_points_per_request(mut self, points: u64) -> Self {
        self.limits.points = points.max(1);
        self
    }

    /// Sets the size in bytes that an uncompressed request stays below: 4 MiB by default. A request
    /// always holds at least one point, however large that is.
    #[must_use]
    pub fn with_bytes_per_request(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Begins an export cycle: collects the families of all sources. Callbacks run here.
    ///
    /// Requests that remain from the previous cycle are discarded.
    pub fn begin(&mut self, now: SystemTime) {
        self.given = None;
        self.writer.rest();
        self.report = Report::default();
        self.last_time = nanos(now).max(self.last_time);
        let families = self.gather();
        let keys = families.iter().map(|placed| Key {
            name: name(&placed.descriptor).into(),
            scope: placed.descriptor.scope.clone(),
            kind: placed.descriptor.kind,
        });
        self.memory.begin(keys);
        self.round = Some(Round {
            families: families.into_iter().enumerate(),
            current: None,
            sheet: Sheet::new(self.last_time, self.limits),
        });
    }

    /// Returns the next request of the cycle, or `None` at its end. Reads only as many series as
    /// one request takes.
    pub fn next_request(&mut self) -> Option<Request> {
        let used = self.given.take().map(|given| given.body);
        let mut round = self.round.take()?;
        round.sheet.lend(used);
        while round.sheet.ready.is_empty() && self.step(&mut round) {}
        let Some(given) = round.sheet.ready.pop_front() else {
            self.writer.rest();
            (self.hook)(&self.report);
            return None;
        };
        self.round = Some(round);
        let request = Request {
            signal: Signal::Metrics,
            encoding: self.encoding,
            body: given.body.clone(),
            items: given.points,
        };
        self.given = Some(given);
        Some(request)
    }

    /// Acknowledges the request returned last: it was delivered, permanently rejected, or stored,
    /// and must not be encoded again. Deltas continue from it. If it is not acknowledged, the next
    /// cycle covers its changes again.
    pub fn settle(&mut self) {
        if let Some(given) = &self.given {
            self.memory.commit(&given.staged);
        }
    }

    /// Returns the temporalities of this reader.
    pub fn temporalities(&self) -> Temporalities {
        self.temporalities
    }

    /// Returns the report of the current cycle so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Collects all families. If a name occurs twice in a scope, the first family keeps it.
    fn gather(&mut self) -> Vec<Placed> {
        let mut placed: Vec<Placed> = Vec::new();
        let mut taken = HashSet::new();
        let mut leave_out = |source, family: &str, by: &str, reason| {
            self.report.leave_out(LeftOut {
                source: Some(source),
                family: family.into(),
                by: by.into(),
                reason,
            });
        };
        for (source, from) in self.sources.iter().enumerate() {
            let Ok(views) = catch_unwind(AssertUnwindSafe(|| from.collect())) else {
                leave_out(source, "", "", Reason::SourcePanicked);
                continue;
            };
            for view in views {
                let described = catch_unwind(AssertUnwindSafe(|| {
                    (view.descriptor(), view.labels_are_unique())
                }));
                let Ok((descriptor, is_unique)) = described else {
                    leave_out(source, "", "", Reason::FamilyPanicked);
                    continue;
                };
                if descriptor.name.is_empty() {
                    leave_out(source, "", "", Reason::Nameless);
                    continue;
                }
                if !taken.insert((name(&descriptor), descriptor.scope.clone())) {
                    leave_out(
                        source,
                        &descriptor.name,
                        &descriptor.name,
                        Reason::NameTaken,
                    );
                    continue;
                }
                placed.push(Placed {
                    view,
                    descriptor,
                    is_unique,
                    source,
                });
            }
        }
        placed
    }

    /// Reads one batch of series. Returns false at the end of the cycle, when all requests are
    /// ready.
    fn step(&mut self, round: &mut Round) -> bool {
        if round.current.is_none() {
            let Some((number, placed)) = round.families.next() else {
                round.sheet.finish(&mut self.writer);
                return false;
            };
            let descriptor = &placed.descriptor;
            let temporality = self
                .temporalities
                .of(descriptor.kind, descriptor.is_observable);
            let family = Family::new(
                &self.writer,
                descriptor,
                &name(descriptor),
                temporality,
                placed.is_unique,
                number,
            );
            round.current = Some(Current {
                placed,
                family,
                cursor: 0,
            });
        }
        let Some(current) = &mut round.current else {
            return false;
        };
        let Current {
            placed,
            family,
            cursor,
        } = current;
        let mut pen = round
            .sheet
            .pen(&mut self.writer, &mut self.memory, &mut self.report);
        let read = catch_unwind(AssertUnwindSafe(|| {
            placed
                .view
                .read(*cursor, &mut |point| pen.point(family, point))
        }));
        let problem = match read {
            Ok(Some(next)) if next > *cursor => {
                *cursor = next;
                return true;
            }
            Ok(Some(_)) => Some(Reason::Stuck),
            Ok(None) => None,
            Err(_) => Some(Reason::FamilyPanicked),
        };
        if let Some(reason) = problem {
            self.report.leave_out(LeftOut {
                source: Some(placed.source),
                family: placed.descriptor.name.clone(),
                by: "".into(),
                reason,
            });
        }
        round
            .sheet
            .end_family(&mut self.writer, family, &mut self.report);
        round.current = None;
        true
    }
}

impl std::fmt::Debug for MetricReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricReader")
            .field("encoding", &self.encoding)
            .field("temporalities", &self.temporalities)
            .finish_non_exhaustive()
    }
}

/// Returns the name to export: that of an info metric ends in `_info`, as it does on a Prometheus
/// page.
fn name(descriptor: &Descriptor) -> String {
    let name = &*descriptor.name;
    match descriptor.kind {
        Kind::Info if !name.ends_with("_info") => format!("{name}_info"),
        _ => name.into(),
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
