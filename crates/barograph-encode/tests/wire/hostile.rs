//! Property tests: whatever the sources supply, the page is valid.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
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
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::parser::{Dialect, Names, parse};
use crate::table::{Cell, Family, Row, RowLabels, Table};

/// Few enough names to collide often, each of them problematic in some format.
fn name() -> impl Strategy<Value = Box<str>> {
    let known = select(vec![
        "",
        "a",
        "a.b",
        "a_b",
        "a:b",
        "a-b",
        "a__b",
        "_",
        "__",
        "__name__",
        "_name_",
        "1",
        "1a",
        "le",
        "quantile",
        "otel.metric.overflow",
        "otel_metric_overflow",
        "otel_scope_name",
        "x",
        "x_total",
        "x_created",
        "x_bucket",
        "x_sum",
        "x_count",
        "x_info",
        "x.total",
        "target",
        "target_info",
        "total",
        "_total",
        "x_seconds",
        "seconds",
        "x_seconds_total",
        "größe",
        "\n",
        "a\nb",
        "\0",
        "a\0b",
        "\u{fffd}",
        "\"",
        "\\",
        "a\"b",
        "{",
        "}",
        "U__x",
        "a\u{85}",
        "\u{2028}",
        "é",
        "ö",
        "x{y=\"z\"} 1\n# EOF",
    ]);
    prop_oneof![8 => known.prop_map(Into::into), 1 => any::<String>().prop_map(Into::into)]
}

fn value() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "a",
        "b",
        "true",
        "\\",
        "\"",
        "\n",
        "\0",
        "é",
        "a;b",
        ";",
        "sixteen bytes !!",
        "\u{fffd}",
        "\\n",
        "\r",
        "longer than sixteen bytes by far",
        "\u{1f600}",
        "\"} 1\nx 2",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

pub(crate) fn number() -> impl Strategy<Value = f64> {
    let known = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        9_007_199_254_740_992.0,
        1e21,
        1e16,
    ];
    prop_oneof![select(known), any::<f64>()]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    vec(number(), 0..5).prop_map(|mut bounds| {
        bounds.retain(|bound| bound.is_finite());
        bounds.iter_mut().for_each(|bound| *bound += 0.0);
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Bounds::new(bounds).expect("finite and rising")
    })
}

fn cell() -> impl Strategy<Value = Cell> {
    let bucket = prop_oneof![0..10_u64, Just(u64::MAX), any::<u64>()];
    let buckets = (bounds(), vec(bucket, 0..7), any::<bool>(), number());
    prop_oneof![
        any::<u64>().prop_map(Cell::U64),
        any::<i64>().prop_map(Cell::I64),
        number().prop_map(Cell::F64),
        buckets.prop_map(|(bounds, mut buckets, fits, sum)| {
            if fits {
                buckets.resize(bounds.buckets(), 3);
                buckets.iter_mut().for_each(|bucket| *bucket %= 1 << 50);
            }
            Cell::Buckets {
                bounds,
                buckets,
                sum,
            }
        }),
        Just(Cell::Info),
        any::<u64>().prop_map(Cell::States),
    ]
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let labels = vec((name(), value().prop_map(Into::into)), 0..3);
    let ids = (any::<u128>(), any::<u64>());
    (number(), option::of(any::<u64>()), ids, labels).prop_map(|(value, time, ids, labels)| {
        Exemplar {
            value,
            time_unix_nano: time,
            context: TraceContext::new(ids.0, ids.1, TraceFlags::SAMPLED),
            labels,
        }
    })
}

fn row(names: Vec<Box<str>>) -> impl Strategy<Value = Row> {
    let n = names.len();
    let named = names.clone();
    let pairs = || vec((name().prop_map(String::from), value()), 0..4);
    let raw = (option::of(vec(name(), 0..4)), vec(0..20_u16, 0..4), value());
    let fits: BoxedStrategy<RowLabels> = match n {
        0 => pairs().prop_map(RowLabels::Pairs).boxed(),
        _ => vec(value(), n).prop_map(RowLabels::Values).boxed(),
    };
    let labels = prop_oneof![
        8 => fits,
        1 => pairs().prop_map(RowLabels::Pairs),
        1 => vec(value(), n)
            .prop_map(move |values| RowLabels::Named(named.iter().cloned().zip(values).collect())),
        1 => raw.prop_map(|(names, mut ends, text)| {
            match &names {
                Some(names) => ends.resize(names.len(), 1),
                None => ends.truncate(ends.len() / 2 * 2),
            }
            RowLabels::Raw { names, ends, text }
        }),
    ];
    let overflow = proptest::bool::weighted(0.1);
    (
        labels,
        cell(),
        option::of(any::<u64>()),
        vec(exemplar(), 0..3),
        overflow,
    )
        .prop_map(|(labels, cell, start, exemplars, is_overflow)| Row {
            labels,
            cell,
            start,
            exemplars,
            is_overflow,
        })
}

