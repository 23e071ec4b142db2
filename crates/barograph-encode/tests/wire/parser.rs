//! The form of our own pages: valid by the strict parser, and with less freedom than it allows.

use barograph_encode::prometheus::parse::{FamilyKind, ParsedFamily, parse as parse_any};

pub(crate) use barograph_encode::prometheus::parse::Dialect;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Legacy,
    Utf8,
}

/// Parses a page, or returns the reason why it is none of ours.
///
/// Every family has `HELP` and `TYPE`, in this order and before its samples. Lines have no more blanks
/// than they need, no timestamps, and numbers in one form.
pub(crate) fn parse(
    page: &str,
    dialect: Dialect,
    names: Names,
) -> Result<Vec<ParsedFamily<'_>>, String> {
    let parsed = parse_any(page.as_bytes(), dialect);
    let lines: Vec<&str> = page.split('\n').collect();
    if let Some(problem) = parsed.problems.first() {
        let line = lines.get(problem.line - 1).unwrap_or(&"");
        return Err(format!("{problem}: {line:?}"));
    }
    if let Some(line) = parsed.quoted_name.filter(|_| names == Names::Legacy) {
        return Err(format!("a quoted name: {:?}", lines[line - 1]));
    }
    if dialect == Dialect::OpenMetrics && !page.ends_with("# EOF\n") {
        return Err("no line feed after EOF".into());
    }
    let mut described = 0;
    for family in &parsed.families {
        check_family(family, dialect, &lines).map_err(|why| format!("{why}: {family:?}"))?;
        described += 2 + usize::from(family.unit.is_some()) + family.samples.len();
    }
    // The last one is what follows the last line feed.
    let expected = described + 1 + usize::from(dialect == Dialect::OpenMetrics);
    match lines.len() == expected {
        true => Ok(parsed.families),
        false => Err(format!("{} lines, expected {expected}", lines.len())),
    }
}

fn check_family(family: &ParsedFamily<'_>, dialect: Dialect, lines: &[&str]) -> Result<(), String> {
    let first = family.line - 1;
    let has_header = lines[first].starts_with("# HELP ")
        && lines
            .get(first + 1)
            .is_some_and(|line| line.starts_with("# TYPE "))
        && (family.unit.is_none() || lines[first + 2].starts_with("# UNIT "));
    if !has_header {
        return Err("no HELP and TYPE, or in another order".into());
    }
    let (mut seen, mut last) = (Vec::new(), None);
    for sample in &family.samples {
        let line = lines[sample.line - 1];
        if sample.timestamp.is_some() {
            return Err(format!("a timestamp: {line:?}"));
        }
        let bare = without_quoted(line);
        let is_spaced = bare.matches([' ', '\t']).count() == 1;
        if dialect == Dialect::Text && (!is_spaced || bare.contains(",}")) {
            return Err(format!("more blanks or commas than needed: {line:?}"));
        }
        let value = bare.split(' ').nth(1).unwrap_or_default();
        let bound = sample
            .label("le")
            .filter(|_| family.kind == FamilyKind::Histogram);
        for number in [value, bound.unwrap_or("0")] {
            let is_plain = |c: char| c.is_ascii_digit() || "+-.e".contains(c);
            let is_word = ["+Inf", "-Inf", "NaN"].contains(&number);
            if !is_word && (number.is_empty() || !number.chars().all(is_plain)) {
                return Err(format!("a number in another form: {line:?}"));
            }
        }
        // OpenMetrics requires this of all families, and we do it in text as well.
        if dialect == Dialect::Text && family.kind == FamilyKind::Histogram {
            let metric = sample.labels_without("le");
            if last.as_ref() != Some(&metric) {
                if seen.contains(&metric) {
                    return Err(format!("a histogram in two places: {line:?}"));
                }
                seen.push(metric.clone());
                last = Some(metric);
            }
        }
    }
    Ok(())
}

/// Returns a line without what is in quotes.
fn without_quoted(line: &str) -> String {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_bare = |c: &char| {
        is_quoted ^= *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        !is_quoted
    };
    line.chars().filter(is_bare).collect()
}

#[test]
fn the_parser_rejects_pages_that_are_not_ours() {
    let text = |page: &str| parse(page, Dialect::Text, Names::Legacy).map(drop);
    let open_metrics = |page: &str| parse(page, Dialect::OpenMetrics, Names::Legacy).map(drop);
    let head = "# HELP a h\n# TYPE a gauge\n";
    assert_eq!(text(&format!("{head}a{{b=\"c d\\\" e\"}} 1\n")), Ok(()));
    assert_eq!(text(""), Ok(()));
    for wrong in [
        "a 1".into(),
        "a 1\n".into(),
        "# TYPE a gauge\n# HELP a h\na 1\n".into(),
        "# HELP a h\na 1\n".into(),
        format!("{head}a 1\na 2\n"),
        format!("{head}a{{b=\"\"}} 1\na 2\n"),
        format!("{head}{head}a 1\n"),
        format!("{head}a{{b=\"c\",b=\"d\"}} 1\n"),
        format!("{head}a{{1b=\"c\"}} 1\n"),
        format!("{head}a{{b:c=\"c\"}} 1\n"),
        format!("{head}a{{__name__=\"c\"}} 1\n"),
        format!("{head}a{{b=\"\\x\"}} 1\n"),
        format!("{head}a{{b=\"\0\"}} 1\n"),
        format!("{head}a{{\"b\"=\"c\"}} 1\n"),
        format!("{head}a{{b=\"c\",}} 1 \n"),
        format!("{head}a  1\n"),
        format!("{head}\na 1\n"),
        format!("{head}# a comment\na 1\n"),
        format!("{head}a 1 5\n"),
        format!("{head}a nan\n"),
        format!("{head}a one\n"),
        format!("{head}a_total 1\n"),
        format!("{head}a 1 # {{b=\"c\"}} 1\n"),
        "# HELP a b\nc\n# TYPE a gauge\na 1\n".into(),
        "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n".into(),
        "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n".into(),
    ] {
        assert!(text(&wrong).is_err(), "{wrong}");
    }
    let counter = "# HELP a h\n# TYPE a counter\n";
    assert_eq!(
        open_metrics(&format!("{counter}a_total 1 # {{b=\"c\"}} 1\n# EOF\n")),
        Ok(())
    );
    for wrong in [
        format!("{counter}a_total 1\n"),
        format!("{counter}a_total 1\n# EOF"),
        format!("{counter}a 1\n# EOF\n"),
        format!("{counter}a_total -1\n# EOF\n"),
        format!("{counter}a_total NaN\n# EOF\n"),
        format!("{counter}# UNIT a seconds\na_total 1\n# EOF\n"),
        format!(
            "{counter}a_total 1 # {{b=\"{}\"}} 1\n# EOF\n",
            "x".repeat(128)
        ),
        format!("{counter}# HELP a_total h\n# TYPE a_total gauge\na_total 1\n# EOF\n"),
    ] {
        assert!(open_metrics(&wrong).is_err(), "{wrong}");
    }
}
