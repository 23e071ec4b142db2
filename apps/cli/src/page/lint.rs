//! The conventions for names and units on a page.
//!
//! The words of names and units are those of [`barograph_model::conventions`]; the suffixes are those
//! that Prometheus has instead of metadata.
//!
//! Source: Prometheus, "Metric and label naming" and "Writing exporters"; OpenMetrics 1.0.

use std::collections::BTreeSet;

use barograph_encode::prometheus::parse::{Dialect, FamilyKind, ParsedFamily, ParsedPage};
use barograph_encode::prometheus::unit_word;
use barograph_model::conventions::{better_name, unit_in};
use barograph_model::name::denotes_time;

use super::finding::Finding;

/// The rules, with what they demand.
pub(super) const RULES: [(&str, &str); 11] = [
    ("metric-name", "names have lower-case words, digits and _"),
    ("label-name", "so have labels"),
    (
        "unbounded-label",
        "no label has another value for each user, session or request",
    ),
    (
        "counter-without-total",
        "the name of a counter ends in _total",
    ),
    (
        "total-without-counter",
        "only the name of a counter ends in _total",
    ),
    (
        "reserved-suffix",
        "only histograms and summaries have _bucket, _count and _sum",
    ),
    (
        "base-unit",
        "values are in base units, such as seconds and bytes",
    ),
    (
        "missing-unit",
        "the name of a histogram of times ends in _seconds",
    ),
    ("no-help", "a family has a help text"),
    ("no-type", "a family has a type"),
    (
        "exemplar-ids",
        "trace_id has 32 hexadecimal digits, span_id 16, not all 0",
    ),
];

/// Returns the findings about all families of a page.
pub(super) fn check(page: &ParsedPage<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in &page.families {
        check_family(family, page.dialect, &mut findings);
    }
    findings
}

fn check_family(family: &ParsedFamily<'_>, dialect: Dialect, findings: &mut Vec<Finding>) {
    let name = &*family.name;
    let mut find = |rule, message: String| {
        findings.push(Finding::warning(rule, family.line, name, message));
    };
    if let Some(better) = better_name(name) {
        find(
            "metric-name",
            format!("expected a name of lower-case words, digits and _, such as {better}"),
        );
    }
    match family.kind {
        FamilyKind::Counter if dialect == Dialect::Text && !name.ends_with("_total") => {
            find(
                "counter-without-total",
                format!("expected \"{name}_total\": this is a counter"),
            );
        }
        FamilyKind::Counter => {}
        kind => {
            if let Some(stem) = name.strip_suffix("_total") {
                let kind = kind.as_str_in(dialect);
                find(
                    "total-without-counter",
                    format!("expected \"{stem}\" or the type counter: this is of type {kind}"),
                );
            }
        }
    }
    if matches!(family.kind, FamilyKind::Counter | FamilyKind::Gauge)
        && let Some(suffix) = ["_bucket", "_count", "_sum"]
            .iter()
            .find(|it| name.ends_with(*it))
    {
        find(
            "reserved-suffix",
            format!("expected another last word than {suffix}, which parts of histograms have"),
        );
    }
    check_unit(family, &mut find);
    if family.help.as_deref().unwrap_or_default().trim().is_empty() {
        find(
            "no-help",
            format!("expected a line # HELP {name} that says what it measures"),
        );
    }
    if family.kind == FamilyKind::Unknown {
        find(
            "no-type",
            format!("expected a line # TYPE {name} with the type of its values"),
        );
    }
    check_labels(family, &mut find);
}

fn check_unit(family: &ParsedFamily<'_>, find: &mut impl FnMut(&'static str, String)) {
    let name = &*family.name;
    let is_histogram = family.kind == FamilyKind::Histogram;
    let Some(found) = unit_in(name, is_histogram) else {
        if is_histogram && denotes_time(name) {
            find(
                "missing-unit",
                format!("expected \"{name}_seconds\": this seems to be a time"),
            );
        }
        return;
    };
    let base = match found.unit {
        // Dimensionless numbers have no word in names that are translated from UCUM.
        "1" => "ratio".to_owned(),
        unit => unit_word(unit),
    };
    if found.word != base {
        let word = found.word;
        find(
            "base-unit",
            format!("expected values in {base}, and {base} in place of {word} in the name"),
        );
    }
}

fn check_labels(family: &ParsedFamily<'_>, find: &mut impl FnMut(&'static str, String)) {
    let own = match family.kind {
        FamilyKind::Histogram | FamilyKind::GaugeHistogram => "le",
        FamilyKind::Summary => "quantile",
        FamilyKind::StateSet => &family.name,
        _ => "",
    };
    let labels = family.samples.iter().flat_map(|sample| &sample.labels);
    let labels: BTreeSet<&str> = labels.map(|(label, _)| &**label).collect();
    for label in labels.into_iter().filter(|label| *label != own) {
        let better = better_name(label);
        if let Some(better) = &better {
            find(
                "label-name",
                format!("expected another name for the label {label:?}, such as {better}"),
            );
        }
        // In one spelling: `userId` and `user.id` are the same.
        let plain = better
            .as_deref()
            .unwrap_or(label)
            .trim_matches('"')
            .replace('.', "_");
        if UNBOUNDED.contains(&&*plain) {
            find(
                "unbounded-label",
                format!(
                    "expected no label {label:?}: each value makes another series; put it into \
                     an exemplar, a span or a log record"
                ),
            );
        }
    }
}

/// Labels whose values are as many as there are users, sessions or requests.
const UNBOUNDED: [&str; 5] = ["request_id", "session_id", "span_id", "trace_id", "user_id"];