fn kind() -> impl Strategy<Value = Kind> {
    select(vec![
        Kind::Counter,
        Kind::UpDownCounter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Info,
        Kind::StateSet,
        Kind::Unknown,
    ])
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let unit = select(vec![
        "", "1", "s", "By", "By/s", "{x}", "\n", "total", "é/\"", "seconds",
    ]);
    let pairs = || vec((name(), value().prop_map(Into::into)), 0..2);
    let scope = option::weighted(0.3, (name(), pairs()));
    let labels = (prop_oneof![Just(vec![]), vec(name(), 1..4)], pairs(), scope);
    (name(), kind(), unit, value(), labels, vec(name(), 0..4)).prop_map(
        |(name, kind, unit, help, (label_names, constant, scope), states)| {
            let mut descriptor = Descriptor::new(&name, kind);
            descriptor.unit = unit.into();
            descriptor.help = help.into();
            descriptor.label_names = label_names.into();
            descriptor.constant_labels = constant.into();
            descriptor.states = states.into();
            descriptor.scope = scope.map(|(name, attributes)| {
                Arc::new(Scope {
                    name,
                    attributes,
                    ..Scope::default()
                })
            });
            descriptor
        },
    )
}

/// Series that fit their family often enough to reach the page.
pub(crate) fn family() -> impl Strategy<Value = Family> {
    let at = option::weighted(0.1, 0..6_usize);
    (descriptor(), at).prop_flat_map(|(descriptor, panics_at)| {
        let names = descriptor.label_names.to_vec();
        let kind = descriptor.kind;
        vec((row(names), any::<u8>()), 0..6).prop_map(move |rows| {
            let mut family = Family::new(descriptor.clone());
            family.panics_at = panics_at;
            for (mut row, fit) in rows {
                if fit > 60 {
                    row.cell = fitting(kind, row.cell);
                }
                family.rows.push(row);
            }
            family.promises_unique_labels = differ(&family.rows);
            family
        })
    })
}

/// Returns true if the labels of all series differ, so that the family may guarantee it.
fn differ(rows: &[Row]) -> bool {
    let mut seen = HashSet::new();
    rows.iter().all(|row| match &row.labels {
        _ if row.is_overflow => seen.insert(None),
        RowLabels::Values(values) => seen.insert(Some(values)),
        _ => false,
    })
}

fn fitting(kind: Kind, cell: Cell) -> Cell {
    match (kind, cell) {
        (
            Kind::Histogram,
            Cell::Buckets {
                bounds,
                buckets,
                sum,
            },
        ) => Cell::Buckets {
            bounds,
            buckets,
            sum,
        },
        (Kind::Histogram, _) => {
            let bounds = Bounds::new([0.5, 1.0]).expect("rising");
            Cell::Buckets {
                bounds,
                buckets: vec![1, 2, 3],
                sum: 4.0,
            }
        }
        (Kind::Info, _) => Cell::Info,
        (Kind::StateSet, _) => Cell::States(5),
        (_, Cell::Buckets { .. } | Cell::Info | Cell::States(_)) => Cell::U64(7),
        (_, cell) => cell,
    }
}

fn page_style() -> impl Strategy<Value = (Config, Negotiated)> {
    let translation = select(vec![
        Translation::UnderscoreEscapingWithSuffixes,
        Translation::UnderscoreEscapingWithoutSuffixes,
        Translation::NoUtf8EscapingWithSuffixes,
        Translation::NoTranslation,
    ]);
    let escaping = select(vec![
        Escaping::Underscores,
        Escaping::Dots,
        Escaping::Values,
        Escaping::AllowUtf8,
    ]);
    let format = select(vec![Format::Text1_0_0, Format::OpenMetrics1_0_0]);
    let created = select(vec![Switch::On, Switch::Off]);
    (translation, escaping, format, created).prop_map(|(translation, escaping, format, created)| {
        let config = Config::new()
            .with_translation(translation)
            .with_created_lines(created);
        (config, Negotiated::new(format, escaping))
    })
}

