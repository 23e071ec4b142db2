//! Tests with inputs for which other libraries write broken pages.

use std::sync::Arc;

use barograph_encode::prometheus::{
    Config, Escaping, Exposition, Format, Negotiated, Page, Reason, Rejection,
};
use barograph_model::descriptor::{Descriptor, Kind, Scope};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::parser::{Dialect, Names, parse};
use crate::table::{Cell, Family, Table};

fn page(sources: Vec<Table>) -> (String, Page) {
    let sources: Vec<Arc<dyn Source>> = sources
        .into_iter()
        .map(|table| Arc::new(table) as Arc<dyn Source>)
        .collect();
    let exposition = Exposition::new(Config::new(), &Resource::new(), sources);
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Underscores);
    parse(
        &exposition.page(negotiated).text(),
        Dialect::OpenMetrics,
        Names::Legacy,
    )
    .unwrap();
    let mut page = exposition.page(Negotiated::default());
    let text = page.text();
    parse(&text, Dialect::Text, Names::Legacy).unwrap();
    (text, page)
}

fn table(families: Vec<Family>) -> Table {
    Table { families }
}

fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

fn family(name: &str, unit: &str, kind: Kind) -> Family {
    let mut descriptor = Descriptor::new(name, kind);
    descriptor.unit = unit.into();
    Family::new(descriptor)
}

#[test]
fn no_suffix_is_doubled_and_no_ratio_is_invented() {
    for (name, unit, expected) in [
        ("requests_total", "", "requests_total 1"),
        ("io_bytes_total", "By", "io_bytes_total 1"),
        ("jobs", "1", "jobs_total 1"),
        ("a..b--c", "", "a_b_c_total 1"),
    ] {
        let one = family(name, unit, Kind::Counter).with_pairs(&[], Cell::U64(1));
        let (text, page) = page(vec![table(vec![one])]);
        assert_eq!(samples(&text), [expected]);
        assert!(page.report().is_clean());
    }
    let bounds = barograph_model::bounds::Bounds::new([1.0]).unwrap();
    let histogram = family("http_request_duration_seconds", "s", Kind::Histogram).with_pairs(
        &[],
        Cell::Buckets {
            bounds,
            buckets: vec![1, 0],
            sum: 0.5,
        },
    );
    let (text, _) = page(vec![table(vec![histogram])]);
    assert!(
        text.contains("\nhttp_request_duration_seconds_count 1\n"),
        "{text}"
    );
}

#[test]
fn invalid_label_names_become_valid() {
    let one = family("labelled", "", Kind::Counter).with_pairs(
        &[("1st", "x"), ("k:colon", "y"), ("with space", "z")],
        Cell::U64(1),
    );
    let (text, _) = page(vec![table(vec![one])]);
    assert_eq!(
        samples(&text),
        [r#"labelled_total{_1st="x",k_colon="y",with_space="z"} 1"#]
    );
}

#[test]
fn one_instrument_in_two_scopes_is_on_the_page_once_and_reported() {
    let scoped = |scope: &str, value| {
        let mut family = family("shared", "", Kind::Counter).with_pairs(&[], Cell::U64(value));
        family.descriptor.scope = Some(Arc::new(Scope {
            name: scope.into(),
            ..Scope::default()
        }));
        family
    };
    let (text, page) = page(vec![table(vec![scoped("one", 1), scoped("two", 2)])]);
    assert_eq!(samples(&text), [r#"shared_total{otel_scope_name="one"} 1"#]);
    assert_eq!(
        page.report().reasons().collect::<Vec<_>>(),
        [(Reason::NameTaken, 1)]
    );
}

#[test]
fn two_registries_with_one_name_are_merged_into_a_valid_page() {
    let one = |value| family("dup", "", Kind::Counter).with_pairs(&[], Cell::U64(value));
    let (text, page) = page(vec![table(vec![one(1)]), table(vec![one(2)])]);
    assert_eq!(samples(&text), ["dup_total 1"]);
    let left_out = &page.report().left_out()[0];
    assert_eq!(
        (left_out.source, left_out.reason),
        (Some(1), Reason::NameTaken)
    );
    assert_eq!(
        left_out.to_string(),
        r#"family "dup" is left out: its name is taken by "dup""#
    );
}

#[test]
fn a_duplicate_series_is_written_once_and_reported() {
    let twice = family("dup", "", Kind::Counter)
        .with_pairs(&[], Cell::U64(1))
        .with_pairs(&[], Cell::U64(2));
    let (text, page) = page(vec![table(vec![twice])]);
    assert_eq!(samples(&text), ["dup_total 1"]);
    assert_eq!(
        page.report().rejections().collect::<Vec<_>>(),
        [(Rejection::Duplicate, 1, "dup")]
    );
}

#[test]
fn help_with_a_line_feed_and_names_with_spaces_stay_on_their_line() {
    let mut one = family("with space", "", Kind::Gauge).with_pairs(&[], Cell::U64(1));
    one.descriptor.help = "two\nlines".into();
    let (text, _) = page(vec![table(vec![one])]);
    assert_eq!(
        text,
        "# HELP with_space two\\nlines\n# TYPE with_space gauge\nwith_space 1\n"
    );
}

#[test]
fn labels_with_the_same_translated_name_are_one_label() {
    let one = family("x", "", Kind::Gauge).with_pairs(&[("a.b", "1"), ("a_b", "2")], Cell::U64(1));
    let (text, _) = page(vec![table(vec![one])]);
    assert_eq!(samples(&text), [r#"x{a_b="1;2"} 1"#]);
}

#[test]
fn a_name_that_a_family_of_another_kind_reserved_is_taken() {
    for (first, second) in [
        (("x.y", Kind::Counter), ("x_y", Kind::Gauge)),
        (("foo", Kind::Counter), ("foo_created", Kind::Gauge)),
        (("foo_created", Kind::Gauge), ("foo", Kind::Counter)),
        (("foo", Kind::Counter), ("foo_total", Kind::Gauge)),
        (("foo", Kind::Histogram), ("foo_bucket", Kind::Gauge)),
        (("foo", Kind::Histogram), ("foo_sum", Kind::Gauge)),
        (("foo_count", Kind::Gauge), ("foo", Kind::Histogram)),
        (("foo", Kind::Info), ("foo_info", Kind::Gauge)),
        (("foo", Kind::Info), ("foo", Kind::Unknown)),
    ] {
        let one = |(name, kind): (&str, Kind)| {
            let bounds = barograph_model::bounds::Bounds::new([1.0]).unwrap();
            family(name, "", kind).with_pairs(
                &[],
                match kind {
                    Kind::Histogram => Cell::Buckets {
                        bounds,
                        buckets: vec![0, 0],
                        sum: 0.0,
                    },
                    Kind::Info => Cell::Info,
                    _ => Cell::U64(1),
                },
            )
        };
        let (_, page) = page(vec![table(vec![one(first), one(second)])]);
        let left_out = page.report().left_out();
        assert_eq!(left_out.len(), 1, "{first:?} {second:?}");
        assert_eq!(
            (&*left_out[0].family, &*left_out[0].by),
            (second.0, first.0)
        );
        assert_eq!(page.report().families(), 1);
    }
}
