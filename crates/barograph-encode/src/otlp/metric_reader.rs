//! Reads metric sources and encodes their points as requests.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::otlp::delta_state::{DeltaState, Key};
use crate::otlp::export_cycle::{self, ExportCycle};
use crate::otlp::family::export_name;
use crate::otlp::request::{Encoding, Request, Signal};
use crate::otlp::request_builder::{EncodedRequest, Limits};
use crate::otlp::temporality::Temporalities;
use crate::report::Report;
use crate::walk;

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
/// reader.ack();
/// assert_eq!(reader.next_request(), None);
/// ```
pub struct MetricReader {
    sources: Vec<Arc<dyn Source>>,
    temporalities: Temporalities,
    resource: Resource,
    encoding: Encoding,
    limits: Limits,
    cycle: Box<dyn ExportCycle>,
    /// True from the beginning of a cycle until its last request was returned.
    is_in_cycle: bool,
    deltas: DeltaState,
    report: Report,
    hook: Box<Hook>,
    /// The timestamp of the last cycle, so that timestamps never decrease.
    last_time: u64,
    /// The request returned last.
    last_request: Option<EncodedRequest>,
}

/// A callback that takes the report of a cycle.
type Hook = dyn FnMut(&Report) + Send;

impl MetricReader {
    /// Creates a reader of these sources, with cumulative temporality and protobuf encoding.
    pub fn new(resource: &Resource, sources: impl IntoIterator<Item = Arc<dyn Source>>) -> Self {
        let encoding = Encoding::default();
        MetricReader {
            sources: sources.into_iter().collect(),
            temporalities: Temporalities::CUMULATIVE,
            resource: resource.clone(),
            encoding,
            limits: Limits::default(),
            cycle: export_cycle::new(encoding, resource),
            is_in_cycle: false,
            deltas: DeltaState::new(nanos(SystemTime::now())),
            report: Report::default(),
            hook: Box::new(|_| {}),
            last_time: 0,
            last_request: None,
        }
    }

    /// Sets the encoding of requests.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.cycle = export_cycle::new(encoding, &self.resource);
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
        self.last_request = None;
        self.report = Report::default();
        self.last_time = nanos(now).max(self.last_time);
        // If a name occurs twice in a scope, the first family keeps it.
        let (mut families, mut names) = (Vec::new(), HashSet::new());
        walk::collect(&self.sources, &mut self.report, |family, report| {
            let descriptor = family.descriptor();
            match names.insert((export_name(descriptor), descriptor.scope.clone())) {
                true => families.push(family),
                false => report.leave_out(family.name_taken(&descriptor.name)),
            }
        });
        let descriptors = families.iter().map(|family| family.descriptor());
        self.deltas.begin(descriptors.map(|descriptor| Key {
            name: export_name(descriptor).into(),
            scope: descriptor.scope.clone(),
            kind: descriptor.kind,
        }));
        self.cycle.begin(families, self.last_time, self.limits);
        self.is_in_cycle = true;
    }

    /// Returns the next request of the cycle, or `None` at its end. Reads only as many series as
    /// one request takes.
    pub fn next_request(&mut self) -> Option<Request> {
        let used = self.last_request.take().map(|request| request.body);
        if !self.is_in_cycle {
            return None;
        }
        let encoded =
            self.cycle
                .next_request(used, self.temporalities, &mut self.deltas, &mut self.report);
        let Some(encoded) = encoded else {
            self.is_in_cycle = false;
            (self.hook)(&self.report);
            return None;
        };
        let request = Request {
            signal: Signal::Metrics,
            encoding: self.encoding,
            body: encoded.body.clone(),
            items: encoded.points,
        };
        self.last_request = Some(encoded);
        Some(request)
    }

    /// Acknowledges the request returned last: it was delivered, permanently rejected, or stored,
    /// and must not be encoded again. Deltas continue from it. If it is not acknowledged, the next
    /// cycle covers its changes again.
    pub fn ack(&mut self) {
        if let Some(request) = &self.last_request {
            self.deltas.commit(&request.pending);
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
}

impl std::fmt::Debug for MetricReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricReader")
            .field("encoding", &self.encoding)
            .field("temporalities", &self.temporalities)
            .finish_non_exhaustive()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
