//! `barograph page check`.

use std::fmt::Write as _;

use barograph_encode::prometheus::parse::{Dialect, parse};
use barograph_model::text::{counted, one_line};
use serde_json::{Value, json};

use super::cardinality::Cardinality;
use super::exemplars::Exemplars;
use super::finding::{Finding, Severity};
use super::lint::{self, RULES};
use crate::arguments::PageCheck;
use crate::input::{Declared, Input};
use crate::report::{Paint, Report, Unusable, bytes};

/// The result of checking a page.
#[derive(Debug)]
pub(crate) struct Checked {
    name: String,
    dialect: Dialect,
    bytes: usize,
    families: usize,
    series: usize,
    findings: Vec<Finding>,
    more_errors: usize,
    exemplars: Exemplars,
    cardinality: Cardinality,
}

/// Reads a page and checks it.
pub(crate) fn check(arguments: &PageCheck) -> Result<Checked, Unusable> {
    if let Some(unknown) = arguments.allow.iter().find(|rule| !is_rule(rule)) {
        let names: Vec<_> = RULES.iter().map(|(name, _)| *name).collect();
        return Err(Unusable::new(
            format!("{unknown:?} is not a rule that can be left out"),
            format!("expected one of {}", names.join(", ")),
        ));
    }
    let input = Input::read(&arguments.page, &arguments.reading)?;
    Ok(Checked::of(&input, arguments))
}

fn is_rule(name: &str) -> bool {
    RULES.iter().any(|(rule, _)| *rule == name)
}

impl Checked {
    fn of(input: &Input, arguments: &PageCheck) -> Self {
        let page = parse(&input.page, input.dialect);
        let mut findings: Vec<_> = page.problems.iter().map(Finding::problem).collect();
        findings.extend(declaration(input, page.quoted_name));
        let mut warnings = lint::check(&page);
        let exemplars = Exemplars::of(&page, &mut warnings);
        warnings.retain(|finding| !arguments.allow.iter().any(|rule| rule == finding.rule));
        warnings.sort_by_key(|finding| finding.place);
        findings.extend(warnings);
        if arguments.require_exemplars && exemplars.count == 0 {
            let message = match input.dialect {
                Dialect::Text => "expected exemplars, which only OpenMetrics has",
                Dialect::OpenMetrics => {
                    "expected exemplars: measurements in sampled traces have them"
                }
            };
            findings.push(Finding::warning("require-exemplars", 0, "", message));
        }
        Checked {
            name: input.name.clone(),
            dialect: input.dialect,
            bytes: input.page.len(),
            families: page.families.len(),
            series: page.sample_count(),
            findings,
            more_errors: page.more_problems,
            exemplars,
            cardinality: Cardinality::of(&page, arguments.top),
        }
    }

    fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        let found = findings
            .filter(|finding| finding.severity == severity)
            .count();
        match severity {
            Severity::Error => found + self.more_errors,
            Severity::Warning => found,
        }
    }
}

/// Returns the findings about the `Content-Type`, which decides how a scraper reads the page.
fn declaration(input: &Input, quoted_name: Option<usize>) -> Option<Finding> {
    let error = |line, message: String| Finding {
        severity: Severity::Error,
        rule: "content-type",
        place: (line, 1),
        family: String::new(),
        message,
    };
    match (&input.declared, quoted_name) {
        (Declared::Missing, _) => Some(error(
            0,
            "the page has no Content-Type, expected text/plain; version=0.0.4 or \
             application/openmetrics-text; version=1.0.0: Prometheus 3 rejects a page without"
                .to_owned(),
        )),
        (Declared::ContentType(kind), Some(line)) if !kind.contains("allow-utf-8") => Some(error(
            line,
            format!(
                "found a quoted name, expected none: the Content-Type {kind:?} does not announce \
                 them with escaping=allow-utf-8"
            ),
        )),
        _ => None,
    }
}

impl Report for Checked {
    fn text(&self, paint: Paint) -> String {
        let mut text = format!(
            "{}: {}, {}, {}, {}\n",
            paint.heading(&one_line(&self.name)),
            self.dialect.as_str(),
            counted(self.families as u64, "family", "families"),
            counted(self.series as u64, "series", "series"),
            bytes(self.bytes as u64),
        );
        for finding in &self.findings {
            text += &finding.text(paint);
        }
        if self.more_errors > 0 {
            let more = counted(self.more_errors as u64, "more error is", "more errors are");
            text += &format!("{more} not listed\n");
        }
        let Cardinality { families, labels } = &self.cardinality;
        if !families.is_empty() {
            text += &format!("\n{}\n", paint.heading("families with the most series"));
        }
        for family in families {
            let name = one_line(&family.name);
            let _ = writeln!(text, "{:>8}  {name} ({})", family.series, family.kind);
        }
        if !labels.is_empty() {
            text += &format!("\n{}\n", paint.heading("labels with the most values"));
        }
        for label in labels {
            let families = counted(label.families as u64, "family", "families");
            let name = one_line(&label.name);
            let _ = writeln!(text, "{:>8}  {name} (in {families})", label.values);
        }
        let Exemplars {
            count,
            families,
            possible,
        } = self.exemplars;
        let counted_exemplars = counted(count as u64, "exemplar", "exemplars");
        let _ = match self.dialect {
            Dialect::Text => writeln!(text, "\nno exemplars: only OpenMetrics has them"),
            Dialect::OpenMetrics => writeln!(
                text,
                "\n{counted_exemplars}, in {families} of the {} that may have them",
                counted(possible as u64, "family", "families"),
            ),
        };
        let errors = self.count(Severity::Error);
        let warnings = self.count(Severity::Warning);
        let warned = counted(warnings as u64, "warning", "warnings").to_string();
        text += &match (errors, warnings) {
            (0, 0) => paint.fine("the page is valid, and nothing breaks a convention"),
            (0, _) => paint.warning(&format!("the page is valid; {warned}")),
            _ => {
                let errors = counted(errors as u64, "error", "errors");
                paint.error(&format!("the page is not valid: {errors}, {warned}"))
            }
        };
        text.push('\n');
        text
    }

    fn json(&self) -> Value {
        let (families, labels) = self.cardinality.json();
        json!({
            "page": self.name,
            "format": match self.dialect {
                Dialect::OpenMetrics => "openmetrics",
                Dialect::Text => "text",
            },
            "bytes": self.bytes,
            "families": self.families,
            "series": self.series,
            "is_valid": self.count(Severity::Error) == 0,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
            "exemplars": {
                "count": self.exemplars.count,
                "families": self.exemplars.families,
                "possible_families": self.exemplars.possible,
            },
            "most_series": families,
            "most_values": labels,
        })
    }

    fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }
}