fn dialects(negotiated: &Negotiated) -> (Dialect, Names) {
    let dialect = match negotiated.format().is_open_metrics() {
        true => Dialect::OpenMetrics,
        false => Dialect::Text,
    };
    match negotiated.escaping() {
        Escaping::AllowUtf8 => (dialect, Names::Utf8),
        _ => (dialect, Names::Legacy),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sources_make_a_valid_page(
        tables in vec(vec(family(), 0..5), 0..4),
        resource in vec((name(), value()), 0..3),
        (config, negotiated) in page_style(),
    ) {
        let resource = resource.iter().fold(Resource::new(), |r, (key, value)| r.with(key, value));
        let rows: usize = tables.iter().flatten().map(|family| family.rows.len()).sum();
        let sources = tables.into_iter().map(|families| Arc::new(Table { families }) as Arc<dyn Source>);
        let exposition = Exposition::new(config, &resource, sources);
        let mut page = exposition.page(negotiated);
        let text = page.text();
        let (dialect, names) = dialects(&negotiated);
        if let Err(why) = parse(&text, dialect, names) {
            return Err(TestCaseError::fail(format!("{why}\n{text}")));
        }
        prop_assert_eq!(exposition.page(negotiated).text(), text, "a page is the same twice");
        let rejected: u64 = page.report().rejections().map(|(_, count, _)| count).sum();
        let target = u64::from(page.report().series() > 0);
        prop_assert!(page.report().series() + rejected <= rows as u64 + target);
    }

    #[test]
    fn representable_values_are_parsed_back_unchanged(
        rows in vec((vec(value(), 3), number()), 0..40),
        help in value(),
        (config, negotiated) in page_style(),
        promised in any::<bool>(),
    ) {
        let mut descriptor = Descriptor::new("some.gauge", Kind::Gauge);
        descriptor.help = help.clone().into();
        descriptor.label_names = ["one".into(), "two".into(), "three".into()].into();
        let mut family = Family::new(descriptor);
        let nul = |text: &str| text.replace('\0', "\u{fffd}");
        let mut expected: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for (values, number) in rows {
            let as_read = values.iter().map(|value| nul(value)).collect();
            if let Entry::Vacant(entry) = expected.entry(as_read) {
                let labels = RowLabels::Values(values);
                family.rows.push(Row::new(labels, Cell::F64(number)));
                entry.insert(number);
            }
        }
        family.promises_unique_labels = promised;
        let count = family.rows.len();
        let source: Arc<dyn Source> = Arc::new(Table { families: vec![family] });
        let mut page = Exposition::new(config, &Resource::new(), [source]).page(negotiated);
        let (dialect, names) = dialects(&negotiated);
        let text = page.text();
        let families = parse(&text, dialect, names).map_err(TestCaseError::fail)?;
        prop_assert!(page.report().is_clean());
        prop_assert_eq!(families.len(), usize::from(count > 0));
        for family in &families {
            if !help.is_empty() {
                prop_assert_eq!(family.help.as_deref(), Some(&*nul(&help)));
            }
            prop_assert_eq!(family.samples.len(), count);
            for sample in &family.samples {
                let values: Vec<String> =
                    ["one", "two", "three"].iter().map(|name| sample.label(name).unwrap_or_default().into()).collect();
                let (_, number) = expected
                    .get_key_value(&values)
                    .ok_or_else(|| TestCaseError::fail(format!("{values:?}")))?;
                prop_assert!(sample.value == *number || (sample.value.is_nan() && number.is_nan()));
            }
        }
    }

    #[test]
    fn any_accept_header_leads_to_a_page(
        accept in "([a-z*/+;=,. \"\\\\0-9-]|text/plain|version=0.0.4|;q=|openmetrics|escaping=){0,40}",
        encoding in any::<String>(),
    ) {
        let negotiated =
            barograph_encode::prometheus::negotiate(Some(&accept), Some(&encoding), &Config::new());
        prop_assert!(negotiated.content_type().contains("; version="));
    }
}
