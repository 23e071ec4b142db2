//! Tests of pages: their chunks, compression, and sources that fail.

use std::io::Read as _;
use std::sync::Arc;

use barograph_encode::prometheus::{
    Compression, Config, Escaping, Exposition, Format, Negotiated, Reason,
};
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, Point, Source};

use crate::parser::{Dialect, Names, parse};
use crate::table::{Cell, Family, Table};

fn exposition(sources: impl IntoIterator<Item = Arc<dyn Source>>) -> Exposition {
    Exposition::new(Config::new(), &Resource::new(), sources)
}

fn many(series: usize) -> Table {
    let mut descriptor = Descriptor::new("many", Kind::Counter);
    descriptor.label_names = ["number".into(), "square".into()].into();
    let mut family = Family::new(descriptor);
    family.promises_unique_labels = true;
    for i in 0..series {
        family = family.with_values(&[&i.to_string(), &(i * i).to_string()], Cell::U64(i as u64));
    }
    Table {
        families: vec![family],
    }
}

#[test]
fn a_page_comes_in_chunks_and_has_the_same_content_compressed() {
    let exposition = exposition([Arc::new(many(20_000)) as Arc<dyn Source>]);
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Underscores);
    let chunks: Vec<_> = exposition.page(negotiated).collect();
    assert!(chunks.len() > 5, "{}", chunks.len());
    assert!(
        chunks
            .iter()
            .all(|chunk| (1..=64 * 1024).contains(&chunk.len()))
    );
    let plain = chunks.concat();

    let compressed = exposition.page(negotiated.with_compression(Compression::Gzip));
    let compressed: Vec<u8> = compressed.flatten().collect();
    assert!(compressed.len() < plain.len() / 2);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*compressed)
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == plain);

    let families = parse(
        std::str::from_utf8(&plain).unwrap(),
        Dialect::OpenMetrics,
        Names::Legacy,
    )
    .unwrap();
    assert_eq!(families[0].samples.len(), 20_000);
    for (i, sample) in families[0].samples.iter().enumerate() {
        assert_eq!(sample.label("square"), Some(&*(i * i).to_string()));
        assert_eq!(sample.value, i as f64);
    }
}

#[test]
fn a_page_without_families_is_valid() {
    assert_eq!(exposition([]).page(Negotiated::default()).text(), "");
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Underscores);
    assert_eq!(exposition([]).page(negotiated).text(), "# EOF\n");
}

/// A source that fails in one of the possible ways.
struct Failing(&'static str);

impl Source for Failing {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        fail(self.0 == "collect");
        vec![Arc::new(Failing(self.0))]
    }
}

impl FamilyView for Failing {
    fn descriptor(&self) -> Arc<Descriptor> {
        fail(self.0 == "descriptor");
        Arc::new(Descriptor::new("failing", Kind::Gauge))
    }

    fn read(&self, from: usize, _show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        fail(self.0 == "read");
        Some(from)
    }
}

fn fail(now: bool) {
    if now {
        // Bypasses the panic hook, which would print it.
        std::panic::resume_unwind(Box::new("a source that panics"));
    }
}

#[test]
fn a_source_that_fails_does_not_affect_the_others() {
    for (how, reason) in [
        ("collect", Reason::SourcePanicked),
        ("descriptor", Reason::FamilyPanicked),
        ("read", Reason::FamilyPanicked),
        ("stuck", Reason::Stuck),
    ] {
        let sources: [Arc<dyn Source>; 2] = [Arc::new(Failing(how)), Arc::new(many(5))];
        let mut page = exposition(sources).page(Negotiated::default());
        let text = page.text();
        let families = parse(&text, Dialect::Text, Names::Legacy).unwrap();
        assert_eq!(families.len(), 1, "{how}");
        assert_eq!(families[0].samples.len(), 5);
        assert_eq!(page.report().reasons().collect::<Vec<_>>(), [(reason, 1)]);
        assert_eq!(page.report().left_out()[0].source, Some(0));
    }
}

#[test]
fn points_read_before_a_panic_are_on_the_page() {
    let mut table = many(10);
    table.families[0].panics_at = Some(7);
    let mut page = exposition([Arc::new(table) as Arc<dyn Source>]).page(Negotiated::default());
    let text = page.text();
    let families = parse(&text, Dialect::Text, Names::Legacy).unwrap();
    assert_eq!(families[0].samples.len(), 7);
    assert_eq!(
        page.report().reasons().collect::<Vec<_>>(),
        [(Reason::FamilyPanicked, 1)]
    );
}

#[test]
fn a_family_without_a_name_is_left_out() {
    let mut table = many(1);
    let nameless = Family::new(Descriptor::new("", Kind::Gauge)).with_pairs(&[], Cell::U64(1));
    table.families.insert(0, nameless);
    let mut page = exposition([Arc::new(table) as Arc<dyn Source>]).page(Negotiated::default());
    let text = page.text();
    let families = parse(&text, Dialect::Text, Names::Legacy).unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(
        page.report().reasons().collect::<Vec<_>>(),
        [(Reason::Nameless, 1)]
    );
}
