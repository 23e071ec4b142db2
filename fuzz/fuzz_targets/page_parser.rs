//! Any bytes are parsed as a page, each problem has a place in it, and a page without problems that is
//! written anew from what was parsed is parsed to the same.
#![no_main]

use std::borrow::Cow;
use std::fmt::Write as _;

use barograph_encode::prometheus::parse::{Dialect, FamilyKind, ParsedPage, ParsedSample, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|page: &[u8]| {
    let _ = Dialect::from_content(page);
    for dialect in [Dialect::Text, Dialect::OpenMetrics] {
        let parsed = parse(page, dialect);
        let lines: Vec<&[u8]> = page.split(|byte| *byte == b'\n').collect();
        for problem in &parsed.problems {
            let line = lines.get(problem.line - 1).copied().unwrap_or_default();
            assert!((1..=lines.len() + 1).contains(&problem.line), "{problem}");
            assert!((1..=line.len() + 1).contains(&problem.column), "{problem}");
            assert!(!problem.to_string().contains('\n'), "{problem}");
        }
        assert!(parsed.sample_count() <= lines.len());
        let samples = parsed.families.iter().flat_map(|family| &family.samples);
        // Timestamps lose digits.
        if parsed.is_valid() && samples.into_iter().all(|sample| sample.timestamp.is_none()) {
            let again = write(&parsed, dialect);
            let parsed_again = parse(again.as_bytes(), dialect);
            assert_eq!(parsed_again.problems, [], "{again}");
            assert_eq!(contents(&parsed_again), contents(&parsed), "{again}");
        }
    }
});

/// Returns what a page says, without its lines. Numbers are bits, so that NaN is equal to itself.
fn contents(page: &ParsedPage<'_>) -> Vec<String> {
    let mut contents = Vec::new();
    for family in &page.families {
        let (name, kind, help, unit) = (&family.name, family.kind, &family.help, &family.unit);
        contents.push(format!("{name:?} {kind:?} {help:?} {unit:?}"));
        for sample in &family.samples {
            let exemplar = sample.exemplar.as_ref();
            let exemplar = exemplar.map(|it| (&it.labels, bits(it.value), it.timestamp.map(bits)));
            let (name, labels, value) = (&sample.name, &sample.labels, bits(sample.value));
            contents.push(format!("{name:?} {labels:?} {value} {exemplar:?}"));
        }
    }
    contents
}

fn bits(value: f64) -> u64 {
    match value.is_nan() {
        true => u64::MAX,
        false => value.to_bits(),
    }
}

fn write(page: &ParsedPage<'_>, dialect: Dialect) -> String {
    let mut text = String::new();
    for family in &page.families {
        let name = match is_plain(&family.name) {
            true => family.name.to_string(),
            false => quoted(&family.name),
        };
        if family.kind != FamilyKind::Unknown {
            writeln!(text, "# TYPE {name} {}", family.kind.as_str_in(dialect)).unwrap();
        }
        if let Some(unit) = &family.unit {
            writeln!(text, "# UNIT {name} {unit}").unwrap();
        }
        if let Some(help) = &family.help {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            let help = match dialect {
                Dialect::OpenMetrics => help.replace('"', "\\\""),
                _ => help,
            };
            writeln!(text, "# HELP {name} {help}").unwrap();
        }
        for sample in &family.samples {
            write_sample(&mut text, sample);
        }
    }
    if dialect == Dialect::OpenMetrics {
        text += "# EOF\n";
    }
    text
}

fn write_sample(text: &mut String, sample: &ParsedSample<'_>) {
    let mut parts = write_labels(&sample.labels);
    match is_plain(&sample.name) {
        true => text.push_str(&sample.name),
        false => parts.insert(0, quoted(&sample.name)),
    }
    write!(text, "{{{}}} {}", parts.join(","), sample.value).unwrap();
    if let Some(exemplar) = &sample.exemplar {
        let labels = write_labels(&exemplar.labels).join(",");
        write!(text, " # {{{labels}}} {}", exemplar.value).unwrap();
        if let Some(timestamp) = exemplar.timestamp {
            write!(text, " {timestamp}").unwrap();
        }
    }
    text.push('\n');
}

fn write_labels(labels: &[(Cow<'_, str>, Cow<'_, str>)]) -> Vec<String> {
    let write = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        let name = match is_plain(name) && !name.contains(':') {
            true => name.to_string(),
            false => quoted(name),
        };
        format!("{name}={}", quoted(value))
    };
    labels.iter().map(write).collect()
}

fn is_plain(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
