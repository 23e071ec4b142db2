//! Tests against pages in files: `tests/golden/*.prom`. `UPDATE=1` rewrites them, to be reviewed as
//! a diff.

use std::path::Path;
use std::sync::Arc;

use barograph_encode::prometheus::{
    Config, Escaping, Exposition, Format, Negotiated, Switch, Translation,
};
use barograph_model::bounds::Bounds;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::descriptor::{Descriptor, Kind, Scope};
use barograph_model::exemplar::Exemplar;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::parser::{Dialect, Names, parse};
use crate::table::{Cell, Family, Row, RowLabels, Table};

const START: u64 = 1_700_000_000_500_000_000;

fn described(name: &str, kind: Kind, unit: &str, help: &str) -> Descriptor {
    let mut descriptor = Descriptor::new(name, kind);
    descriptor.unit = unit.into();
    descriptor.help = help.into();
    descriptor
}

fn exemplar(value: f64) -> Exemplar {
    Exemplar {
        value,
        time_unix_nano: Some(1_700_000_001_250_000_000),
        context: TraceContext::new(
            0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            0xb7ad_6b71_6920_3331,
            TraceFlags::SAMPLED,
        ),
        labels: vec![],
    }
}

/// A table with one family of each kind.
fn shop() -> Table {
    let mut orders = described("shop.orders", Kind::Counter, "{order}", "Orders placed.");
    orders.label_names = ["kind".into(), "http.route".into()].into();
    orders.constant_labels = [("region".into(), "eu".into())].into();
    let mut orders = Family::new(orders)
        .with_values(&["web", "/cart"], Cell::U64(17))
        .with_values(&["web", "/say \"hi\"\\\n"], Cell::U64(u64::MAX));
    orders.promises_unique_labels = true;
    orders.rows[0].exemplars.push(exemplar(1.0));
    let mut overflow = Row::new(RowLabels::Values(vec!["".into(), "".into()]), Cell::U64(3));
    overflow.is_overflow = true;
    orders.rows.push(overflow);
    orders
        .rows
        .iter_mut()
        .for_each(|row| row.start = Some(START));

    let bounds = Bounds::new([0.005, 0.1, 1.0, 2.5, 1e6]).unwrap();
    let mut duration = described(
        "http.server.request.duration",
        Kind::Histogram,
        "s",
        "Time to answer.",
    );
    duration.label_names = ["method".into()].into();
    duration.bounds = Some(bounds.clone());
    let mut get = Row::new(
        RowLabels::Values(vec!["GET".into()]),
        Cell::Buckets {
            bounds: bounds.clone(),
            buckets: vec![1, 2, 0, 4, 0, 1],
            sum: 8.125,
        },
    );
    get.exemplars = vec![exemplar(0.05), exemplar(2.0), exemplar(3e6)];
    get.start = Some(START);
    let bounds = Bounds::new([-10.0, 0.0, 10.0]).unwrap();
    let frost = described("frost", Kind::Histogram, "Cel", "");
    let buckets = vec![1, 1, 1, 0];

    let mut version = described("build", Kind::Info, "", "What was built.");
    version.scope = Some(Arc::new(Scope {
        name: "lib".into(),
        version: "1.2".into(),
        schema_url: "".into(),
        attributes: vec![("team.id".into(), "7".into())],
    }));
    let mut feature = described("feature", Kind::StateSet, "", "");
    feature.states = ["on".into(), "off".into()].into();
    let gauges = [
        (1.5, "half"),
        (f64::NAN, "nan"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (-0.0, "zero"),
        (5e-324, "least"),
        (f64::MAX, "most"),
        (1e15, "whole"),
    ];
    let temperature = described(
        "temperature",
        Kind::Gauge,
        "Cel",
        "Line one.\nLine \\ \"two\".",
    );
    let temperature = gauges
        .iter()
        .fold(Family::new(temperature), |family, (value, at)| {
            family.with_pairs(&[("at", at)], Cell::F64(*value))
        });
    Table {
        families: vec![
            orders,
            Family::new(duration).with(get),
            Family::new(frost).with_pairs(
                &[],
                Cell::Buckets {
                    bounds,
                    buckets,
                    sum: -12.5,
                },
            ),
            temperature,
            Family::new(described(
                "queue.length",
                Kind::UpDownCounter,
                "",
                "Jobs waiting.",
            ))
            .with_pairs(&[("größe", "klein")], Cell::I64(-3)),
            Family::new(version).with_pairs(&[("version", "1.0")], Cell::Info),
            Family::new(feature).with_pairs(&[("flag", "x")], Cell::States(0b10)),
            Family::new(described("foreign", Kind::Unknown, "", ""))
                .with_pairs(&[], Cell::F64(0.25)),
            Family::new(described("never.shown", Kind::Gauge, "", "")),
        ],
    }
}

#[track_caller]
fn check(file: &str, config: Config, negotiated: Negotiated) {
    let resource = Resource::new()
        .with("service.name", "shop")
        .with("service.instance.id", "7f3c");
    let exposition = Exposition::new(config, &resource, [Arc::new(shop()) as Arc<dyn Source>]);
    let mut page = exposition.page(negotiated);
    let text = page.text();
    assert!(page.report().is_clean(), "{:?}", page.report());
    let dialect = match negotiated.format().is_open_metrics() {
        true => Dialect::OpenMetrics,
        false => Dialect::Text,
    };
    let names = match negotiated.escaping() {
        Escaping::AllowUtf8 => Names::Utf8,
        _ => Names::Legacy,
    };
    parse(&text, dialect, names).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == golden,
        "{file} differs, UPDATE=1 writes it anew:\n{text}"
    );
}

#[test]
fn text() {
    let negotiated = Negotiated::new(Format::Text0_0_4, Escaping::Underscores);
    check("text.prom", Config::new(), negotiated);
}

#[test]
fn open_metrics() {
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::AllowUtf8);
    check("open_metrics.prom", Config::new(), negotiated);
}

#[test]
fn open_metrics_with_created_lines() {
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Underscores);
    let config = Config::new().with_created_lines(Switch::On);
    check("open_metrics_created.prom", config, negotiated);
}

#[test]
fn utf8_names_with_suffixes() {
    let config = Config::new().with_translation(Translation::NoUtf8EscapingWithSuffixes);
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::AllowUtf8);
    check("open_metrics_utf8.prom", config.clone(), negotiated);
    let negotiated = Negotiated::new(Format::Text1_0_0, Escaping::AllowUtf8);
    check("text_utf8.prom", config, negotiated);
}

#[test]
fn untranslated_names() {
    let config = Config::new()
        .with_translation(Translation::NoTranslation)
        .with_target_info(Switch::Off);
    for (file, escaping) in [
        ("text_untranslated_underscores.prom", Escaping::Underscores),
        ("text_untranslated_dots.prom", Escaping::Dots),
        ("text_untranslated_values.prom", Escaping::Values),
    ] {
        check(
            file,
            config.clone(),
            Negotiated::new(Format::Text1_0_0, escaping),
        );
    }
    let negotiated = Negotiated::new(Format::OpenMetrics1_0_0, Escaping::Values);
    check("open_metrics_untranslated_values.prom", config, negotiated);
}
