//! Any source makes a page that a strict parser accepts, and that has the source's values.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use barograph_encode::prometheus::{
    Config, Escaping, Exposition, Format, Negotiated, Switch, Translation,
};
use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use libfuzzer_sys::fuzz_target;

use parser::{Dialect, Names, parse};
use table::{Cell, Family, Row, RowLabels, Table};

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../crates/barograph-encode/tests/wire/parser.rs"]
mod parser;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../crates/barograph-encode/tests/wire/table.rs"]
mod table;

#[derive(Arbitrary, Debug)]
struct Input {
    style: u8,
    resource: Vec<(String, String)>,
    families: Vec<InputFamily>,
}

#[derive(Arbitrary, Debug)]
struct InputFamily {
    name: String,
    help: String,
    unit: String,
    kind: u8,
    label_names: Vec<String>,
    constant_labels: Vec<(String, String)>,
    states: Vec<String>,
    rows: Vec<InputRow>,
}

#[derive(Arbitrary, Debug)]
struct InputRow {
    labels: InputLabels,
    cell: InputCell,
    start: Option<u64>,
    is_overflow: bool,
}

#[derive(Arbitrary, Debug)]
enum InputLabels {
    Values(Vec<String>),
    Pairs(Vec<(String, String)>),
    Raw(Vec<u16>, String),
}

#[derive(Arbitrary, Debug)]
enum InputCell {
    U64(u64),
    I64(i64),
    F64(f64),
    Buckets(Vec<f64>, Vec<u64>, f64),
    Info,
    States(u64),
}

fuzz_target!(|input: Input| {
    let (config, negotiated) = style(input.style);
    let mut resource = Resource::new();
    for (key, value) in &input.resource {
        resource = resource.with(key, value);
    }
    let families = input.families.into_iter().map(family).collect();
    let source: Arc<dyn Source> = Arc::new(Table { families });
    let mut page = Exposition::new(config, &resource, [source]).page(negotiated);
    let text = page.text();
    let dialect = match negotiated.format().is_open_metrics() {
        true => Dialect::OpenMetrics,
        false => Dialect::Text,
    };
    let names = match negotiated.escaping() {
        Escaping::AllowUtf8 => Names::Utf8,
        _ => Names::Legacy,
    };
    if let Err(why) = parse(&text, dialect, names) {
        panic!("{why}\n{text}");
    }
});

fn style(style: u8) -> (Config, Negotiated) {
    let translation = match style & 3 {
        0 => Translation::UnderscoreEscapingWithSuffixes,
        1 => Translation::UnderscoreEscapingWithoutSuffixes,
        2 => Translation::NoUtf8EscapingWithSuffixes,
        _ => Translation::NoTranslation,
    };
    let escaping = match style >> 2 & 3 {
        0 => Escaping::Underscores,
        1 => Escaping::Dots,
        2 => Escaping::Values,
        _ => Escaping::AllowUtf8,
    };
    let format = match style >> 4 & 1 {
        0 => Format::Text1_0_0,
        _ => Format::OpenMetrics1_0_0,
    };
    let created = match style >> 5 & 1 {
        0 => Switch::Off,
        _ => Switch::On,
    };
    let config = Config::new()
        .with_translation(translation)
        .with_created_lines(created);
    (config, Negotiated::new(format, escaping))
}

fn family(input: InputFamily) -> Family {
    const KINDS: [Kind; 7] = [
        Kind::Counter,
        Kind::UpDownCounter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Info,
        Kind::StateSet,
        Kind::Unknown,
    ];
    let mut descriptor = Descriptor::new(&input.name, KINDS[usize::from(input.kind) % KINDS.len()]);
    descriptor.help = input.help.into();
    descriptor.unit = input.unit.into();
    descriptor.label_names = input.label_names.into_iter().map(Into::into).collect();
    let constant = input.constant_labels.into_iter();
    descriptor.constant_labels = constant.map(|(k, v)| (k.into(), v.into())).collect();
    descriptor.states = input.states.into_iter().map(Into::into).collect();
    let columns = descriptor.label_names.len();
    let mut family = Family::new(descriptor);
    family.rows = input
        .rows
        .into_iter()
        .map(|input| row(input, columns))
        .collect();
    family
}

fn row(input: InputRow, columns: usize) -> Row {
    let labels = match input.labels {
        InputLabels::Values(mut values) => {
            values.resize(columns, String::new());
            RowLabels::Values(values)
        }
        InputLabels::Pairs(pairs) => RowLabels::Pairs(pairs),
        InputLabels::Raw(mut ends, text) => {
            ends.truncate(ends.len() / 2 * 2);
            RowLabels::Raw {
                names: None,
                ends,
                text,
            }
        }
    };
    let cell = match input.cell {
        InputCell::U64(value) => Cell::U64(value),
        InputCell::I64(value) => Cell::I64(value),
        InputCell::F64(value) => Cell::F64(value),
        InputCell::Buckets(bounds, buckets, sum) => match Bounds::new(bounds) {
            Ok(bounds) => Cell::Buckets {
                bounds,
                buckets,
                sum,
            },
            Err(_) => Cell::F64(sum),
        },
        InputCell::Info => Cell::Info,
        InputCell::States(on) => Cell::States(on),
    };
    Row {
        start: input.start,
        is_overflow: input.is_overflow,
        ..Row::new(labels, cell)
    }
}
