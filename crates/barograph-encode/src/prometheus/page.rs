//! Pages, which are written while they are read.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::Labels;
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, Point, Source, Value};
use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::block_copy::CHUNK;
use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::config::{Config, Switch};
use crate::prometheus::family::FamilyWriter;
use crate::prometheus::line::Style;
use crate::prometheus::name_resolver::{NameResolver, ResolvedFamily};
use crate::prometheus::negotiate::{Compression, Negotiated};
use crate::prometheus::number::Dialect;
use crate::report::Report;
use crate::walk::{self, FamilyReader, Progress};

/// The sources and the configuration from which pages are made.
///
/// Clones share the sources.
///
/// ```
/// use std::sync::Arc;
/// use barograph_encode::prometheus::{Config, Exposition, Negotiated};
/// use barograph_model::resource::Resource;
///
/// let resource = Resource::new().with("service.name", "shop");
/// let exposition = Exposition::new(Config::new(), &resource, []);
/// let mut page = exposition.page(Negotiated::default());
/// assert_eq!(
///     page.text(),
///     "# HELP target_info What this process is.\n\
///      ## TYPE target_info gauge\n\
///      target_info{service_name=\"shop\"} 1\n"
/// );
/// assert!(page.report().is_clean());
/// ```
#[derive(Clone)]
pub struct Exposition {
    config: Config,
    target: Option<Arc<TargetInfo>>,
    sources: Vec<Arc<dyn Source>>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition")
            .field("config", &self.config)
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

impl Exposition {
    /// Creates an exposition of these sources, in this order.
    pub fn new(
        config: Config,
        resource: &Resource,
        sources: impl IntoIterator<Item = Arc<dyn Source>>,
    ) -> Self {
        let shows_target = config.target_info == Switch::On && resource.iter().next().is_some();
        Exposition {
            config,
            target: shows_target.then(|| Arc::new(TargetInfo::new(resource))),
            sources: sources.into_iter().collect(),
        }
    }

    /// Begins a page.
    ///
    /// The families of all sources are collected here. Their series are read together with the
    /// page: no lock is held between two chunks, however slowly they are read.
    pub fn page(&self, negotiated: Negotiated) -> Page {
        let mut report = Report::default();
        let translation = self.config.translation;
        let escaping = translation.escaping(negotiated.escaping());
        let mut names = NameResolver::new(translation, escaping);
        if let Some(target) = &self.target {
            let target = FamilyReader::new(None, Arc::<TargetInfo>::clone(target), &mut report);
            target
                .into_iter()
                .for_each(|target| names.add(target, &mut report));
        }
        walk::collect(&self.sources, &mut report, |family, report| {
            names.add(family, report)
        });
        let style = Style {
            dialect: match negotiated.format().is_open_metrics() {
                true => Dialect::OpenMetrics,
                false => Dialect::Text,
            },
            translation,
            escaping,
            created: self.config.created_lines == Switch::On,
        };
        Page {
            style,
            families: names.finish().into_iter(),
            current: None,
            out: ChunkWriter::new(),
            ready: Ready::new(negotiated.compression()),
            report,
            state: State::Families,
        }
    }
}

/// An iterator over the chunks of one page, about 64 KiB each.
///
/// Each call of `next` does the work for one chunk, and no lock is held in between. Dropping an
/// unfinished page is cheap.
pub struct Page {
    style: Style,
    families: std::vec::IntoIter<ResolvedFamily>,
    current: Option<Current>,
    out: ChunkWriter,
    ready: Ready,
    report: Report,
    state: State,
}

/// The family that is being read.
struct Current {
    reader: FamilyReader,
    writer: FamilyWriter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Families,
    Ended,
}

impl Page {
    /// Returns the report of what was left out so far; complete at the end of the page.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads the rest of an uncompressed page into a string.
    pub fn text(&mut self) -> String {
        let mut text = Vec::new();
        for chunk in self {
            text.extend_from_slice(&chunk);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads one batch of series.
    fn read_batch(&mut self) {
        let Some(current) = &mut self.current else {
            return self.begin_family();
        };
        let Current { reader, writer } = current;
        let out = &mut self.out;
        // A point is written completely before the source continues, so a panic of the source cuts
        // no line.
        let progress = reader.read_batch(&mut self.report, |report, point| {
            writer.point(out, report, point);
        });
        if progress == Progress::End {
            writer.finish(&mut self.report);
            self.current = None;
        }
    }

    /// Begins the next family, or ends the page if there is none.
    fn begin_family(&mut self) {
        let Some(ResolvedFamily { reader, name }) = self.families.next() else {
            if self.style.dialect == Dialect::OpenMetrics {
                self.out.text(b"# EOF\n");
            }
            self.out.finish();
            self.state = State::Ended;
            return;
        };
        let descriptor = Arc::clone(reader.descriptor());
        self.current = Some(Current {
            writer: FamilyWriter::new(descriptor, &name, self.style, reader.uniqueness()),
            reader,
        });
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.ready.pop() {
                return Some(chunk);
            }
            match self.state {
                State::Families => self.read_batch(),
                State::Ended => return self.ready.finish(),
            }
            self.ready.take(&mut self.out);
        }
    }
}

impl std::iter::FusedIterator for Page {}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("style", &self.style)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// The chunks that are ready to be returned.
struct Ready {
    chunks: std::collections::VecDeque<Bytes>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Ready {
    fn new(compression: Compression) -> Self {
        let fast = flate2::Compression::fast();
        Ready {
            chunks: Default::default(),
            gzip: match compression {
                Compression::Gzip => Some(GzEncoder::new(Vec::new(), fast)),
                Compression::Identity => None,
            },
        }
    }

    fn take(&mut self, out: &mut ChunkWriter) {
        for mut chunk in out.take_full() {
            let Some(gzip) = &mut self.gzip else {
                chunk.shrink_to_fit();
                self.chunks.push_back(chunk.into());
                continue;
            };
            gzip.write_all(&chunk)
                .expect("writing into memory does not fail");
            out.reuse(chunk);
            if gzip.get_ref().len() >= CHUNK {
                let mut compressed = std::mem::take(gzip.get_mut());
                compressed.shrink_to_fit();
                self.chunks.push_back(compressed.into());
            }
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.chunks.pop_front()
    }

    /// Returns the remaining compressed bytes, once, after all chunks were taken.
    fn finish(&mut self) -> Option<Bytes> {
        let rest = self.gzip.take()?;
        let rest = rest.finish().expect("writing into memory does not fail");
        Some(rest.into())
    }
}

/// The resource as a family with one series.
struct TargetInfo {
    descriptor: Arc<Descriptor>,
}

impl TargetInfo {
    fn new(resource: &Resource) -> Self {
        // A name that every translation leaves unchanged.
        let mut descriptor = Descriptor::new("target_info", Kind::Info);
        descriptor.help = "What this process is.".into();
        descriptor.constant_labels = resource
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        TargetInfo {
            descriptor: Arc::new(descriptor),
        }
    }
}

impl FamilyView for TargetInfo {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        show(&Point::new(0, Labels::EMPTY, Value::Info));
        None
    }
}
